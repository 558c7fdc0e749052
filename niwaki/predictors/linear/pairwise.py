"""Linear models of features and of their pairwise products, without ever listing the products.

With z the scaled features, the model is `f(z) = b + z.u + sum over i < j of W_ij z_i z_j`. A ridge
penalty `|u|^2 + |W|^2 / r` gives the weights as sums over the n rows, by way of the (n, n) matrix
`K = Z Z' + r P` of inner products, where P holds those of the pairwise products:
`P_ab = ((z_a.z_b)^2 - sum over i of (z_ai z_bi)^2) / 2`. So d may be in the hundreds, d^2 / 2
products included, and predicting takes d^2 operations a row however many rows were learned from.
Where rows outnumber features and products by far, those are listed after all: the singular vectors
of that table are the eigenvectors of K, at a fraction of its n^3 operations.

References:
    Saunders, Gammerman and Vovk, ICML 1998, "Ridge regression learning algorithm in dual
    variables"; Rendle, ICDM 2010, "Factorization machines", lemma 3.1, for the sum over pairs.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

_CHUNK = 8192  # rows at a time: what is in memory is that times the rows learned from


def inner_products(
    first: NDArray[np.float64], second: NDArray[np.float64], pair_weight: float
) -> NDArray[np.float64]:
    """Return the (n, k) inner products of (n, d) and (k, d) rows, pairs included."""
    linear = first @ second.T
    if not pair_weight:
        return linear
    return np.asarray(linear + pair_weight * 0.5 * (linear**2 - (first**2) @ (second**2).T))


def own_products(rows: NDArray[np.float64], pair_weight: float) -> NDArray[np.float64]:
    """Return the (n,) inner products of (n, d) rows with themselves."""
    squared = rows**2
    linear = squared.sum(axis=1)
    if not pair_weight:
        return np.asarray(linear)
    return np.asarray(linear + pair_weight * 0.5 * (linear**2 - (squared**2).sum(axis=1)))


def listed_products(rows: NDArray[np.float64], pair_weight: float) -> NDArray[np.float64]:
    """Return (n, p) features whose inner products `inner_products` gives: (n, d) rows, pairs."""
    if not pair_weight:
        return rows
    first, second = np.triu_indices(rows.shape[1], k=1)
    return np.concatenate([rows, np.sqrt(pair_weight) * rows[:, first] * rows[:, second]], axis=1)


def worth_listing(rows: NDArray[np.float64], pair_weight: float) -> bool:
    """Return whether (n, d) rows outnumber features and products by far."""
    n_features = int(rows.shape[1])
    n_products = n_features * (n_features + 1) // 2 if pair_weight else n_features
    return 0 < 2 * n_products <= len(rows)


@dataclass(frozen=True)
class Weights:
    """A fitted model of one column.

    Attributes:
        constant: Value at the centre of the features.
        single: (d,) weights of the features.
        pairs: (d, d) symmetric, half of each pair's weight on either side; zeros on the diagonal.
            (0, 0) if there are none.
    """

    constant: float
    single: NDArray[np.float64]
    pairs: NDArray[np.float64]

    @classmethod
    def of_rows(
        cls,
        rows: NDArray[np.float64],
        coefficients: NDArray[np.float64],
        *,
        pair_weight: float,
    ) -> "Weights":
        """Return the weights that (n,) coefficients of (n, d) rows add up to, without constant."""
        pairs = np.zeros((0, 0))
        if pair_weight:
            pairs = 0.5 * pair_weight * (rows * coefficients[:, None]).T @ rows
            np.fill_diagonal(pairs, 0.0)
        return cls(0.0, rows.T @ coefficients, pairs)

    def moved(self, by: float) -> "Weights":
        """Return the same model with another constant."""
        return replace(self, constant=self.constant + float(by))

    def at(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (n,) values at (n, d) scaled features."""
        values = self.constant + rows @ self.single
        if self.pairs.size:
            values = values + np.einsum("nd,nd->n", rows @ self.pairs, rows)
        return np.asarray(values)


