"""NSGA-II without generations: every measurement counts at once, and no worker waits."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from niwaki.search.base import Problem
from niwaki.search.ranking import ranking
from niwaki.search.steady_state import Evolution, EvolutionSettings, Survivors


@dataclass(frozen=True)
class NSGA2Settings(EvolutionSettings):
    """Settings of `NSGA2`: those of any evolution."""


class NSGA2(Evolution):
    """Breeds from the survivors by Pareto rank and crowding; the feasible come first.

    References:
        Deb, Pratap, Agarwal and Meyarivan, IEEE TEC 2002, "A fast and elitist multiobjective
        genetic algorithm: NSGA-II"; steady state as in `Evolution`.
    """

    def __init__(self, problem: Problem, settings: NSGA2Settings | None = None) -> None:
        super().__init__(problem, settings or NSGA2Settings())

    def _choose(self, costs: NDArray[np.float64], n_survive: int) -> Survivors:
        kept = ranking(costs, np.zeros(len(costs))).best_first()[:n_survive]
        return Survivors(kept, np.arange(n_survive))
