"""AGE-MOEA: the shape of the front decides what near and far mean."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from niwaki.core.pareto import scale_of
from niwaki.search.base import Problem
from niwaki.search.ranking import front_numbers
from niwaki.search.steady_state import Evolution, EvolutionSettings, Survivors

TINY = 1e-8
LARGEST_POWER = 20.0  # beyond this, powers of shares underflow


@dataclass(frozen=True)
class AgeMoeaSettings(EvolutionSettings):
    """Settings of `AgeMoea`: those of any evolution."""


class AgeMoea(Evolution):
    """Keeps the best fronts and, of the last one, whoever is near the ideal and far from others.

    Nearness is measured by the Minkowski norm that fits the curvature of the first front, so that
    flat, bulging and hollow fronts of many objectives are all covered evenly.

    References:
        Panichella, GECCO 2019, "An adaptive evolutionary algorithm based on non-Euclidean geometry
        for many-objective optimization", algorithms 1 to 3. Steady state as in `Evolution`; each
        objective is scaled by its range before corners are looked for, so that units do not matter.
        pymoo's own needs numba, a compiler; a few dozen candidates do not.
    """

    def __init__(self, problem: Problem, settings: AgeMoeaSettings | None = None) -> None:
        super().__init__(problem, settings or AgeMoeaSettings())

    def _choose(self, costs: NDArray[np.float64], n_survive: int) -> Survivors:
        fronts = front_numbers(costs)
        order = np.lexsort((-survival_scores(costs, fronts), fronts))
        return Survivors(order[:n_survive], np.arange(n_survive))


def survival_scores(costs: NDArray[np.float64], fronts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return (n,) how much each row is worth on its own front; larger is better.

    Args:
        costs: (n, m) minimised and finite, n >= 1.
        fronts: (n,) number of each row's front, 0 for the first.
    """
    first = fronts == 0
    ideal = costs[first].min(axis=0)
    scaled = (costs - ideal) / scale_of(costs[first], costs)
    corners = _corners(scaled[first])
    scaled = scaled / _intercepts(scaled[first], corners)
    power = curvature(scaled[first], corners)
    proximity = np.maximum((np.abs(scaled) ** power).sum(axis=1) ** (1.0 / power), TINY)
    scores = 1.0 / proximity
    scores[first] = _diversity(scaled[first], corners, power, proximity[first])
    return np.asarray(scores)


def curvature(front: NDArray[np.float64], corners: NDArray[np.int64]) -> float:
    """Return the power p of the unit ball that a front scaled to [0, 1] lies on.

    1 is flat, 2 is a sphere, below 1 is hollow. It follows from the point nearest to the diagonal:
    if that were on the diagonal, at distance d in each of m objectives, then m * d**p = 1.

    Args:
        front: (k, m) from the ideal point.
        corners: Rows that are extreme, which say nothing of the middle.
    """
    n_rows, n_objectives = front.shape
    middle = np.setdiff1d(np.arange(n_rows), corners)
    if not middle.size or n_objectives < 2:
        return 1.0
    off_diagonal = front[middle] - front[middle].mean(axis=1, keepdims=True)
    nearest = front[middle[np.argmin((off_diagonal**2).sum(axis=1))]]
    mean = float(nearest.mean())
    if not 0.0 < mean < 1.0:
        return 1.0
    power = float(np.log(n_objectives) / -np.log(mean))
    return min(power, LARGEST_POWER) if power > 0.1 else 1.0


def _corners(front: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return rows that are nearest to one axis each, none of them twice."""
    n_rows, n_objectives = front.shape
    if n_rows <= n_objectives:
        return np.arange(n_rows)
    squares = front**2
    off_axis = squares.sum(axis=1, keepdims=True) - squares  # (k, m) squared distance to each axis
    found: list[int] = []
    for column in off_axis.T:
        column = column.copy()
        column[found] = np.inf
        found.append(int(np.argmin(column)))
    return np.array(found)


def _intercepts(front: NDArray[np.float64], corners: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return (m,) where the plane through the corners cuts the axes, or 1 if it does not.

    Args:
        front: (k, m) from the ideal point, scaled by its ranges.
        corners: Rows.
    """
    n_objectives = front.shape[1]
    ones = np.ones(n_objectives)
    if len(corners) < n_objectives or np.linalg.matrix_rank(front[corners]) < n_objectives:
        return ones
    plane = np.linalg.solve(front[corners], ones)
    return np.asarray(1.0 / plane if (plane > TINY).all() else ones)


def _diversity(
    front: NDArray[np.float64],
    corners: NDArray[np.int64],
    power: float,
    proximity: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return (k,) the score with which each row joins those chosen before it, the corners first."""
    apart = (np.abs(front[:, None] - front) ** power).sum(axis=2) ** (1.0 / power)
    worth = np.maximum(apart, TINY) / proximity[:, None]
    scores = np.full(len(front), np.inf)
    rest = np.setdiff1d(np.arange(len(front)), corners)
    # Of each row, how much it is worth beside the two nearest of those chosen.
    nearest = np.sort(worth[:, corners], axis=1)[:, :2]
    while rest.size:
        sums = nearest[rest].sum(axis=1)
        best = rest[np.argmax(sums)]
        scores[best] = sums.max()
        rest = rest[rest != best]
        nearest = np.sort(np.column_stack([nearest, worth[:, best]]), axis=1)[:, :2]
    return scores
