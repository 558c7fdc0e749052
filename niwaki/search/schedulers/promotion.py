"""Which of some candidates gets more effort next."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Trial
from niwaki.core.pareto import first_fronts, non_dominated
from niwaki.search.base import Problem
from niwaki.search.schedulers.estimates import Estimates, Expected
from niwaki.search.schedulers.promise import expected_gains

TieBreak: TypeAlias = Literal["gain", "spread"]
POOL = 48  # of the best ranks, among which the choice is made


@dataclass(frozen=True)
class Promotion:
    """Chooses by constrained domination first: estimates of the full effort decide.

    Attributes:
        problem: Its objectives and bounds.
        estimates: What the values of each candidate are expected to be at full effort.
        tie_break: Among the best: who promises to add most to the front (`gain`), or who is
            farthest from all that were chosen before (`spread`).

    References:
        Deb et al., IEEE TEC 2002 (constrained domination). Schmucker, Donini, Zafar, Salinas and
        Archambeau, 2021, "Multi-objective asynchronous successive halving": rank by fronts, and
        within one by an epsilon net, which is `spread`.
    """

    problem: Problem
    estimates: Estimates
    tie_break: TieBreak = "gain"

    def choose(self, waiting: Sequence[Trial], ahead: Sequence[Trial]) -> Candidate | None:
        """Return the candidate to promote; None if nobody waits.

        Args:
            waiting: Complete evaluations at one fidelity.
            ahead: The most that is known of the candidates that got more effort already, also if
                that is pending.
        """
        if not waiting:
            return None
        expected = self.estimates.expected(waiting)
        known = np.flatnonzero(np.isfinite(expected.costs).all(axis=1))
        if len(known) == 0:
            return None
        violations = expected.violations[known]
        best = known[violations == violations.min()]
        pool = best[first_fronts(expected.costs[best], POOL)]
        before = self.estimates.expected(ahead)
        front = before.costs[before.violations == 0.0]
        return waiting[int(pool[self._pick(expected.of(pool), front)])].candidate

    def _pick(self, pool: Expected, ahead: NDArray[np.float64]) -> int:
        front = ahead[non_dominated(ahead)]
        if self.tie_break == "gain":
            gains = expected_gains(pool.costs, pool.spreads, front)
            if gains.max() > 0.0:
                return int(gains.argmax())
        first = np.flatnonzero(non_dominated(pool.costs))
        return int(first[_loneliest(pool.costs[first], front)])


def _loneliest(costs: NDArray[np.float64], front: NDArray[np.float64]) -> int:
    """Return the row that is farthest from a front; the nearest to the ideal if there is none."""
    low, high = costs.min(axis=0), costs.max(axis=0)
    span = np.where(high > low, high - low, 1.0)
    scaled = (costs - low) / span
    if len(front) == 0:
        return int(np.linalg.norm(scaled, axis=1).argmin())
    steps = scaled[:, None] - ((front - low) / span)[None]
    return int(np.linalg.norm(steps, axis=2).min(axis=1).argmax())
