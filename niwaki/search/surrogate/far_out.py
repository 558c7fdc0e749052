"""Values that are bad beyond all others, such as penalties, and what is left of them."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Spreads above the median from which on a cost is far out, and how many of them are left of it.
# Half of all costs lie within one spread, from the best to the median.
BY_RATIOS = (10.0, 2.0)  # of costs above zero
STRAIGHT = (100.0, 10.0)  # of others: how bad networks are that fail to learn tells who is good
_LARGEST_EXPONENT = 600.0


def drawn_in(costs: Array, good: float) -> Array:
    """Return (n,) costs of which those that are far out say no more than that they are bad.

    A failure may have been given a million. A model that has to explain how bad it is has no room
    for who is best among the others.

    Args:
        costs: (n,) finite.
        good: Up to here nothing is drawn in: the front may end far out.
    """
    low, middle = float(costs.min()), float(np.median(costs))
    if middle == low:
        return costs
    if low > 0.0:
        spread = np.log(middle) - np.log(low)
        far, left = (middle * np.exp(min(n * spread, _LARGEST_EXPONENT)) for n in BY_RATIOS)
    else:
        far, left = (middle + n * (middle - low) for n in STRAIGHT)
    return np.minimum(costs, max(good, left)) if costs.max() > far else costs
