"""The region that a front dominates, as boxes that do not overlap.

References:
    Lacour, Klamroth and Fonseca, Computers and Operations Research 2017, "A box decomposition
    algorithm to compute the hypervolume indicator": local upper bounds, updated point by point, and
    the box of each of them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Decomposition:
    """Local upper bounds of the points that were added so far.

    Points are costs; there is no reference point yet: boxes reach to infinity, and whoever
    integrates over them stops at a reference of their own.

    Attributes:
        bounds: (b, m) corners of the region that is not dominated.
        defining: (b, m, m) the point that gives each corner each of its coordinates.
    """

    bounds: Array
    defining: Array

    @classmethod
    def empty(cls, n_objectives: int) -> "Decomposition":
        """Return the decomposition without points."""
        defining = np.full((1, n_objectives, n_objectives), -np.inf)
        defining[0, np.arange(n_objectives), np.arange(n_objectives)] = np.inf
        return cls(np.full((1, n_objectives), np.inf), defining)

    def with_point(self, point: Array) -> "Decomposition":
        """Return the decomposition after one more (m,) point; itself if it is dominated."""
        split = (point < self.bounds).all(axis=1)
        if not split.any():
            return self
        bounds, defining = [self.bounds[~split]], [self.defining[~split]]
        for axis in range(len(point)):
            others = np.delete(self.defining[split][:, :, axis], axis, axis=1)
            kept = (others <= point[axis]).all(axis=1)
            moved, by = self.bounds[split][kept].copy(), self.defining[split][kept].copy()
            moved[:, axis], by[:, axis] = point[axis], point
            bounds.append(moved)
            defining.append(by)
        return Decomposition(np.concatenate(bounds), np.concatenate(defining))

    def boxes(self, reference: Array) -> tuple[Array, Array]:
        """Return (b, m) lower and upper corners of the dominated region, up to a reference."""
        lower, upper = self.bounds.copy(), self.bounds.copy()
        upper[:, 0] = np.inf
        for axis in range(1, lower.shape[1]):
            lower[:, axis] = self.defining[:, :axis, axis].max(axis=1)
        upper = np.minimum(upper, reference)
        kept = (lower < upper).all(axis=1)
        return lower[kept], upper[kept]
