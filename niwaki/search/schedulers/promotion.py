"""Which of some candidates gets more effort next."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
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

    Of a problem with goals, each has best ranks of its own, and who promises to add most to all
    fronts together gets more effort; or who is farthest on the front of the goal whose turn it is.

    Attributes:
        problem: Its objectives and bounds, or those of its goals.
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
        goals = self.problem.fronts
        expected = self.estimates.expected_by(goals, waiting)
        before = self.estimates.expected_by(goals, ahead)
        most = max(1, POOL // len(goals))
        found = [_contest(*both, most) for both in zip(expected, before, strict=True)]
        contests = [contest for contest in found if len(contest.pool)]
        if not contests:
            return None
        if self.tie_break == "gain":
            pools = [contest.pool.tolist() for contest in contests]
            rows = np.array(list(dict.fromkeys(chain.from_iterable(pools))))
            gains = np.sum([contest.gains(rows) for contest in contests], axis=0)
            if gains.max() > 0.0:
                return waiting[int(rows[gains.argmax()])].candidate
        return waiting[contests[len(ahead) % len(contests)].loneliest()].candidate


@dataclass(frozen=True)
class _Contest:
    """Who may be promoted for one front.

    Attributes:
        expected: Of all n that wait.
        best: Rows of those that keep to its bounds, or are nearest to that.
        pool: Rows of the best ranks of these.
        front: (k, m) costs of those that got more effort already.
    """

    expected: Expected
    best: NDArray[np.int64]
    pool: NDArray[np.int64]
    front: NDArray[np.float64]

    def gains(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return what each of some rows promises to add to the front, as a share of the whole."""
        gains = np.zeros(len(rows))
        able = np.isin(rows, self.best)
        some = self.expected.of(rows[able])
        gains[able] = expected_gains(some.costs, some.spreads, self.front)
        return gains

    def loneliest(self) -> int:
        """Return the row of the pool's front that is farthest from those chosen before."""
        costs = self.expected.costs[self.pool]
        first = np.flatnonzero(non_dominated(costs))
        return int(self.pool[first[_loneliest(costs[first], self.front)]])


def _contest(expected: Expected, before: Expected, most: int) -> _Contest:
    """Return who may be promoted for one front, `most` and whoever is of the same rank."""
    best = np.flatnonzero(np.isfinite(expected.costs).all(axis=1))
    least = expected.violations[best].min(initial=np.inf)
    best = best[expected.violations[best] == least]
    pool = best[first_fronts(expected.costs[best], most)] if len(best) else best
    front = before.costs[before.violations == 0.0]
    return _Contest(expected, best, pool, front[non_dominated(front)])


def _loneliest(costs: NDArray[np.float64], front: NDArray[np.float64]) -> int:
    """Return the row that is farthest from a front; the nearest to the ideal if there is none."""
    low, high = costs.min(axis=0), costs.max(axis=0)
    span = np.where(high > low, high - low, 1.0)
    scaled = (costs - low) / span
    if len(front) == 0:
        return int(np.linalg.norm(scaled, axis=1).argmin())
    steps = scaled[:, None] - ((front - low) / span)[None]
    return int(np.linalg.norm(steps, axis=2).min(axis=1).argmax())
