"""What a searcher would need that had learned from thousands of other rows before its first one.

Its beliefs about a row come from a Gaussian process of the others, as `surrogate` learns them, and
it picks by the same rule. Where even this one needs many evaluations, no searcher that learns from
the few that it has paid for can do with less: what is left is not in the features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.efficiency.own import layout, listed, problem_of
from benchmarks.efficiency.scenario import Scenario
from niwaki.core.pareto import non_dominated
from niwaki.core.randomness import stream
from niwaki.predictors.gaussian.layout import Layout
from niwaki.search.base import Problem
from niwaki.search.surrogate.beliefs import Belief, Normal, learn
from niwaki.search.surrogate.boxes import Decomposition
from niwaki.search.surrogate.history import signs_of
from niwaki.search.surrogate.outlook import Believed, Outlook
from niwaki.search.surrogate.pool import Pool

Array = NDArray[np.float64]

N_KNOWN = 3_000


@dataclass(frozen=True)
class Foresight:
    """How a search goes that knows what other rows foretell.

    Attributes:
        n_known: Rows that it learned from; what it believes of one of these comes from the others.
        needed: For each of `SHARES`, after how many evaluations it is reached; None if it is not.
        n_evaluations: How many were allowed.
    """

    n_known: int
    needed: Sequence[int | None]
    n_evaluations: int

    @classmethod
    def of(cls, scenario: Scenario, n_evaluations: int) -> "Foresight":
        """Search a scenario by what a search is told of all its rows."""
        problem = problem_of(scenario, 0)
        pool, rows, costs = listed(scenario)
        valid = np.flatnonzero(np.isfinite(costs).all(axis=1))
        known = np.sort(stream(0, "foresight").permutation(valid)[:N_KNOWN])
        seen = layout(scenario, pool.features.shape[1])
        beliefs = [
            Belief.certain(signs_of(problem)[name] * pool.cheap[name])
            if name in pool.cheap
            else _foretold(pool.features, costs[:, axis], known, seen)
            for axis, name in enumerate(scenario.wanted)
        ]
        picked = _picked(
            problem, pool.at(valid), [b.at(valid) for b in beliefs], costs[valid], n_evaluations
        )
        return cls(len(known), scenario.needed(rows[valid][picked].tolist()), n_evaluations)

    def line(self) -> str:
        """Return it as a sentence."""
        needed = " / ".join("-" if n is None else str(n) for n in self.needed)
        return (
            f"Who has learned from {self.n_known} other rows needs {needed} "
            f"({self.n_evaluations} allowed)."
        )


def _foretold(features: Array, costs: Array, known: NDArray[np.int64], seen: Layout) -> Belief:
    """Return what the known rows say of all, and of a known one the others."""
    learned = learn(features[known], costs[known], seen)
    parts = []
    for part in learned.parts:
        told = part.belief(features)
        mean, std = told.mean, told.std
        mean[known], std[known] = part.column.left_out()
        parts.append(Normal(part.warp, mean, std))
    return Belief(tuple(parts), learned.weights)


@dataclass(frozen=True)
class _Foreseen(Outlook):
    """An outlook of which the beliefs never change.

    Attributes:
        places: Of identities among the beliefs.
        foretold: About each objective.
    """

    places: Mapping[str, int]
    foretold: Sequence[Belief]

    def believed(self, pool: Pool) -> Believed:
        """Return what gives the belief about an objective's cost by name."""
        rows = np.array([self.places[name] for name in pool.identities], dtype=np.int64)
        names = (objective.name for objective in self.problem.objectives)
        told = zip(names, self.foretold, strict=True)
        return {name: belief.at(rows) for name, belief in told}.__getitem__


def _picked(
    problem: Problem, pool: Pool, beliefs: Sequence[Belief], costs: Array, n: int
) -> list[int]:
    """Return places in a pool, each of the largest expected gain after those before."""
    places = {name: place for place, name in enumerate(pool.identities)}
    parts, picked, left = Decomposition.empty(costs.shape[1]), list[int](), np.ones(len(pool), bool)
    for _ in range(min(n, len(pool))):
        front = costs[picked][non_dominated(costs[picked])]
        outlook = _Foreseen(problem, {}, None, front, parts, places, beliefs)
        open_ = np.flatnonzero(left)
        best = int(open_[outlook.scored(pool.at(open_))[0].argmax()])
        picked.append(best)
        left[best] = False
        parts = parts.with_point(costs[best])
    return picked
