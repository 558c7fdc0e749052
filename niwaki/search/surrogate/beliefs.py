"""What is believed of one value of candidates that were not measured."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from niwaki.predictors.gaussian_column import GaussianColumn, fit_column
from niwaki.search.surrogate.warps import Straight, Warp, warps_for

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

NOISE_SHARE = 1.0
AGAINST_WARPS = 0.0
_CERTAIN = 1e-9  # standard deviation of what is known, relative to its size


@dataclass(frozen=True)
class Belief:
    """A normal belief about the warped cost of each of n candidates.

    Attributes:
        warp: From the cost.
        mean: (n,) of the warped cost.
        std: (n,) of the warped cost, above 0.
    """

    warp: Warp
    mean: Array
    std: Array

    @classmethod
    def certain(cls, costs: Array) -> "Belief":
        """Return the belief about (n,) costs that are known."""
        size = max(float(np.abs(costs).max(initial=0.0)), 1e-30)
        return cls(Straight(), costs, np.full(len(costs), _CERTAIN * size))

    def at(self, rows: Rows) -> "Belief":
        """Return the belief about some of the candidates."""
        return replace(self, mean=self.mean[rows], std=self.std[rows])

    def quantile(self, n_std: float = 0.0) -> Array:
        """Return (n,) costs so many standard deviations above the median."""
        return self.warp.unwarped(self.mean + n_std * self.std)

    def expected_gain(self, thresholds: Array) -> Array:
        """Return (n, k): by how much the cost is expected below each of (k,) thresholds."""
        return self.warp.expected_gain(thresholds, self.mean, self.std)

    def chance_below(self, limit: float) -> Array:
        """Return (n,) probabilities that the cost is at most `limit`."""
        return np.asarray(ndtr((self.warp.edge(limit) - self.mean) / self.std))


@dataclass(frozen=True)
class Learned:
    """A warp, and a Gaussian process of the warped costs."""

    warp: Warp
    column: GaussianColumn

    def given(self, features: Array, costs: Array) -> "Learned":
        """Return the same, after other (n, d) features and (n,) costs."""
        # A cost may lie beyond what the warp was made for: it counts as just within.
        warped = np.nan_to_num(self.warp.warped(costs), nan=-np.inf)
        low = self.column.shift - 6.0 * self.column.scale
        return replace(self, column=self.column.given(features, np.maximum(warped, low)))

    def belief(self, features: Array) -> Belief:
        """Return what is believed about the costs of (n, d) rows.

        The spread of what features do not explain is part of it: the next measurement has its
        share of that too, and a table of deterministic costs consists of it in places.
        """
        mean, std = self.column.predict(features)
        return Belief(self.warp, mean, np.hypot(std, NOISE_SHARE * self.column.noise_std))


def learn(features: Array, costs: Array) -> Learned:
    """Learn (n,) costs from (n, d) features under the transform that makes them most likely."""

    def evidence(learned: Learned) -> float:
        slope = learned.column.n_judged * float(learned.warp.log_slope(costs).mean())
        against = 0.0 if learned.warp == Straight() else AGAINST_WARPS
        return learned.column.log_evidence + slope - against

    tried = [Learned(w, fit_column(features, w.warped(costs))) for w in warps_for(costs)]
    return max(tried, key=evidence)
