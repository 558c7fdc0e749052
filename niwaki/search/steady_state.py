"""Searchers that evolve without generations: what they share."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.core.errors import ConfigError
from niwaki.core.limits import require_share
from niwaki.core.measurement import Trial
from niwaki.search.asked import Asked
from niwaki.search.base import Problem, Searcher
from niwaki.search.ranking import front_numbers


class SteadyState(Searcher):
    """Takes in one measured candidate at a time; failed ones never join.

    Args:
        problem: What is searched.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._asked = Asked(problem)

    def ask(self, n: int, pending: Sequence[Candidate] = ()) -> list[Candidate]:  # noqa: ARG002
        return self._asked.draw(n, self._propose)

    def tell(self, trials: Sequence[Trial]) -> None:
        self._asked.told(trials)
        rows = zip(
            trials, self._problem.costs(trials), self._problem.violations(trials), strict=True
        )
        for trial, costs, violation in rows:
            if np.isfinite(violation):
                self._admit(trial.candidate, costs, violation)

    def resume(self, asked: Sequence[Candidate]) -> None:
        self._asked.resume(asked)

    def _founder(
        self, rng: np.random.Generator, n_random: int | None, *, full: int, n_living: int
    ) -> Candidate | None:
        """Return a candidate that has no parents yet, or None if it is time to breed.

        Args:
            rng: Of this ask.
            n_random: How many are drawn at random beside the initial ones; None for as many as make
                the population `full`, and until two are alive.
            full: Size of the population.
            n_living: How many are alive.
        """
        problem = self._problem
        if n_random is None:
            begins = len(self._asked) < full or n_living < 2
            return problem.space.sample(rng) if begins else None
        if len(self._asked) < len(problem.initial) + n_random:
            return problem.space.sample(rng)
        if n_living:
            return None
        known = problem.initial  # on their way, and all that is known to be any good
        if not known:
            return problem.space.sample(rng)
        return problem.space.mutate(known[int(rng.integers(len(known)))], rng)

    @abstractmethod
    def _admit(self, candidate: Candidate, costs: NDArray[np.float64], violation: float) -> None:
        """Let a measured candidate join.

        Args:
            candidate: Was not failed.
            costs: (m,) minimised; finite if the violation is 0.
            violation: Finite; 0 is feasible.
        """

    @abstractmethod
    def _propose(self, rng: np.random.Generator) -> Candidate:
        """Return a candidate, perhaps one that is known; `rng` belongs to this ask alone."""


def require_random(n_random: int | None) -> None:
    """Refuse a negative number of random candidates.

    Raises:
        ConfigError: If it is negative.
    """
    if n_random is not None and n_random < 0:
        raise ConfigError(f"'n_random' is {n_random}: give at least 0, or null")


@dataclass(frozen=True)
class EvolutionSettings:
    """Settings of `Evolution`; the defaults suit budgets of 100 to 300 evaluations.

    Attributes:
        population_size: How many survive.
        crossover_probability: How often a child has two parents; else it is a mutant of one.
        mutation_probability: How often a child of two parents is mutated as well. A child that was
            asked for before always is, until it is new.
        n_random: How many candidates are drawn at random before any is bred, beside those that the
            search starts with; 0 breeds from these at once. None fills the population.

    Raises:
        ConfigError: If a population is smaller than 2, a probability is not in [0, 1], or a number
            is negative.
    """

    population_size: int = 20
    crossover_probability: float = 0.9
    mutation_probability: float = 0.2
    n_random: int | None = None

    def __post_init__(self) -> None:
        if self.population_size < 2:
            raise ConfigError(f"'population_size' is {self.population_size}: give at least 2")
        require_random(self.n_random)
        require_share(self, "crossover_probability", "mutation_probability")


@dataclass(frozen=True)
class Survivors:
    """Who stays, of n candidates.

    Attributes:
        kept: Indices.
        standing: The same length; of two drawn at random, the one that stands lower is a parent.
    """

    kept: NDArray[np.int64]
    standing: NDArray[np.int64]


