"""What measuring a candidate next is expected to gain.

The gain is hypervolume, in the objectives' own units scaled by the extent of the front, so that it
is what a user sees; the beliefs may live on other scales. For independent beliefs it is exact for
any number of objectives: over a box, the expected volume that a candidate dominates is a product,
over the objectives, of differences of expected gains.

References:
    Emmerich, Deutz and Klinkenberg, CEC 2011, "Hypervolume-based expected improvement: monotonicity
    properties and exact computation"; Yang, Emmerich, Deutz and Back, Swarm and Evolutionary
    Computation 2019, "Multi-objective Bayesian global optimization using expected hypervolume
    improvement gradient", for boxes. Daulton, Balandat and Bakshy, NeurIPS 2020 and 2021 (qEHVI,
    qNEHVI) sample instead, which also covers dependent beliefs. Ginsbourger, Le Riche and Carraro,
    2010, "Kriging is well-suited to parallelize optimization", for pending candidates: each is
    taken to turn out as believed. Gardner et al., ICML 2014, "Bayesian optimization with inequality
    constraints", for the product with the chance to be feasible. Ours: exact under warps, and a
    reference point from what an optimist sees, so that the ends of the front are found too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from niwaki.core.constraints import Bound
from niwaki.core.pareto import non_dominated
from niwaki.search.base import Problem
from niwaki.search.surrogate.beliefs import Belief, Learned
from niwaki.search.surrogate.boxes import Decomposition
from niwaki.search.surrogate.history import signs_of
from niwaki.search.surrogate.pool import Pool

Array = NDArray[np.float64]
Believed: TypeAlias = Callable[[str], Belief]

OPTIMISM = 1.0  # standard deviations below the mean, for the extent of the front
MARGIN = 0.1  # of the extent, out to the reference point
HOPELESS = 3.0  # standard deviations: what is dominated even there gains nothing
LEAST_CHANCE = 1e-4  # of success: what always failed so far stays possible
_LARGEST_TABLE = 2_000_000


@dataclass(frozen=True)
class Extent:
    """Where the front begins and ends, in each objective.

    Attributes:
        low: (m,) best costs.
        high: (m,) worst costs.
    """

    low: Array
    high: Array

    def widened(self, costs: Array) -> "Extent":
        """Return the extent that takes in (k, m) further costs."""
        if len(costs) == 0:
            return self
        return Extent(
            np.minimum(self.low, costs.min(axis=0)), np.maximum(self.high, costs.max(axis=0))
        )

    @property
    def span(self) -> Array:
        """(m,) widths, 1 where there is none."""
        return np.where(self.high > self.low, self.high - self.low, 1.0)

    @property
    def reference(self) -> Array:
        """(m,) the worst corner, moved out by a margin."""
        return np.asarray(self.high + MARGIN * self.span)


@dataclass(frozen=True)
class Outlook:
    """Beliefs about every value, and the front to improve on.

    Attributes:
        problem: What is searched.
        learned: Of the values that have to be learned, signed so that less is better.
        success: Of 1 for success and 0 for failure; None if nothing failed so far.
        front: (k, m) non-dominated costs.
        parts: The region that they dominate.
    """

    problem: Problem
    learned: Mapping[str, Learned]
    success: Learned | None
    front: Array
    parts: Decomposition

    def joined_by(self, costs: Array) -> "Outlook":
        """Return the outlook with further (k, m) costs on the front."""
        parts = self.parts
        for point in costs:
            parts = parts.with_point(point)
        joined = np.concatenate([self.front, costs])
        return replace(self, front=joined[non_dominated(joined)], parts=parts)

    def beliefs(self, pool: Pool) -> list[Belief]:
        """Return the belief about each objective's cost."""
        return self._of_objectives(self.believed(pool))

    def _of_objectives(self, believed: Believed) -> list[Belief]:
        return [believed(objective.name) for objective in self.problem.objectives]

    def believed(self, pool: Pool) -> Believed:
        """Return what gives the belief about a value by name, found once for all that ask."""
        return cache(lambda name: self._belief(name, pool))

    def _belief(self, name: str, pool: Pool) -> Belief:
        known = self.problem.once(signs_of)[name] * pool.cheap.get(name, np.full(len(pool), np.nan))
        finite = np.isfinite(known)
        if name in self.learned and not finite.all():
            return self.learned[name].belief(pool.features)
        # Whatever was measured had it: who has not is no better than the worst.
        worst = float(known[finite].max()) if finite.any() else 0.0
        return Belief.certain(np.where(finite, known, worst))

    def chance(self, pool: Pool) -> Array:
        """Return (n,) probabilities to succeed within all bounds."""
        return self._chance(pool, self.believed(pool))

    def _chance(self, pool: Pool, believed: Believed) -> Array:
        chance = np.ones(len(pool))
        for bound in self.problem.bounds:
            chance *= self._chance_within(bound, pool, believed)
        if self.success is not None:
            # Least-squares classification: Rasmussen and Williams, 2006, section 6.5.
            chance *= np.maximum(
                1.0 - self.success.belief(pool.features).chance_below(0.5), LEAST_CHANCE
            )
        return chance

    def _chance_within(self, bound: Bound, pool: Pool, believed: Believed) -> Array:
        if bound.name not in self.learned and bound.name not in pool.cheap:
            return np.ones(len(pool))
        sign = self.problem.once(signs_of)[bound.name]
        below = believed(bound.name).chance_below(sign * bound.limit)
        chance = below if sign == bound.sign else 1.0 - below
        counted = pool.cheap.get(bound.name, np.full(len(pool), np.nan))
        return np.where(np.isnan(counted), chance, bound.violations(counted) == 0.0)

    def scored(self, pool: Pool, *, levelled: bool = False) -> tuple[Array, Extent]:
        """Return what `score` returns, and the extent as an optimist sees it before measuring.

        Args:
            pool: n candidates.
            levelled: Take all of them to be equally uncertain.
        """
        believed = self.believed(pool)
        beliefs, chance = self._of_objectives(believed), self._chance(pool, believed)
        if levelled:
            beliefs = [belief.levelled() for belief in beliefs]
        extent = self._extent(beliefs, chance)
        return self._gains(beliefs, extent) * chance, extent

    def score(self, pool: Pool, extent: Extent) -> Array:
        """Return (n,) expected gains of hypervolume, each times the chance to be feasible."""
        believed = self.believed(pool)
        return self._gains(self._of_objectives(believed), extent) * self._chance(pool, believed)

    def _extent(self, beliefs: list[Belief], chance: Array) -> Extent:
        hopeful = np.stack([belief.quantile(-OPTIMISM) for belief in beliefs], axis=1)
        hopeful = hopeful[chance >= min(0.5, float(chance.max()))]
        seen = np.concatenate([self.front, hopeful])
        best = seen[non_dominated(seen)]
        return Extent(best.min(axis=0), best.max(axis=0))

    def _gains(self, beliefs: list[Belief], extent: Extent) -> Array:
        rows = self._hopeful(beliefs, extent.reference)
        gains = np.zeros(len(beliefs[0]))
        boxes = self.parts.boxes(extent.reference)
        step = max(_LARGEST_TABLE // (len(boxes[0]) + 1), 1)
        for start in range(0, len(rows), step):
            some = rows[start : start + step]
            gains[some] = _expected_volume([belief.at(some) for belief in beliefs], boxes, extent)
        return gains

    def _hopeful(self, beliefs: list[Belief], reference: Array) -> NDArray[np.int64]:
        """Return the candidates that are not dominated even where an optimist sees them."""
        best = np.stack([belief.quantile(-HOPELESS) for belief in beliefs], axis=1)
        kept = (best < reference).all(axis=1)
        for point in self.front:
            kept &= (best < point).any(axis=1)
        return np.flatnonzero(kept)


def _expected_volume(beliefs: list[Belief], boxes: tuple[Array, Array], extent: Extent) -> Array:
    """Return (n,) volumes that candidates add: up to the reference, less what boxes hold."""
    lower, upper = boxes
    n_candidates = len(beliefs[0])
    whole, shared = np.ones(n_candidates), np.ones((n_candidates, len(lower)))
    for axis, belief in enumerate(beliefs):
        corners = np.concatenate([lower[:, axis], upper[:, axis], extent.reference[[axis]]])
        thresholds, where = np.unique(corners, return_inverse=True)
        finite = np.isfinite(thresholds)
        gains = np.zeros((n_candidates, len(thresholds)))
        gains[:, finite] = belief.expected_gain(thresholds[finite]) / extent.span[axis]
        gains = gains[:, where]
        whole *= gains[:, -1]
        shared *= gains[:, len(lower) : -1] - gains[:, : len(lower)]
    return np.asarray(np.maximum(whole - shared.sum(axis=1), 0.0))
