"""Values that are bad beyond all others, such as penalties, and what is left of them."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEAST_GAP = np.log(10.0)  # of logarithms of costs above zero
LEAST_RANGES = 10.0  # of other costs: how bad networks are that learn nothing tells who is good


def drawn_in(costs: Array, good: float) -> Array:
    """Return (n,) costs of which those that are far out say no more than that they are bad.

    A failure may have been given a million. A model that has to explain how bad it is has no room
    for who is best among the others. What is far out lies behind a gap that is wider than the range
    of all costs before it, at least half of them all; half that range is left of the gap. Costs
    above zero are compared by their ratios.

    Args:
        costs: (n,) finite.
        good: Up to here nothing is drawn in: the front may end far out.
    """
    by_ratios = costs.min() > 0.0
    levels = np.sort(np.log(costs) if by_ratios else costs)
    ranges, gaps = levels[:-1] - levels[0], np.diff(levels)
    wide = gaps > (np.maximum(ranges, LEAST_GAP) if by_ratios else LEAST_RANGES * ranges)
    wide &= (ranges > 0.0) & (np.arange(1, len(levels)) >= len(levels) / 2)
    if not wide.any():
        return costs
    last = int(np.argmax(wide))
    end = float(levels[last] + 0.5 * ranges[last])
    return np.minimum(costs, max(good, float(np.exp(end)) if by_ratios else end))
