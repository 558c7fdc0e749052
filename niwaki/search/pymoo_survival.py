"""Who survives: Pareto rank, then crowding, by pymoo; the feasible always first."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pymoo.operators.survival.rank_and_crowding.metrics import get_crowding_function
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting


@dataclass(frozen=True)
class Ranking:
    """How good n candidates are among themselves.

    Attributes:
        rank: (n,) 0 for the non-dominated feasible ones, then front by front, then the infeasible
            ones by violation; the failed ones share the last rank.
        crowding: (n,) larger is lonelier, which is better; 0 for infeasible and failed ones.
    """

    rank: NDArray[np.int64]
    crowding: NDArray[np.float64]

    def best_first(self) -> NDArray[np.int64]:
        """Return (n,) indices, best first; of equals the earlier one."""
        return np.lexsort((-self.crowding, self.rank))


def ranking(costs: NDArray[np.float64], violations: NDArray[np.float64]) -> Ranking:
    """Rank candidates by constrained domination, and by crowding within a rank.

    Args:
        costs: (n, m), minimised; finite where the violation is 0.
        violations: (n,) 0 is feasible, inf is failed.

    References:
        Deb, Pratap, Agarwal and Meyarivan, IEEE TEC 2002, "A fast and elitist multiobjective
        genetic algorithm: NSGA-II", sections III and VI.
    """
    rank = np.zeros(len(costs), dtype=np.int64)
    crowding = np.zeros(len(costs))
    feasible = np.flatnonzero(violations == 0.0)
    fronts = NonDominatedSorting().do(costs[feasible])
    distance = get_crowding_function("cd")
    for number, front in enumerate(fronts):
        rank[feasible[front]] = number
        crowding[feasible[front]] = distance.do(costs[feasible[front]])
    infeasible = np.flatnonzero(violations > 0.0)
    _, steps = np.unique(violations[infeasible], return_inverse=True)
    rank[infeasible] = len(fronts) + steps
    return Ranking(rank, crowding)
