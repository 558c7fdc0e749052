"""What was measured, as arrays that grow."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Status, Trial
from niwaki.core.pareto import fronts, non_dominated
from niwaki.search.base import Problem
from niwaki.search.ranking import crowding
from niwaki.search.surrogate.far_out import far_out

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def signs_of(problem: Problem) -> Mapping[str, float]:
    """Return the names of all values that matter, +1 if less is better."""
    signs = {bound.name: bound.sign for bound in problem.bounds}
    return signs | {objective.name: objective.sign for objective in problem.objectives}


@dataclass
class History:
    """Trials in the order of telling.

    Attributes:
        problem: What is searched.
        trials: All that were told.
        features: (d,) of each trial.
        costs: (m,) of each, minimised, NaN where there is none.
        violations: Of each; 0 is feasible, inf is failed.
        values: For each, the values that matter by name, signed so that less is better.
        best: (k, m) costs of the front, if trials of it were left out.
    """

    problem: Problem
    trials: list[Trial] = field(default_factory=list)
    features: list[Array] = field(default_factory=list)
    costs: list[Array] = field(default_factory=list)
    violations: list[float] = field(default_factory=list)
    values: list[Mapping[str, float]] = field(default_factory=list)
    best: Array | None = None

    def __len__(self) -> int:
        return len(self.trials)

    def add(self, trials: Sequence[Trial], features: Array) -> None:
        """Append trials and their (n, d) features."""
        signs = signs_of(self.problem)
        self.trials.extend(trials)
        self.features.extend(features)
        self.costs.extend(self.problem.costs(trials))
        self.violations.extend(self.problem.violations(trials).tolist())
        for trial in trials:
            failed = trial.measurement.status is Status.FAILED
            values = {} if failed else trial.measurement.values
            self.values.append({name: signs[name] * values.get(name, np.nan) for name in signs})

    def first(self, n: int) -> "History":
        """Return the history as it was after `n` trials."""
        return History(
            self.problem,
            self.trials[:n],
            self.features[:n],
            self.costs[:n],
            self.violations[:n],
            self.values[:n],
        )

    def condensed(self, most: int) -> "History":
        """Return at most so many trials: an even share of those tried, and the best by dominance.

        Of a front that is too large those are kept that are lonely on it. What breaks bounds is
        behind all fronts, least broken first.
        """
        if len(self) <= most:
            return self
        costs, violations = np.array(self.costs), np.array(self.violations)
        costs[violations > 0.0] = np.nan
        tried = self._tried()
        places = np.linspace(0, len(tried) - 1, min(most // 2, len(tried))).astype(int)
        kept: set[int] = {tried[place] for place in places.tolist()}
        best = costs[:0]
        for number, front in enumerate(fronts(costs)):
            lonely = front[np.argsort(-crowding(costs[front]), kind="stable")]
            if number == 0:
                best = costs[np.sort(lonely[:most])]
            new = [row for row in lonely.tolist() if row not in kept]
            kept.update(new[: most - len(kept)])
            if len(kept) >= most:
                break
        others = [row for row in tried if row not in kept and np.isfinite(violations[row])]
        others.sort(key=lambda row: violations[row])
        rows = sorted([*kept, *others[: most - len(kept)]])
        return History(
            self.problem,
            [self.trials[row] for row in rows],
            [self.features[row] for row in rows],
            [self.costs[row] for row in rows],
            [self.violations[row] for row in rows],
            [self.values[row] for row in rows],
            best,
        )

    def column(self, name: str) -> Array:
        """Return (n,) signed values by this name, NaN where there is none."""
        return np.array([each[name] for each in self.values])

    def known(self, name: str) -> tuple[Array, Array]:
        """Return (k, d) features and (k,) signed values of the trials that have this value."""
        values = self.column(name)
        rows = np.flatnonzero(np.isfinite(values))
        return np.array([self.features[row] for row in rows]), values[rows]

    def outcomes(self) -> tuple[Array, Array]:
        """Return (k, d) features, and (k,) 1 for success and 0 for failure.

        What a cheap count turned away was never tried.
        """
        tried = self._tried()
        succeeded = np.isfinite(np.array(self.violations))
        return np.array([self.features[row] for row in tried]), succeeded[tried].astype(float)

    def _tried(self) -> list[int]:
        """Return the rows that a cheap count did not turn away."""
        turned_away = Status.INFEASIBLE
        return [n for n, t in enumerate(self.trials) if t.measurement.status is not turned_away]

    def without_penalties(self, names: Iterable[str]) -> "History":
        """Return the history in which values that are far out are none, and their trials failed.

        Args:
            names: Of the values that are looked at. What has a bound is never far out.
        """
        far = self._far_out(names)
        anywhere = np.zeros(len(self), dtype=np.bool_)
        for mask in far.values():
            anywhere |= mask
        if not anywhere.any():
            return self
        values, costs, violations = list(self.values), list(self.costs), list(self.violations)
        for row in np.flatnonzero(anywhere):
            penalties = {name: np.nan for name, mask in far.items() if mask[row]}
            values[row] = {**values[row], **penalties}
            lost = [objective.name in penalties for objective in self.problem.objectives]
            costs[row] = np.where(lost, np.nan, costs[row])
            violations[row] = np.inf
        return replace(self, values=values, costs=costs, violations=violations)

    def _far_out(self, names: Iterable[str]) -> dict[str, Mask]:
        """Return by name (n,) whether the value is far out."""
        ends = self.front().max(axis=0, initial=-np.inf)
        objectives = self.problem.objectives
        good = {obj.name: float(end) for obj, end in zip(objectives, ends, strict=True)}
        bounded = {bound.name for bound in self.problem.bounds}
        masks = {}
        for name in (name for name in names if name not in bounded):
            values = self.column(name)
            masks[name] = mask = np.zeros(len(values), dtype=np.bool_)
            measured = np.isfinite(values)
            if measured.any():
                mask[measured] = far_out(values[measured], good[name])
        return masks

    def front(self) -> Array:
        """Return the (k, m) costs of the feasible candidates that none dominates."""
        if self.best is not None:
            return self.best
        _, costs = self.feasible()
        return costs[non_dominated(costs)]

    def feasible(self) -> tuple[list[Candidate], Array]:
        """Return the feasible candidates, and their (k, m) costs."""
        rows = [row for row, violation in enumerate(self.violations) if violation == 0.0]
        costs = np.array([self.costs[row] for row in rows])
        return [self.trials[row].candidate for row in rows], costs.reshape(
            len(rows), len(self.problem.objectives)
        )
