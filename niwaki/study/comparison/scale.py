"""One scale for all runs: that of the front which they have found together."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from niwaki.core.pareto import growing_volume, hypervolume, non_dominated, scale_of

REFERENCE = 1.1  # of costs that are 0 at the ideal point and 1 at the nadir
ROUNDING = 1e-9  # of shares: volumes are added up in another order than that of the joined front


@dataclass(frozen=True)
class Scale:
    """The front of all runs together, and volumes in units of its box.

    Attributes:
        points: (k, m) minimised, those of the joined front, each once; none if no run has a model.
        width: (m,) of the box; where the front has none, of all models.
    """

    points: NDArray[np.float64]
    width: NDArray[np.float64]

    @classmethod
    def of(cls, costs: Sequence[NDArray[np.float64]]) -> "Scale":
        """Return the scale of runs.

        Args:
            costs: (n, m) of each run, without NaN.
        """
        known = np.concatenate(costs)
        points = np.unique(known[non_dominated(known)], axis=0)
        width = scale_of(points, known) if len(points) else np.ones(known.shape[1])
        return cls(points, width)

    @cached_property
    def rows(self) -> frozenset[tuple[float, ...]]:
        """The points of the joined front, to look others up in."""
        return frozenset(map(tuple, self.points.tolist()))

    @property
    def ideal(self) -> NDArray[np.float64]:
        """(m,) the best of each cost; NaN if there is nothing."""
        return self.points.min(axis=0) if len(self.points) else np.full(len(self.width), np.nan)

    @property
    def nadir(self) -> NDArray[np.float64]:
        """(m,) the worst of each cost on the joined front; NaN if there is nothing."""
        return self.points.max(axis=0) if len(self.points) else np.full(len(self.width), np.nan)

    @property
    def narrow(self) -> NDArray[np.bool_]:
        """(m,) whether the joined front has no width there, so that all models give it."""
        if not len(self.points):
            return np.zeros(len(self.width), dtype=bool)
        return np.asarray(np.ptp(self.points, axis=0) == 0.0)

    @cached_property
    def volume(self) -> float:
        """The hypervolume of the joined front."""
        return hypervolume(self._scaled(self.points), self._reference)

    def volumes(self, costs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (n,) the hypervolume of the rows so far, after each of (n, m) rows."""
        return growing_volume(self._scaled(costs), self._reference)

    def first(self, volumes: NDArray[np.float64], share: float) -> int | None:
        """Return the first row after which a share of the joined volume is had; None if none."""
        reached = np.flatnonzero(volumes >= (share - ROUNDING) * self.volume)
        return int(reached[0]) if len(reached) else None

    def _scaled(self, costs: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((costs - self.ideal) / self.width)

    @property
    def _reference(self) -> NDArray[np.float64]:
        return np.full(len(self.width), REFERENCE)
