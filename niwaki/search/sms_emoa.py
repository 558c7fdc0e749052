"""SMS-EMOA: whoever adds least to the hypervolume leaves."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from niwaki.search.base import Problem
from niwaki.search.ranking import front_numbers
from niwaki.search.steady_state import Evolution, EvolutionSettings, Survivors


@dataclass(frozen=True)
class SMSEMOASettings(EvolutionSettings):
    """Settings of `SMSEMOA`: those of any evolution."""


class SMSEMOA(Evolution):
    """Keeps the candidates whose fronts dominate the largest volume; steady-state by nature.

    Of two survivors drawn at random, the one on the better front is a parent.

    References:
        Beume, Naujoks and Emmerich, EJOR 2007, "SMS-EMOA: multiobjective selection based on
        dominated hypervolume", algorithm 1. Survival by pymoo, on objectives scaled to [0, 1].
    """

    def __init__(self, problem: Problem, settings: SMSEMOASettings | None = None) -> None:
        # pymoo takes more than a second to import: only who needs it pays for it.
        from niwaki.search.pymoo_survival import PymooSurvival

        super().__init__(problem, settings or SMSEMOASettings())
        self._survival = PymooSurvival.by_hypervolume(len(problem.objectives))

    def _choose(self, costs: NDArray[np.float64], n_survive: int) -> Survivors:
        if costs.shape[1] == 1:  # a volume of one dimension: whoever is worst adds least
            return Survivors(
                np.argsort(costs[:, 0], kind="stable")[:n_survive], np.arange(n_survive)
            )
        kept = self._survival.keep(costs, n_survive)
        return Survivors(kept, front_numbers(costs[kept]))
