"""Monotone transforms of costs, under which they look more like a Gaussian process.

A monotone transform changes no dominance, so a cost may be learned on the scale that suits it best:
a latency multiplies over layers, an error rate has a long bad tail. What a search needs of a belief
comes out in the cost's own units.

References:
    Snelson, Rasmussen and Ghahramani, NIPS 2003, "Warped Gaussian processes", eq. 6, for the
    evidence of a transform; here chosen among a few, not optimised. The expected shortfall of a
    logarithm is the price of an option: Black and Scholes, Journal of Political Economy 1973.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Array = NDArray[np.float64]

_ROOT = np.sqrt(2.0 * np.pi)
_LARGEST_EXPONENT = 600.0
ROUNDING = 1e-9  # of the larger, by which costs may differ that are taken for one


class Warp(ABC):
    """An increasing function of costs; a belief about its value is normal."""

    @abstractmethod
    def warped(self, costs: Array) -> Array:
        """Return (n,) warped costs; infinite, on their own side, beyond what it is made for."""

    @abstractmethod
    def log_slope(self, costs: Array) -> Array:
        """Return (n,) logarithms of the slope at the costs."""

    @abstractmethod
    def unwarped(self, values: Array) -> Array:
        """Return the costs of warped values."""

    @abstractmethod
    def edge(self, limit: float) -> float:
        """Return the warped limit; infinite where it is beyond all costs that can be."""

    @abstractmethod
    def expected_gain(self, thresholds: Array, mean: Array, std: Array) -> Array:
        """Return (n, k): by how much costs are expected below finite (k,) thresholds, 0 if above.

        Args:
            thresholds: (k,) costs.
            mean: (n,) of the warped costs.
            std: (n,) of the warped costs, above 0.
        """


@dataclass(frozen=True)
class Straight(Warp):
    """Leaves costs as they are."""

    def warped(self, costs: Array) -> Array:
        return costs

    def log_slope(self, costs: Array) -> Array:
        return np.zeros_like(costs)

    def unwarped(self, values: Array) -> Array:
        return values

    def edge(self, limit: float) -> float:
        return limit

    def expected_gain(self, thresholds: Array, mean: Array, std: Array) -> Array:
        z = (thresholds - mean[:, None]) / std[:, None]
        return np.asarray(std[:, None] * (z * ndtr(z) + np.exp(-0.5 * z**2) / _ROOT))


@dataclass(frozen=True)
class LogAbove(Warp):
    """The logarithm of the distance from an origin below all costs."""

    origin: float = 0.0

    def warped(self, costs: Array) -> Array:
        with np.errstate(divide="ignore"):
            return np.log(np.maximum(costs - self.origin, 0.0))

    def log_slope(self, costs: Array) -> Array:
        return -np.log(costs - self.origin)

    def unwarped(self, values: Array) -> Array:
        return self.origin + np.exp(np.minimum(values, _LARGEST_EXPONENT))

    def edge(self, limit: float) -> float:
        above = limit - self.origin
        return float(np.log(above)) if above > 0.0 else -np.inf

    def expected_gain(self, thresholds: Array, mean: Array, std: Array) -> Array:
        above = thresholds - self.origin
        inside = np.maximum(above, 1e-300)
        z = (np.log(inside) - mean[:, None]) / std[:, None]
        whole = np.exp(np.minimum(mean + 0.5 * std**2, _LARGEST_EXPONENT))[:, None]
        gain = inside * ndtr(z) - whole * ndtr(z - std[:, None])
        return np.asarray(np.where(above > 0.0, np.maximum(gain, 0.0), 0.0))


@dataclass(frozen=True)
class LogBelow(Warp):
    """Minus the logarithm of the distance to zero of costs below it, as those of a throughput."""

    def warped(self, costs: Array) -> Array:
        with np.errstate(divide="ignore"):
            return -np.log(np.maximum(-costs, 0.0))

    def log_slope(self, costs: Array) -> Array:
        return -np.log(-costs)

    def unwarped(self, values: Array) -> Array:
        return -np.exp(np.minimum(-values, _LARGEST_EXPONENT))

    def edge(self, limit: float) -> float:
        return -float(np.log(-limit)) if limit < 0.0 else np.inf

    def expected_gain(self, thresholds: Array, mean: Array, std: Array) -> Array:
        # The cost is minus exp(-value): a gain is what exp(-value) exceeds minus the threshold by.
        below = np.maximum(-thresholds, 0.0)
        whole = np.exp(np.minimum(0.5 * std**2 - mean, _LARGEST_EXPONENT))[:, None]
        z = (-np.log(np.maximum(below, 1e-300)) - mean[:, None]) / std[:, None]
        gain = whole * ndtr(z + std[:, None]) - below * ndtr(z)
        return np.asarray(np.maximum(gain, 0.0) + np.maximum(thresholds, 0.0))


def warps_for(costs: Array) -> list[Warp]:
    """Return the transforms that these (n,) finite costs allow, `Straight` first."""
    found: list[Warp] = [Straight()]
    low, middle = float(costs.min()), float(np.median(costs))
    if middle - low > ROUNDING * max(abs(low), abs(middle)):
        found.append(LogAbove(low - (middle - low)))  # straight near the best, slow in the tail
    if low > 0.0:
        found.append(LogAbove())
    if costs.max() < 0.0:
        found.append(LogBelow())
    return found
