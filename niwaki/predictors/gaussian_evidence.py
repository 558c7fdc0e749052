"""How well hyper-parameters explain one column of values, and the ones that do so best.

References:
    Rasmussen and Williams, "Gaussian processes for machine learning", 2006, eq. 5.8 and 5.9 (the
    marginal likelihood and its gradient). Hvarfner, Hellsten and Nardi, ICML 2024, "Vanilla
    Bayesian optimization performs great in high dimensions", for length scales that grow with the
    number of columns; here they grow with how far apart the rows really are, and each column's own
    relevance is shrunk towards one that all share, or, where columns are of several kinds, towards
    that of its kind: all kinds have equal parts in a distance before data speak.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, lapack
from scipy.optimize import minimize

from niwaki.predictors.kernels import Covariance, matern, squared_distances

Array = NDArray[np.float64]

JITTER = 1e-6
N_SHARED = 4  # logarithms of amplitude, linear variance, noise variance and relevance
PRIOR_MEAN = np.array([0.0, -1.0, np.log(1e-2), 0.0])
PRIOR_STD = np.array([1.0, 1.5, 1.5, 1.5])
KIND_STD = 1.5  # of the logarithms by which kinds of columns differ, a priori
REFUSED = 1e10  # in place of the evidence where the covariance is not positive definite
FURTHEST = 12.0  # of a logarithm from 0: keeps line searches finite


@dataclass(frozen=True)
class Evidence:
    """The log posterior density of hyper-parameters, given rows and standardised values.

    Attributes:
        rows: (n, d) features.
        values: (n,) of mean 0 and variance 1.
        shrinkage: How far a column's log relevance strays from the shared one: its prior's
            standard deviation.
        kinds: (d,) numbers of the columns' kinds, from 0 without gaps: each kind has a relevance
            and slopes of its own. None if all are of one kind.
    """

    rows: Array
    values: Array
    shrinkage: float
    kinds: NDArray[np.int64] | None = None

    @cached_property
    def _kind(self) -> NDArray[np.int64]:
        """(d,) the kind of each column, 0 if they are all alike."""
        return np.zeros(self.rows.shape[1], int) if self.kinds is None else self.kinds

    @cached_property
    def _members(self) -> Array:
        """(k, d) 1 where a column is of a kind."""
        n_kinds = int(self._kind.max(initial=0)) + 1
        return np.asarray(np.eye(n_kinds)[:, self._kind])

    @cached_property
    def units(self) -> Array:
        """(d,) inverse squared scales: 1 for columns of 0 and 1, else by their spread."""
        binary = np.isin(self.rows, (0.0, 1.0)).all(axis=0)
        variance = self.rows.var(axis=0)
        return np.where(binary | (variance <= 0.0), 1.0, 1.0 / np.maximum(variance, 1e-300))

    @cached_property
    def _spreads(self) -> Array:
        """(k,) total variance of each kind's columns, each in its unit, times the kinds' number.

        So a relevance of 1 makes half the mean squared distance 1, each kind giving an equal part.
        """
        total = self._members @ (self.rows.var(axis=0) * self.units)
        return np.where(total > 0.0, total, 1.0) * len(total)

    @cached_property
    def _grams(self) -> Array:
        """(k, n, n) what the columns of each kind give to the linear part."""
        centred = self.rows - self.rows.mean(axis=0)
        each = [(centred * (self.units * member)) @ centred.T for member in self._members]
        return np.array(each) / self._spreads[:, None, None]

    @property
    def _n_free(self) -> int:
        """How many logarithms follow those of the columns: two for each kind, if there are any."""
        return 2 * len(self._spreads) if len(self._spreads) > 1 else 0

    def _of_kinds(self, logarithms: Array) -> tuple[Array, Array]:
        """Return (k,) logarithms of the kinds' relevances, and of their slopes."""
        if not self._n_free:
            return np.zeros(1), np.zeros(1)
        relevances, slopes = np.split(logarithms[-self._n_free :], 2)
        return relevances, slopes

    def covariance(self, logarithms: Array) -> Covariance:
        """Return the covariance that hyper-parameters stand for."""
        amplitude, linear, _, relevance = np.exp(logarithms[:N_SHARED])
        relevances, slopes = self._of_kinds(logarithms)
        each = logarithms[N_SHARED : N_SHARED + self.rows.shape[1]] + relevances[self._kind]
        scaled = self.units / self._spreads[self._kind]
        return Covariance(
            amplitude=float(amplitude),
            relevance=np.exp(each) * relevance * scaled / 2.0,
            slopes=linear * np.exp(slopes)[self._kind] * scaled,
            centre=self.rows.mean(axis=0),
        )

    def best(self, max_steps: int, start: Array | None = None) -> tuple[Array, float]:
        """Return the most plausible logarithms, (4 + d + 2k,), and their log density.

        Those of kinds come last, relevances before slopes; there are none if there is one kind.

        Args:
            max_steps: Of the optimiser.
            start: (4 + d + 2k,) where it begins; None is the mean of the prior.
        """
        if start is None:
            start = np.concatenate([PRIOR_MEAN, np.zeros(self.rows.shape[1] + self._n_free)])
        found = minimize(
            self.cost_and_gradient,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=[(-FURTHEST, FURTHEST)] * len(start),
            options={"maxiter": max_steps},
        )
        return np.asarray(found.x), -float(found.fun)

    def cost_and_gradient(self, logarithms: Array) -> tuple[float, Array]:
        """Return the negative log density at (4 + d + 2k,) logarithms, and its gradient."""
        covariance = self.covariance(logarithms)
        near, slope = matern(squared_distances(self.rows, self.rows, covariance.relevance))
        amplitude, linear, noise = np.exp(logarithms[:3])
        shares = linear * np.exp(self._of_kinds(logarithms)[1])
        total = amplitude * near + np.tensordot(shares, self._grams, 1)
        total[np.diag_indices_from(total)] += noise + JITTER
        factor, failed = lapack.dpotrf(total, lower=1, clean=1)
        if failed:
            return REFUSED, np.zeros_like(logarithms)
        weights = cho_solve((factor, True), self.values, check_finite=False)
        inverse = lapack.dpotri(factor, lower=1)[0]
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        pull = 0.5 * (inverse - np.outer(weights, weights))
        cost = 0.5 * float(self.values @ weights) + float(np.log(np.diag(factor)).sum())
        cost += 0.5 * len(self.values) * np.log(2.0 * np.pi)
        gradient = np.empty_like(logarithms)
        gradient[0] = amplitude * (pull * near).sum()
        gradient[2] = noise * np.trace(pull)
        by_slope = shares * np.tensordot(self._grams, pull, 2)
        each = self._relevance_gradient(amplitude * pull * slope, covariance.relevance)
        gradient[1], gradient[3] = by_slope.sum(), each.sum()
        gradient[N_SHARED : N_SHARED + len(each)] = each
        if self._n_free:
            gradient[-self._n_free :] = np.concatenate([self._members @ each, by_slope])
        return self._with_prior(cost, gradient, logarithms)

    def _relevance_gradient(self, pull: Array, relevance: Array) -> Array:
        """Return (d,) sums over pairs of `pull` times the squared difference in each column."""
        rows = self.rows
        own = 2.0 * (pull.sum(axis=1) @ rows**2)
        return np.asarray(relevance * (own - 2.0 * (rows * (pull @ rows)).sum(axis=0)))

    def _with_prior(self, cost: float, gradient: Array, at: Array) -> tuple[float, Array]:
        n_columns = self.rows.shape[1]
        stds = [PRIOR_STD, np.full(n_columns, self.shrinkage), np.full(self._n_free, KIND_STD)]
        mean = np.concatenate([PRIOR_MEAN, np.zeros(len(at) - N_SHARED)])
        std = np.concatenate(stds)
        away = (at - mean) / std
        gradient += away / std
        return cost + 0.5 * float(away @ away), gradient
