"""Values that say that a candidate is bad, and no more: penalties, and where divergence ends."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

LEAST_GAP = np.log(10.0)  # of logarithms of costs above zero
LEAST_RANGES = 10.0  # of other costs
FEWEST_BEFORE, LEAST_SHARE = 4, 0.5  # of costs before that gap

ALIKE = 0.05  # of the gap before them, at most: how far apart costs are that are alike
LEAST_RANGES_TO_ALIKE = 1.5  # more than from 4 to 8 after 1 and 2: amounts that double go on
FEWEST_BEFORE_ALIKE, LEAST_SHARE_BEFORE_ALIKE = 6, 0.25  # fewer may be near each other by chance


def far_out(costs: Array, good: float) -> Mask:
    """Return (n,) whether a cost tells that a candidate is bad, and not how bad.

    A failure may have been given a million, or an accuracy of 0, and whatever diverges may end at
    the same error. A model of such costs has no room for who is best among the others. They lie
    behind a gap that is wide beside the range of all costs before it: ten times as wide, or, of
    costs above zero, wider by their ratios and tenfold; one and a half times as wide, where two or
    more are alike behind it. Enough costs have to be before it.

    Args:
        costs: (n,) finite.
        good: Up to here nothing is far out: the front may end behind a gap.
    """
    levels = np.sort(costs)
    gaps, ranges = np.diff(levels), levels[:-1] - levels[0]
    n, n_before = len(levels), np.arange(1, len(levels))
    if levels[0] > 0.0:
        ratios = np.log(levels)
        alone = np.diff(ratios) > np.maximum(ratios[:-1] - ratios[0], LEAST_GAP)
    else:
        alone = gaps > LEAST_RANGES * ranges
    alone &= n_before >= max(FEWEST_BEFORE, LEAST_SHARE * n)
    alike = (levels[-1] - levels[1:] <= ALIKE * gaps) & (n_before <= n - 2)
    alike &= gaps > LEAST_RANGES_TO_ALIKE * ranges
    alike &= n_before >= max(FEWEST_BEFORE_ALIKE, LEAST_SHARE_BEFORE_ALIKE * n)
    behind = alone | alike
    behind &= (ranges > 0.0) & (levels[1:] > good)
    last = levels[np.argmax(behind)] if behind.any() else np.inf
    return np.asarray(costs > last)