class Evolution(SteadyState):
    """Breeds from survivors: a measured candidate joins, and the worst leaves, at once.

    Subclasses say who of the feasible ones survives; infeasible ones only fill what places are
    left. Crossover and mutation are the space's own.

    Args:
        problem: What is searched.
        settings: Of breeding.

    References:
        Durillo, Nebro, Luna and Alba, EMO 2009, "On the effect of the steady-state selection scheme
        in multi-objective genetic algorithms".
    """

    def __init__(self, problem: Problem, settings: EvolutionSettings) -> None:
        super().__init__(problem)
        self._settings = settings
        self._survivors: list[Candidate] = []
        self._costs = np.empty((0, len(problem.objectives)))
        self._violations = np.empty(0)
        self._standing = np.empty(0, dtype=np.int64)
        self._last_front: NDArray[np.float64] | None = None  # costs; None if not looked at

    @abstractmethod
    def _choose(self, costs: NDArray[np.float64], n_survive: int) -> Survivors:
        """Choose among feasible candidates.

        Args:
            costs: (n, m) minimised and finite, n >= 1.
            n_survive: How many are kept; at most n.
        """

    def _admit(self, candidate: Candidate, costs: NDArray[np.float64], violation: float) -> None:
        if self._hopeless(costs, violation):
            return
        joined = [*self._survivors, candidate]
        all_costs = np.vstack([self._costs, costs])
        all_violations = np.append(self._violations, violation)
        chosen = self._survive(all_costs, all_violations)
        self._survivors = [joined[i] for i in chosen.kept]
        self._costs, self._violations = all_costs[chosen.kept], all_violations[chosen.kept]
        self._standing = chosen.standing
        self._last_front = None

    def _hopeless(self, costs: NDArray[np.float64], violation: float) -> bool:
        """Whether a newcomer would be the only one behind all survivors, who stay as they are.

        That is what most become in a long run, and it is quicker to see than a new choice.
        """
        if len(self._survivors) < self._settings.population_size or self._violations.any():
            return False
        if violation > 0.0:
            return True
        if self._last_front is None:
            fronts = front_numbers(self._costs)
            self._last_front = self._costs[fronts == fronts.max()]
        no_worse = (self._last_front <= costs).all(axis=1)
        return bool((no_worse & (self._last_front < costs).any(axis=1)).any())

    def _survive(self, costs: NDArray[np.float64], violations: NDArray[np.float64]) -> Survivors:
        """Keep the feasible first, then the infeasible by violation (Deb et al. 2002)."""
        size = self._settings.population_size
        feasible = np.flatnonzero(violations == 0.0)
        if len(feasible) == len(costs):
            return self._choose(costs, min(size, len(costs)))
        infeasible = np.flatnonzero(violations > 0.0)
        infeasible = infeasible[np.argsort(violations[infeasible], kind="stable")]
        nobody = np.empty(0, dtype=np.int64)
        best = Survivors(nobody, nobody)
        if len(feasible):
            best = self._choose(costs[feasible], min(size, len(feasible)))
        rest = infeasible[: size - len(best.kept)]
        last = best.standing.max(initial=-1) + 1 + np.arange(len(rest))
        return Survivors(
            np.concatenate([feasible[best.kept], rest]), np.concatenate([best.standing, last])
        )

    def _propose(self, rng: np.random.Generator) -> Candidate:
        space, settings = self._problem.space, self._settings
        n_living = len(self._survivors)
        founder = self._founder(
            rng, settings.n_random, full=settings.population_size, n_living=n_living
        )
        if founder is not None:
            return founder
        parent = self._select(rng)
        if rng.random() >= self._settings.crossover_probability:
            return space.mutate(parent, rng)
        child = space.crossover(parent, self._select(rng), rng)
        if rng.random() < self._settings.mutation_probability:
            return space.mutate(child, rng)
        return child

    def _select(self, rng: np.random.Generator) -> Candidate:
        """Binary tournament: of two survivors drawn at random, the one that stands lower."""
        first, second = map(int, rng.integers(len(self._survivors), size=2))
        better = first if self._standing[first] <= self._standing[second] else second
        return self._survivors[better]
