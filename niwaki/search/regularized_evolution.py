"""Regularized evolution: mutants of the young, and the oldest retires."""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.core.errors import ConfigError
from niwaki.search.base import Problem
from niwaki.search.ranking import ranking
from niwaki.search.steady_state import SteadyState


@dataclass(frozen=True)
class RegularizedEvolutionSettings:
    """Settings of `RegularizedEvolution`; the defaults suit budgets of 100 to 300 evaluations.

    Attributes:
        population_size: How many live; also how many candidates are drawn at random first.
        sample_size: How many of the living compete to become a parent.

    Raises:
        ConfigError: If the population is smaller than 2, or the sample not within it.
    """

    population_size: int = 32
    sample_size: int = 8

    def __post_init__(self) -> None:
        if self.population_size < 2:
            raise ConfigError(f"'population_size' is {self.population_size}: give at least 2")
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
        space = self._problem.space
        if len(self._asked) < self._settings.population_size or len(self._living) < 2:
            return space.sample(rng)
        sample_size = min(self._settings.sample_size, len(self._living))
        sample = rng.choice(len(self._living), size=sample_size, replace=False)
        best = sample[np.argmin(self._place()[sample])]
        return space.mutate(self._living[best][0], rng)

    def _place(self) -> NDArray[np.int64]:
        """Return each living candidate's place, 0 for the best, oldest first."""
        if self._places is None:
            _, costs, violations = zip(*self._living, strict=True)
            order = ranking(np.array(costs), np.array(violations)).best_first()
            self._places = np.argsort(order)
        return self._places
