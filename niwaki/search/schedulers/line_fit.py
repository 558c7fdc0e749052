"""From a value measured with less effort to what more effort would give: a cautious line."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

# A number, or (n,) of them.
Values = TypeVar("Values", float, NDArray[np.float64])

CAUTION = 2.0  # pairs that are as strong as the belief in a mere shift
LEAST_SLOPE = 0.05


@dataclass(frozen=True)
class Line:
    """y = intercept + slope x, with a normal error of standard deviation `spread`."""

    intercept: float = 0.0
    slope: float = 1.0
    spread: float = np.inf

    def __call__(self, x: Values) -> Values:
        return self.intercept + self.slope * x


UNKNOWN = Line()
SAME = Line(spread=0.0)


def fit_line(x: NDArray[np.float64], y: NDArray[np.float64]) -> Line:
    """Fit a line to pairs of one value at two efforts.

    The slope is drawn towards 1, a mere shift, as long as there are few pairs, and is never
    negative: more can be said of a candidate that was measured with more effort, but what was
    better is not taken for worse.

    Args:
        x: (n,) at less effort, finite; n may be 0.
        y: (n,) at more effort, finite.
    """
    n = len(x)
    if n == 0:
        return UNKNOWN
    if np.array_equal(x, y):
        return SAME
    deviation = x - x.mean()
    variation = float(deviation @ deviation)
    steeper = float(deviation @ (y - x)) / variation if variation > 0.0 else 0.0
    slope = max(LEAST_SLOPE, 1.0 + steeper * n / (n + CAUTION))
    intercept = float(y.mean()) - slope * float(x.mean())
    residuals = y - intercept - slope * x
    # One pair says nothing about errors: then they are taken to be as large as the shift itself.
    spread = float(np.sqrt(residuals @ residuals / (n - 1))) if n > 2 else float(abs(y - x).max())
    return Line(intercept, slope, spread)