@dataclass(frozen=True)
class Decomposition:
    """Eigenvalues and eigenvectors of centred inner products: what every ridge strength shares.

    The constant is not penalised: rows are centred in the space of products, which leaves the
    eigenvectors orthogonal to the vector of ones.

    Attributes:
        values: (k,) eigenvalues, not negative; the n - k that are left out are zero.
        vectors: (n, k) eigenvectors in columns.
        pair_weight: Weight of the products beside the features.
    """

    values: NDArray[np.float64]
    vectors: NDArray[np.float64]
    pair_weight: float

    @classmethod
    def of(cls, rows: NDArray[np.float64], pair_weight: float) -> "Decomposition":
        """Decompose (n, d) scaled features; takes n p^2 operations with p products, or n^3."""
        if worth_listing(rows, pair_weight):
            return cls._of_listed(listed_products(rows, pair_weight), pair_weight)
        return cls.of_products(inner_products(rows, rows, pair_weight), pair_weight)

    @classmethod
    def of_products(cls, products: NDArray[np.float64], pair_weight: float) -> "Decomposition":
        """Decompose the (n, n) inner products of any rows; takes n^3 operations."""
        products = products - products.mean(axis=0)
        products -= products.mean(axis=1)[:, None]
        values, vectors = np.linalg.eigh((products + products.T) / 2.0)
        return cls(np.maximum(values, 0.0), vectors, pair_weight)

    @classmethod
    def _of_listed(cls, features: NDArray[np.float64], pair_weight: float) -> "Decomposition":
        centred = features - features.mean(axis=0)
        vectors, roots, _ = np.linalg.svd(centred, full_matrices=False)
        # The vectors of what is zero but for rounding are arbitrary, and may hold the constant.
        seen = roots > 1e-9 * roots.max(initial=1e-300)
        return cls(roots[seen] ** 2, vectors[:, seen], pair_weight)

    @property
    def mean_value(self) -> float:
        """Mean of all n eigenvalues, those left out included."""
        return float(self.values.sum()) / len(self.vectors)

    def leave_one_out(
        self, y: NDArray[np.float64], strength: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return (n,) errors of leaving each row out in turn, exactly, and (n,) leverages.

        References:
            Allen, Technometrics 1974 (PRESS): residual / (1 - leverage), the constant included.
        """
        shrunk = self.values / (self.values + strength)
        residual = (y - y.mean()) - self.vectors @ (shrunk * (self.vectors.T @ (y - y.mean())))
        leverage = np.minimum((self.vectors**2) @ shrunk + 1.0 / len(y), 1.0 - 1e-9)
        return np.asarray(residual / (1.0 - leverage)), np.asarray(leverage)

    def coefficients(self, y: NDArray[np.float64], strength: float) -> NDArray[np.float64]:
        """Return (n,) coefficients of the rows that give the weights; they add up to zero."""
        solved = (self.vectors.T @ (y - y.mean())) / (self.values + strength)
        found = self.vectors @ solved
        return np.asarray(found - found.mean())


@dataclass(frozen=True)
class Doubt:
    """How much the rows that were learned from leave open elsewhere.

    Attributes:
        rows: (n, d) scaled features.
        means: (n,) mean inner product of each row with all others.
        directions: (n, k) eigenvectors over the square roots of eigenvalue plus strength.
        strength: Of the ridge.
        pair_weight: Weight of the products beside the features.
    """

    rows: NDArray[np.float64]
    means: NDArray[np.float64]
    directions: NDArray[np.float64]
    strength: float
    pair_weight: float

    @classmethod
    def left_by(
        cls, rows: NDArray[np.float64], decomposition: Decomposition, strength: float
    ) -> "Doubt":
        """Return the doubt that (n, d) rows leave."""
        values, weight = decomposition.values, decomposition.pair_weight
        seen = values > 1e-9 * values.max(initial=1e-300)
        directions = decomposition.vectors[:, seen] / np.sqrt(values[seen] + strength)
        means = inner_products(rows, rows, weight).mean(axis=0)
        return cls(rows, means, directions, strength, weight)

    def at(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (n,) variances of the fitted value at (n, d) rows, in units of the noise's.

        References:
            Rasmussen and Williams, 2006, equation 2.26, for centred linear functions; a constant of
            unknown size adds 1 / n.
        """
        variances = [self._at(rows[i : i + _CHUNK]) for i in range(0, len(rows), _CHUNK)]
        return np.concatenate(variances) if variances else np.zeros(0)

    def _at(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        products = inner_products(rows, self.rows, self.pair_weight)
        mean, grand = products.mean(axis=1), self.means.mean()
        own = own_products(rows, self.pair_weight) - 2.0 * mean + grand
        explained = (products - mean[:, None] - self.means + grand) @ self.directions
        left = np.maximum(own - np.einsum("nk,nk->n", explained, explained), 0.0)
        return np.asarray(left / self.strength + 1.0 / len(self.rows))
