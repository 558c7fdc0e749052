"""Fronts of minimised costs: dominance, hypervolume, the knee."""

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
    # Sorted lexicographically, a row can only be dominated by an earlier one.
    front: list[int] = []
    for row, point in enumerate(unique):
        if not front or not (unique[front] <= point).all(axis=1).any():
            front.append(row)
    on_front = np.zeros(len(unique), dtype=bool)
    on_front[front] = True
    keep[valid] = on_front[inverse.reshape(-1)]
    return keep


def hypervolume(costs: Costs, reference: NDArray[np.float64]) -> float:
    """Return the volume that the rows dominate, up to a reference point.

    Exact for any number of objectives: a sweep for two, the WFG recursion above.

    Args:
        costs: (n, m), minimised; rows with NaN are ignored.
        reference: (m,), the worst corner.

    References:
        While, Bradstreet and Barone, IEEE TEC 2012, "A fast way of calculating exact hypervolumes".
    """
    inside = costs[(costs < reference).all(axis=1)]
    if len(inside) == 0:
        return 0.0
    front = np.unique(inside[non_dominated(inside)], axis=0)
    return _volume(front, reference)


def _volume(front: Costs, reference: NDArray[np.float64]) -> float:
    """Volume of a non-dominated, lexicographically sorted front."""
    if front.shape[1] == 1:
        return float(reference[0] - front[:, 0].min())
    if front.shape[1] == 2:
        heights = np.concatenate(([reference[1]], front[:-1, 1])) - front[:, 1]
        return float(((reference[0] - front[:, 0]) * heights).sum())
    # Worst first in the last objective keeps the limited sets small.
    ordered = front[np.argsort(-front[:, -1], kind="stable")]
    total = 0.0
    for row, point in enumerate(ordered):
        exclusive = float(np.prod(reference - point))
        rest = ordered[row + 1 :]
        if len(rest):
            limited = np.unique(np.maximum(rest, point), axis=0)
            exclusive -= _volume(limited[non_dominated(limited)], reference)
        total += exclusive
    return total


def knee(costs: Costs) -> int:
    """Return the row of the front's knee: nearest to the ideal point after scaling to [0, 1].

    Args:
        costs: (n, m) with n >= 1, all rows on the front.
    """
    low, high = costs.min(axis=0), costs.max(axis=0)
    scaled = (costs - low) / np.where(high > low, high - low, 1.0)
    return int(np.argmin(np.linalg.norm(scaled, axis=1)))


def reference_point(costs: Costs, *, margin: float = 0.1) -> NDArray[np.float64]:
    """Return the worst corner of `costs`, moved out by `margin` of each objective's range.

    Args:
        costs: (n, m) with at least one row free of NaN.
        margin: Share of the range.
    """
    low, high = np.nanmin(costs, axis=0), np.nanmax(costs, axis=0)
    span = np.where(high > low, high - low, np.maximum(np.abs(high), 1.0))
    return np.asarray(high + margin * span)
