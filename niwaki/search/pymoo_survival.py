"""Who survives by pymoo's survivals: reference directions (NSGA-III) and hypervolume (SMS-EMOA)."""

import math
import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from pymoo.algorithms.moo.nsga3 import ReferenceDirectionSurvival
from pymoo.algorithms.moo.sms import LeastHypervolumeContributionSurvival
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.survival import Survival
from pymoo.util.ref_dirs import get_reference_directions


def reference_directions(n_objectives: int, most: int) -> NDArray[np.float64]:
    """Return (k, m) points spread evenly over the simplex; the largest k that is at most `most`.

    Where even the corners of the simplex are more than `most`, they are returned.

    References:
        Das and Dennis, SIAM Journal on Optimization 1998, "Normal-boundary intersection".
    """
    n_partitions = 1
    while n_objectives > 1 and math.comb(n_objectives + n_partitions, n_objectives - 1) <= most:
        n_partitions += 1
    directions = get_reference_directions("das-dennis", n_objectives, n_partitions=n_partitions)
    return np.asarray(directions)


class PymooSurvival:
    """One of pymoo's survivals, as a function of costs; units of the objectives do not matter.

    Args:
        n_objectives: m.
        make: Builds the survival of pymoo. A new one each time: one of them remembers the costs
            that it saw, which are scaled anew each time.
    """

    def __init__(self, n_objectives: int, make: Callable[[], Survival]) -> None:
        self._problem = Problem(n_var=1, n_obj=n_objectives)
        self._make = make

    @classmethod
    def by_reference_directions(cls, n_objectives: int, population_size: int) -> "PymooSurvival":
        """Return the survival of NSGA-III."""
        directions = reference_directions(n_objectives, population_size)
        return cls(n_objectives, lambda: ReferenceDirectionSurvival(directions))

    @classmethod
    def by_hypervolume(cls, n_objectives: int) -> "PymooSurvival":
        """Return the survival of SMS-EMOA."""
        return cls(n_objectives, LeastHypervolumeContributionSurvival)

    def keep(
        self, costs: NDArray[np.float64], n_survive: int, rng: np.random.Generator | None = None
    ) -> NDArray[np.int64]:
        """Return indices of survivors, ascending.

        Args:
            costs: (n, m) minimised and finite, n >= 1.
            n_survive: How many, at most.
            rng: Breaks ties, where the survival needs that.
        """
        ranges = np.ptp(costs, axis=0)
        scaled = (costs - costs.min(axis=0)) / np.where(ranges > 0.0, ranges, 1.0)
        individuals = Population.new("F", scaled, "index", np.arange(len(costs)))
        with warnings.catch_warnings():  # pymoo changes the filters of the whole process
            kept = self._make().do(
                self._problem, individuals, n_survive=n_survive, random_state=rng
            )
        return np.sort(kept.get("index").astype(np.int64))
