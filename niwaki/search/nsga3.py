"""NSGA-III without generations: survivors spread along reference directions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from niwaki.core.randomness import stream
from niwaki.search.base import Problem
from niwaki.search.steady_state import Evolution, EvolutionSettings, Survivors


@dataclass(frozen=True)
class NSGA3Settings(EvolutionSettings):
    """Settings of `NSGA3`: those of any evolution.

    There are as many reference directions as the population allows.
    """


class NSGA3(Evolution):
    """Keeps the candidates nearest to evenly spread directions: for three objectives and more.

    References:
        Deb and Jain, IEEE TEC 2014, "An evolutionary many-objective optimization algorithm using
        reference-point-based nondominated sorting approach, part I"; part II (Jain and Deb) for
        constraints: parents are drawn at random, but the feasible win. Survival by pymoo; steady
        state as in `Evolution`.
    """

    def __init__(self, problem: Problem, settings: NSGA3Settings | None = None) -> None:
        # pymoo takes more than a second to import: only who needs it pays for it.
        from niwaki.search.pymoo_survival import PymooSurvival

        super().__init__(problem, settings or NSGA3Settings())
        self._survival = PymooSurvival.by_reference_directions(
            len(problem.objectives), self._settings.population_size
        )

        self._n_choices = 0

    def _choose(self, costs: NDArray[np.float64], n_survive: int) -> Survivors:
        self._n_choices += 1
        rng = stream(self._problem.seed, "survival", self._n_choices)
        kept = self._survival.keep(costs, n_survive, rng)
        return Survivors(kept, np.zeros(len(kept), dtype=np.int64))
