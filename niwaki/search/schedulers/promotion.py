"""Which of some candidates gets more effort next."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Trial
from niwaki.core.pareto import non_dominated
from niwaki.search.base import Problem
from niwaki.search.schedulers.estimates import Estimates, at_full
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
        trials = self._at_full(waiting)
        violations = self.problem.violations(trials)
        best = np.flatnonzero(violations == violations.min())
        costs = self.problem.costs([trials[i] for i in best])
        best = best[np.isfinite(costs).all(axis=1)]
        if len(best) == 0:
            return None
        pool = best[_best_ranks(self.problem.costs([trials[i] for i in best]))]
        front = self._front_ahead(ahead)
        return waiting[self._pick([waiting[i] for i in pool], pool, front)].candidate

    def _pick(
        self, waiting: Sequence[Trial], pool: NDArray[np.int64], front: NDArray[np.float64]
    ) -> int:
        costs = self.problem.costs(self._at_full(waiting))
        if self.tie_break == "gain":
            gains = expected_gains(costs, self._spreads(waiting), front)
            if gains.max() > 0.0:
                return int(pool[gains.argmax()])
        first = np.flatnonzero(non_dominated(costs))
        return int(pool[first[_loneliest(costs[first], front)]])

    def _front_ahead(self, ahead: Sequence[Trial]) -> NDArray[np.float64]:
        """Return (n, m) costs of those ahead that are feasible, or expected to be."""
        trials = self._at_full(ahead)
        costs = self.problem.costs(trials)[self.problem.violations(trials) == 0.0]
        return np.asarray(costs[non_dominated(costs)])

    def _at_full(self, trials: Sequence[Trial]) -> list[Trial]:
        return [at_full(trial, self.estimates.corrections) for trial in trials]

    def _spreads(self, trials: Sequence[Trial]) -> NDArray[np.float64]:
        names = [objective.name for objective in self.problem.objectives]
        corrections = [self.estimates.corrections[trial.measurement.fidelity] for trial in trials]
        return np.array([[correction.spread(name) for name in names] for correction in corrections])


def _best_ranks(costs: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return rows of the first fronts: as many fronts as make up the pool, whole ones."""
    left = np.arange(len(costs))
    chosen: list[NDArray[np.int64]] = []
    while len(left) and sum(map(len, chosen)) < POOL:
        on = non_dominated(costs[left])
        chosen.append(left[on])
        left = left[~on]
    return np.concatenate(chosen)


def _loneliest(costs: NDArray[np.float64], front: NDArray[np.float64]) -> int:
    """Return the row that is farthest from a front; the nearest to the ideal if there is none."""
    low, high = costs.min(axis=0), costs.max(axis=0)
    span = np.where(high > low, high - low, 1.0)
    scaled = (costs - low) / span
    if len(front) == 0:
        return int(np.linalg.norm(scaled, axis=1).argmin())
    steps = scaled[:, None] - ((front - low) / span)[None]
    return int(np.linalg.norm(steps, axis=2).min(axis=1).argmax())
