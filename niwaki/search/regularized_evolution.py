"""Regularized evolution: mutants of the young, and the oldest retires."""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.core.errors import ConfigError
from niwaki.search.base import Problem
from niwaki.search.ranking import ranking
from niwaki.search.steady_state import SteadyState, require_random


@dataclass(frozen=True)
class RegularizedEvolutionSettings:
    """Settings of `RegularizedEvolution`; the defaults suit budgets of 100 to 300 evaluations.

    Attributes:
        population_size: How many live.
        sample_size: How many of the living compete to become a parent.
        n_random: How many candidates are drawn at random before any is bred, beside those that the
            search starts with; 0 breeds from these at once, as the published search of einspace
            does from its seeds. None fills the population.

    Raises:
        ConfigError: If the population is smaller than 2, the sample not within it, or a number
            negative.
    """

    population_size: int = 32
    sample_size: int = 8
    n_random: int | None = None

    def __post_init__(self) -> None:
        if self.population_size < 2:
            raise ConfigError(f"'population_size' is {self.population_size}: give at least 2")
        require_random(self.n_random)
        if not 1 <= self.sample_size <= self.population_size:
            raise ConfigError(
                f"'sample_size' is {self.sample_size}: "
                f"give at least 1 and at most the population of {self.population_size}"
            )


class RegularizedEvolution(SteadyState):
    """Mutates the best of a random sample of the living; each newcomer retires the oldest.

    Dying of age, not of a bad score, keeps a lucky measurement from ruling forever: good under
    noise. For one objective and no constraint this is the published algorithm. For several, the
    best of the sample is the one of lowest Pareto rank within the living, then the loneliest;
    infeasible ones rank behind, by violation. Failed trials never live.

    References:
        Real, Aggarwal, Huang and Le, AAAI 2019, "Regularized evolution for image classifier
        architecture search", algorithm 1; asynchronous, and without asking twice for one candidate.
    """

    def __init__(
        self, problem: Problem, settings: RegularizedEvolutionSettings | None = None
    ) -> None:
        super().__init__(problem)
        self._settings = settings or RegularizedEvolutionSettings()
        # Oldest first: candidate, (m,) costs, violation.
        self._living: deque[tuple[Candidate, NDArray[np.float64], float]] = deque(
            maxlen=self._settings.population_size
        )
        self._places: NDArray[np.int64] | None = None

    def _admit(self, candidate: Candidate, costs: NDArray[np.float64], violation: float) -> None:
        self._living.append((candidate, costs, violation))
        self._places = None

    def _propose(self, rng: np.random.Generator) -> Candidate:
        settings, n_living = self._settings, len(self._living)
        founder = self._founder(
            rng, settings.n_random, full=settings.population_size, n_living=n_living
        )
        if founder is not None:
            return founder
        sample_size = min(settings.sample_size, n_living)
        sample = rng.choice(len(self._living), size=sample_size, replace=False)
        best = sample[np.argmin(self._place()[sample])]
        return self._problem.space.mutate(self._living[best][0], rng)

    def _place(self) -> NDArray[np.int64]:
        """Return each living candidate's place, 0 for the best, oldest first."""
        if self._places is None:
            _, costs, violations = zip(*self._living, strict=True)
            order = ranking(np.array(costs), np.array(violations)).best_first()
            self._places = np.argsort(order)
        return self._places
