"""The front that searchers look for, and how much of it costs reach."""

import numpy as np
from numpy.typing import NDArray

from niwaki.core.pareto import hypervolume, non_dominated

Costs = NDArray[np.float64]

REFERENCE = 1.1  # of costs that are scaled to [0, 1] between ideal and nadir


class TrueFront:
    """The best of all there is.

    Args:
        costs: (n, m) minimised, of all there is.

    Attributes:
        costs: (k, m) of those that none dominates.
        ideal, nadir: (m,) its corners.
        volume: Its hypervolume, scaled to the corners.
    """

    def __init__(self, costs: Costs) -> None:
        self.costs = costs[non_dominated(costs)]
        self.ideal, self.nadir = self.costs.min(axis=0), self.costs.max(axis=0)
        self.volume = self._volume_of(self.costs)

    def scaled(self, costs: Costs) -> Costs:
        """Return (n, m) costs in which the ideal point is 0 and the nadir point 1."""
        span = self.nadir - self.ideal
        return np.asarray((costs - self.ideal) / np.where(span > 0.0, span, 1.0))

    def share(self, costs: Costs) -> float:
        """Return the share of the hypervolume that (n, m) costs reach."""
        return self._volume_of(costs) / self.volume

    def _volume_of(self, costs: Costs) -> float:
        return hypervolume(self.scaled(costs), np.full(costs.shape[1], REFERENCE))
