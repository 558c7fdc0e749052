"""What many rows leave open, by the few products that they span."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from niwaki.predictors.linear.pairwise import Decomposition, listed_products

_CHUNK = 8192  # rows at a time: what is in memory is that times the products


@dataclass(frozen=True)
class ListedDoubt:
    """What `Doubt` says, in operations that do not grow with the rows learned from.

    Attributes:
        center: (p,) means of features and products.
        directions: (p, k) axes of features and products, scaled to what the rows know along each.
        strength: Of the ridge.
        pair_weight: Weight of the products beside the features.
        n_rows: How many rows were learned from.
    """

    center: NDArray[np.float64]
    directions: NDArray[np.float64]
    strength: float
    pair_weight: float
    n_rows: int

    @classmethod
    def left_by(
        cls, rows: NDArray[np.float64], decomposition: Decomposition, strength: float
    ) -> "ListedDoubt":
        """Return the doubt that (n, d) rows leave."""
        features = listed_products(rows, decomposition.pair_weight)
        center = features.mean(axis=0)
        seen = decomposition.values > 1e-9 * decomposition.values.max(initial=1e-300)
        scaled = decomposition.vectors[:, seen] / np.sqrt(decomposition.values[seen] + strength)
        directions = (features - center).T @ scaled
        return cls(center, directions, strength, decomposition.pair_weight, len(rows))

    def at(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (n,) variances of the fitted value at (n, d) rows, in units of the noise's."""
        variances = [self._at(rows[i : i + _CHUNK]) for i in range(0, len(rows), _CHUNK)]
        return np.concatenate(variances) if variances else np.zeros(0)

    def _at(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        away = listed_products(rows, self.pair_weight) - self.center
        own, explained = np.einsum("np,np->n", away, away), away @ self.directions
        left = np.maximum(own - np.einsum("nk,nk->n", explained, explained), 0.0)
        return np.asarray(left / self.strength + 1.0 / self.n_rows)
