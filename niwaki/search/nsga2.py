"""NSGA-II without generations: every measurement counts at once, and no worker waits."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.core.errors import ConfigError
from niwaki.core.measurement import Trial
from niwaki.search.asked import Asked
from niwaki.search.base import Problem, Searcher


@dataclass(frozen=True)
class NSGA2Settings:
    """Settings of `NSGA2`; the defaults suit budgets of 100 to 300 evaluations.

    Attributes:
        population_size: How many survive; also how many candidates are drawn at random first.
        crossover_probability: How often a child has two parents; else it is a mutant of one.
        mutation_probability: How often a child of two parents is mutated as well. A child that was
            asked for before always is, until it is new.

    Raises:
        ConfigError: If a population is smaller than 2, or a probability is not in [0, 1].
    """

    population_size: int = 20
    crossover_probability: float = 0.9
    mutation_probability: float = 0.2

    def __post_init__(self) -> None:
        if self.population_size < 2:
            raise ConfigError(f"'population_size' is {self.population_size}: give at least 2")
        for name in ("crossover_probability", "mutation_probability"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(f"'{name}' is {getattr(self, name)}: give a number in [0, 1]")


class NSGA2(Searcher):
    """Breeds from the survivors by Pareto rank and crowding; the feasible come first.

    A measured candidate joins the survivors, and the worst of them leaves, at once: with no
    generations there is nothing to wait for. Failed trials never join.

    References:
        Deb, Pratap, Agarwal and Meyarivan, IEEE TEC 2002, "A fast and elitist multiobjective
        genetic algorithm: NSGA-II"; steady state as in Durillo, Nebro, Luna and Alba, EMO 2009,
        "On the effect of the steady-state selection scheme in multi-objective genetic algorithms".
        Crossover and mutation are the space's own.
    """

    def __init__(self, problem: Problem, settings: NSGA2Settings | None = None) -> None:
        # pymoo takes more than a second to import: only who evolves pays for it.
        from niwaki.search.pymoo_survival import ranking

        self._ranking = ranking
        self._problem = problem
        self._settings = settings or NSGA2Settings()
        self._asked = Asked(problem)
        # Survivors, best first: their candidates, (n, m) costs and (n,) violations.
        self._survivors: list[Candidate] = []
        self._costs = np.empty((0, len(problem.objectives)))
        self._violations = np.empty(0)

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

    def _admit(self, candidate: Candidate, costs: NDArray[np.float64], violation: float) -> None:
        """Let a measured candidate join, and keep the best."""
        joined = [*self._survivors, candidate]
        all_costs = np.vstack([self._costs, costs])
        all_violations = np.append(self._violations, violation)
        kept = self._ranking(all_costs, all_violations).best_first()
        kept = kept[: self._settings.population_size]
        self._survivors = [joined[i] for i in kept]
        self._costs, self._violations = all_costs[kept], all_violations[kept]

    def _propose(self, rng: np.random.Generator) -> Candidate:
        space = self._problem.space
        if len(self._asked) < self._settings.population_size or len(self._survivors) < 2:
            return space.sample(rng)
        parent = self._select(rng)
        if rng.random() >= self._settings.crossover_probability:
            return space.mutate(parent, rng)
        child = space.crossover(parent, self._select(rng), rng)
        if rng.random() < self._settings.mutation_probability:
            return space.mutate(child, rng)
        return child

    def _select(self, rng: np.random.Generator) -> Candidate:
        """Binary tournament: of two survivors drawn at random, the better one."""
        return self._survivors[int(rng.integers(len(self._survivors), size=2).min())]
