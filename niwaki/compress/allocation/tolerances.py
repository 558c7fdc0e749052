"""Local tolerances of PAGCP, tied to one global tolerance."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from niwaki.core.errors import ConfigError

_LEAST_RATIO, _LARGEST_RATIO = 1e-6, 1e3


def local_tolerances(first: float, whole: float, n: int) -> NDArray[np.float64]:
    """Return the tolerance of each of n units, in the order of pruning.

    They form a geometric series that starts with `first`, and the losses that they allow one after
    the other multiply to the global tolerance: `prod(1 + first * ratio**i) = whole`.

    Args:
        first: Relative rise of the loss that the first unit may cause, above 0.
        whole: Relative loss that all together may end with, above `1 + first`.
        n: Number of units, at least 1.

    Returns:
        (n,) float64.

    Raises:
        ConfigError: If no ratio ties them together.

    References:
        Ye, Zhang, Chen, Fan, Zhang, IEEE TPAMI 2023, "Performance-aware approximation of global
        channel pruning for multitask CNNs" (arXiv 2303.11923).
    """
    if not (first > 0.0 and n >= 1):
        raise ConfigError(f"the first tolerance is {first} for {n} units: give more than 0 of both")
    if n == 1 and whole > 1.0:
        return np.array([min(first, whole - 1.0)])
    powers = np.arange(n)

    def excess(log_ratio: float) -> float:
        with np.errstate(over="ignore"):
            rises = np.log1p(first * np.exp(log_ratio * powers))
        return float(np.minimum(rises, 1e6).sum() - np.log(whole))

    low, high = np.log(_LEAST_RATIO), np.log(_LARGEST_RATIO)
    if whole <= 1.0 or excess(low) > 0.0 or excess(high) < 0.0:
        raise ConfigError(
            f"a first tolerance of {first} cannot lead to {whole} over {n} units: "
            f"give a global tolerance above {1.0 + first:.3g}, or a smaller first one"
        )
    return np.asarray(first * np.exp(brentq(excess, low, high) * powers), np.float64)
