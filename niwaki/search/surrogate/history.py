"""What was measured, as arrays that grow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Status, Trial
from niwaki.core.pareto import non_dominated
from niwaki.search.base import Problem

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
    """

    problem: Problem
    trials: list[Trial] = field(default_factory=list)
    features: list[Array] = field(default_factory=list)
    costs: list[Array] = field(default_factory=list)
    violations: list[float] = field(default_factory=list)
    values: list[Mapping[str, float]] = field(default_factory=list)

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
        """Return at most about so many trials: the best by dominance, and an even share of all."""
        if len(self) <= most:
            return self
        costs = np.array(self.costs)
        costs[np.array(self.violations) > 0.0] = np.nan
        kept: set[int] = set(np.linspace(0, len(self) - 1, most // 2).astype(int).tolist())
        while len(kept) < most and (best := non_dominated(costs)).any():
            kept.update(np.flatnonzero(best).tolist()[: most - len(kept)])
            costs[best] = np.nan
        rows = sorted(kept)
        return History(
            self.problem,
            [self.trials[row] for row in rows],
            [self.features[row] for row in rows],
            [self.costs[row] for row in rows],
            [self.violations[row] for row in rows],
            [self.values[row] for row in rows],
        )

    def column(self, name: str) -> Array:
        """Return (n,) signed values by this name, NaN where there is none."""
        return np.array([each[name] for each in self.values])

    def known(self, name: str, but: Mask | None = None) -> tuple[Array, Array]:
        """Return (k, d) features and (k,) signed values of the trials that have this value.

        Args:
            name: Of the value.
            but: (n,) trials that are left out.
        """
        values = self.column(name)
        wanted = np.isfinite(values) if but is None else np.isfinite(values) & ~but
        rows = np.flatnonzero(wanted)
        return np.array([self.features[row] for row in rows]), values[rows]

    def outcomes(self, hopeless: Mask) -> tuple[Array, Array]:
        """Return (k, d) features, and (k,) 1 for success and 0 for failure.

        What a cheap count turned away was never tried.

        Args:
            hopeless: (n,) trials that are failures whatever their status says.
        """
        tried = [
            row
            for row, trial in enumerate(self.trials)
            if trial.measurement.status is not Status.INFEASIBLE
        ]
        succeeded = np.isfinite(np.array(self.violations)) & ~hopeless
        return np.array([self.features[row] for row in tried]), succeeded[tried].astype(float)

    def feasible(self) -> tuple[list[Candidate], Array]:
        """Return the feasible candidates, and their (k, m) costs."""
        rows = [row for row, violation in enumerate(self.violations) if violation == 0.0]
        costs = np.array([self.costs[row] for row in rows])
        return [self.trials[row].candidate for row in rows], costs.reshape(
            len(rows), len(self.problem.objectives)
        )
