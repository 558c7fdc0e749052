"""Fronts of minimised costs: dominance, hypervolume, the knee."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Costs = NDArray[np.float64]

N_AT_ONCE = 64  # rows that are compared with all others in one step
LARGEST_GRID = 2**15  # numbers that a volume is found with at once; beyond, by recursion
_EARLIER = np.triu(np.ones((N_AT_ONCE, N_AT_ONCE), dtype=bool), k=1)


def non_dominated(costs: Costs) -> NDArray[np.bool_]:
    """Mark the rows that no other row dominates.

    Args:
        costs: (n, m), minimised. A row with NaN is never on the front.

    Returns:
        (n,) bool. Of identical rows, all are kept.
    """
    keep = np.zeros(len(costs), dtype=bool)
    rows, ordered = _in_order(costs)
    keep[rows[_on_front(ordered)]] = True
    return keep


def _in_order(costs: Costs) -> tuple[NDArray[np.int64], Costs]:
    """Return the rows without NaN in lexicographic order: (k,) their numbers and (k, m) costs."""
    valid = np.flatnonzero(~np.isnan(costs).any(axis=1))
    rows = valid[np.lexsort(costs[valid].T[::-1])]
    return rows, costs[rows]


def _on_front(ordered: Costs) -> NDArray[np.bool_]:
    """Mark the rows that no other row dominates, of rows in lexicographic order."""
    new = np.ones(len(ordered), dtype=bool)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return np.asarray(_first_of_front(ordered[new])[np.cumsum(new) - 1])


def _first_of_front(ordered: Costs) -> NDArray[np.bool_]:
    """Mark the rows that no other row dominates or equals, of rows in lexicographic order."""
    keep = np.zeros(len(ordered), dtype=bool)
    if ordered.shape[1] == 2 and len(ordered):
        best = np.minimum.accumulate(ordered[:, 1])
        keep[0], keep[1:] = True, ordered[1:, 1] < best[:-1]
        return keep
    # In this order a row can only be dominated by an earlier one: some at a time, the first of
    # those left are compared with each other, and those of them that are on with all others.
    rows = np.arange(len(ordered))
    while len(rows):
        first, rows = rows[:N_AT_ONCE], rows[N_AT_ONCE:]
        earlier = _EARLIER[: len(first), : len(first)]
        worse = (_no_worse(ordered[first], ordered[first]) & earlier).any(axis=0)
        keep[first[~worse]] = True
        if len(rows):
            rows = rows[~_no_worse(ordered[first[~worse]], ordered[rows]).any(axis=0)]
    return keep


def _no_worse(rows: Costs, others: Costs) -> NDArray[np.bool_]:
    """Return (k, n): whether each of k rows is nowhere worse than each of n others."""
    found = rows[:, None, 0] <= others[:, 0]
    for column in range(1, rows.shape[1]):
        found &= rows[:, None, column] <= others[:, column]
    return found


def covered(points: Costs, front: Costs) -> NDArray[np.bool_]:
    """Mark the (n, m) points that some of (k, m) rows is nowhere worse than."""
    found = np.zeros(len(points), dtype=bool)
    left = np.arange(len(points))
    for start in range(0, len(front), N_AT_ONCE):
        here = _no_worse(front[start : start + N_AT_ONCE], points[left]).any(axis=0)
        found[left[here]] = True
        left = left[~here]
    return found


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
    rows, ordered = _in_order(costs)
    if costs.shape[1] == 1:  # as many fronts as there are values
        steps = np.flatnonzero(ordered[1:, 0] != ordered[:-1, 0]) + 1
        yield from (front for front in np.split(rows, steps) if len(front))
        return
    while len(rows):
        on = _on_front(ordered)
        yield np.sort(rows[on])
        rows, ordered = rows[~on], ordered[~on]


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

    Exact for any number of objectives: on a grid for two and for few rows, else by the recursion of
    WFG, one dimension less at each level.

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


def growing_volume(costs: Costs, reference: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n,) the hypervolume of all rows so far, after each row.

    Args:
        costs: (n, m), minimised, in the order of arrival; rows with NaN add nothing.
        reference: (m,), the worst corner.
    """
    front, volume, volumes = costs[:0], 0.0, np.zeros(len(costs))
    for number, row in enumerate(costs):
        if (row < reference).all():
            before, front = front, grown(front, row)
            volume += own_volume(row, before, reference) if front is not before else 0.0
        volumes[number] = volume
    return volumes


def _volume(points: Costs, reference: NDArray[np.float64]) -> float:
    """Volume that points dominate, all of them better than the reference in every objective."""
    ordered = points[np.lexsort(points.T[::-1])]
    front = ordered[_first_of_front(ordered)]
    if len(front) <= 1 or front.shape[1] == 1:
        return float(np.prod(reference - front, axis=1).sum())
    if front.shape[1] == 2 or len(front) ** (front.shape[1] - 1) <= LARGEST_GRID:
        return _volume_on_grid(front, reference)
    # Worst first in the last objective: what a point shares with the later ones then has the
    # point's own value there, and is a volume of one dimension less.
    front = front[np.argsort(-front[:, -1], kind="stable")]
    total = 0.0
    for row, point in enumerate(front):
        shared = _volume(np.maximum(front[row + 1 :, :-1], point[:-1]), reference[:-1])
        alone = float(np.prod(reference[:-1] - point[:-1])) - shared
        total += alone * float(reference[-1] - point[-1])
    return total


def _volume_on_grid(front: Costs, reference: NDArray[np.float64]) -> float:
    """Volume of a front in order of the first objective.

    A staircase of the first two objectives, for each cell of the grid of the others' values.
    """
    n = len(front)
    inside, cells = np.ones((1, n), dtype=bool), np.ones(1)
    for values, worst in zip(front.T[2:], reference[2:], strict=True):
        levels = np.sort(values)
        inside = (inside[:, None] & (values <= levels[:, None])).reshape(-1, n)  # (cells, n)
        cells = (cells[:, None] * _steps(levels, worst)).reshape(-1)
    seen = np.where(inside, front[:, 1], reference[1])
    heights = reference[1] - np.minimum.accumulate(seen, axis=1)
    return float(cells @ heights @ _steps(front[:, 0], reference[0]))


def _steps(rising: NDArray[np.float64], end: np.float64) -> NDArray[np.float64]:
    """Return (n,) distances from each value to the next, and from the last one to the end."""
    return np.asarray(np.concatenate((rising[1:], [end])) - rising)


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
