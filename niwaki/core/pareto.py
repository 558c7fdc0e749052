"""Fronts of minimised costs: dominance, hypervolume, the knee."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Costs = NDArray[np.float64]


def non_dominated(costs: Costs) -> NDArray[np.bool_]:
    """Mark the rows that no other row dominates.

    Args:
        costs: (n, m), minimised. A row with NaN is never on the front.

    Returns:
        (n,) bool. Of identical rows, all are kept.
    """
    keep = np.zeros(len(costs), dtype=bool)
    valid = np.flatnonzero(~np.isnan(costs).any(axis=1))
    if len(valid) == 0:
        return keep
    unique, inverse = np.unique(costs[valid], axis=0, return_inverse=True)
    keep[valid] = _first_of_front(unique)[inverse.reshape(-1)]
    return keep


def _first_of_front(ordered: Costs) -> NDArray[np.bool_]:
    """Mark the rows that no other row dominates or equals, of rows in lexicographic order."""
    keep = np.zeros(len(ordered), dtype=bool)
    if ordered.shape[1] == 2 and len(ordered):
        best = np.minimum.accumulate(ordered[:, 1])
        keep[0], keep[1:] = True, ordered[1:, 1] < best[:-1]
        return keep
    # In this order a row can only be dominated by an earlier one: the first of those left is on.
    rows, left = np.arange(len(ordered)), ordered
    while len(left):
        keep[rows[0]] = True
        others = ~(left[0] <= left).all(axis=1)
        rows, left = rows[others], left[others]
    return keep


def grown(front: Costs, point: NDArray[np.float64]) -> Costs:
    """Return a front with one more point: the same object if the point adds nothing to it.

    Args:
        front: (k, m) minimised, no row dominates or equals another.
        point: (m,) without NaN.
    """
    if (front <= point).all(axis=1).any():
        return front
    return np.vstack([front[~(point <= front).all(axis=1)], point])


def fronts(costs: Costs) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of the front, then those of the next one, until none is left.

    Args:
        costs: (n, m), minimised. A row with NaN is on no front.
    """
    left = np.flatnonzero(~np.isnan(costs).any(axis=1))
    if costs.shape[1] == 1:  # as many fronts as there are values
        order = left[np.argsort(costs[left, 0], kind="stable")]
        steps = np.flatnonzero(costs[order[1:], 0] != costs[order[:-1], 0]) + 1
        yield from (front for front in np.split(order, steps) if len(front))
        return
    while len(left):
        on = non_dominated(costs[left])
        yield left[on]
        left = left[~on]


def first_fronts(costs: Costs, n: int) -> NDArray[np.int64]:
    """Return the rows of whole fronts, the best first, as many as make up at least `n` rows.

    Args:
        costs: (n_rows, m), minimised. A row with NaN is on no front.
        n: At least 1; all rows of fronts are returned if there are fewer.
    """
    chosen: list[NDArray[np.int64]] = []
    for front in fronts(costs):
        chosen.append(front)
        if sum(map(len, chosen)) >= n:
            break
    return np.concatenate([np.zeros(0, dtype=np.int64), *chosen])


def hypervolume(costs: Costs, reference: NDArray[np.float64]) -> float:
    """Return the volume that the rows dominate, up to a reference point.

    Exact for any number of objectives: a sweep for two, above them the recursion of WFG, one
    dimension less at each level.

    Args:
        costs: (n, m), minimised; rows with NaN are ignored.
        reference: (m,), the worst corner.

    References:
        While, Bradstreet and Barone, IEEE TEC 2012, "A fast way of calculating exact hypervolumes".
    """
    return _volume(costs[(costs < reference).all(axis=1)], reference)


def own_volume(point: NDArray[np.float64], others: Costs, reference: NDArray[np.float64]) -> float:
    """Return the volume that a point dominates and others do not, up to a reference point.

    Args:
        point: (m,) minimised.
        others: (n, m) minimised.
        reference: (m,), the worst corner.

    References:
        While, Bradstreet and Barone, as in `hypervolume`: the exclusive hypervolume.
    """
    if not (point < reference).all():
        return 0.0
    shared = hypervolume(np.maximum(others, point), reference)
    return max(0.0, float(np.prod(reference - point)) - shared)  # below 0 by rounding alone


def _volume(points: Costs, reference: NDArray[np.float64]) -> float:
    """Volume that points dominate, all of them better than the reference in every objective."""
    ordered = points[np.lexsort(points.T[::-1])]
    front = ordered[_first_of_front(ordered)]
    if len(front) <= 1 or front.shape[1] == 1:
        return float(np.prod(reference - front, axis=1).sum())
    if front.shape[1] == 2:
        heights = np.concatenate(([reference[1]], front[:-1, 1])) - front[:, 1]
        return float(((reference[0] - front[:, 0]) * heights).sum())
    # Worst first in the last objective: what a point shares with the later ones then has the
    # point's own value there, and is a volume of one dimension less.
    front = front[np.argsort(-front[:, -1], kind="stable")]
    total = 0.0
    for row, point in enumerate(front):
        shared = _volume(np.maximum(front[row + 1 :, :-1], point[:-1]), reference[:-1])
        alone = float(np.prod(reference[:-1] - point[:-1])) - shared
        total += alone * float(reference[-1] - point[-1])
    return total


def knee(costs: Costs, weights: Sequence[float] | NDArray[np.float64] | None = None) -> int:
    """Return the row of the front's knee: nearest to the ideal point after scaling to [0, 1].

    Args:
        costs: (n, m) with n >= 1, all rows on the front.
        weights: m factors of the distance in each objective; 1 each if not given.
    """
    low, high = costs.min(axis=0), costs.max(axis=0)
    scaled = (costs - low) / np.where(high > low, high - low, 1.0)
    factors = np.ones(costs.shape[1]) if weights is None else np.asarray(weights)
    return int(np.argmin(np.linalg.norm(scaled * factors, axis=1)))


def scale_of(front: Costs, costs: Costs) -> NDArray[np.float64]:
    """Return (m,) ranges of the front, of all costs where it has none, and 1 where these have none.

    A front may be one point, or of one width: then all that is known gives the scale.

    Args:
        front: (k, m) rows of `costs`, k >= 1.
        costs: (n, m) finite.
    """
    width = np.ptp(front, axis=0)
    ranges = np.where(width > 0.0, width, np.ptp(costs, axis=0))
    return np.asarray(np.where(ranges > 0.0, ranges, 1.0))


def reference_point(costs: Costs, *, margin: float = 0.1) -> NDArray[np.float64]:
    """Return the worst corner of `costs`, moved out by `margin` of each objective's range.

    Args:
        costs: (n, m) with at least one row free of NaN.
        margin: Share of the range.
    """
    low, high = np.nanmin(costs, axis=0), np.nanmax(costs, axis=0)
    span = np.where(high > low, high - low, np.maximum(np.abs(high), 1.0))
    return np.asarray(high + margin * span)
