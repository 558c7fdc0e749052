"""Scales on which values are easier to learn: logarithms, and the log-odds."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import DataError

_MOST_SPREAD = 2.0  # a log-spread beyond this says no more than: unknown
_ROUNDING = 1e-9  # of the larger, by which values may differ that are taken for one

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Transform(ABC):
    """A smooth, rising change of scale.

    Attributes:
        origin: Where the scale begins, or ends, if that is a choice.
        name: What settings and files call it.
    """

    origin: float = 0.0
    name: ClassVar[str]

    @property
    @abstractmethod
    def limits(self) -> tuple[float, float]:
        """Between which values have a place on the new scale."""

    @abstractmethod
    def forward(self, y: Array) -> Array:
        """Return (n,) values on the new scale; NaN stays NaN."""

    @abstractmethod
    def log_slope(self, y: Array) -> Array:
        """Return (n,) logarithms of how fast the new scale rises at values."""

    @abstractmethod
    def back(self, mean: Array, std: Array) -> tuple[Array, Array]:
        """Return (n,) middles and deviations on the old scale of what is normal on the new one."""

    def allows(self, y: Array) -> bool:
        """Whether all of (n,) finite values have a place on the new scale."""
        low, high = self.limits
        return bool(((y > low) & (y < high)).all())


class Plain(Transform):
    """No change."""

    name = "none"

    @property
    def limits(self) -> tuple[float, float]:
        return -np.inf, np.inf

    def forward(self, y: Array) -> Array:
        return y

    def log_slope(self, y: Array) -> Array:
        return np.zeros_like(y)

    def back(self, mean: Array, std: Array) -> tuple[Array, Array]:
        return mean, std


class Log(Transform):
    """The logarithm of the distance from an origin below all values.

    From 0, effects multiply and errors are relative: for latencies, sizes, counts. From another
    origin, for errors that crowd above a least one and have a long tail.
    """

    name = "log"

    @property
    def limits(self) -> tuple[float, float]:
        return self.origin, np.inf

    def forward(self, y: Array) -> Array:
        return np.asarray(np.log(y - self.origin))

    def log_slope(self, y: Array) -> Array:
        return -self.forward(y)

    def back(self, mean: Array, std: Array) -> tuple[Array, Array]:
        # The median of a log-normal value, and its relative deviation. The mean would grow with the
        # doubt: what nothing is known about would be slow.
        center = np.exp(np.minimum(mean, 700.0))
        spread = center * np.sqrt(np.expm1(np.minimum(std, _MOST_SPREAD) ** 2))
        return self.origin + center, spread


class LogBelow(Transform):
    """Minus the logarithm of the distance to an origin above all values.

    For accuracies, which crowd below a best one and have a long tail of networks that learn little.
    """

    name = "log_below"

    @property
    def limits(self) -> tuple[float, float]:
        return -np.inf, self.origin

    def forward(self, y: Array) -> Array:
        return np.asarray(-np.log(self.origin - y))

    def log_slope(self, y: Array) -> Array:
        return self.forward(y)

    def back(self, mean: Array, std: Array) -> tuple[Array, Array]:
        distance, spread = Log().back(-mean, std)
        return self.origin - distance, spread


class LogOdds(Transform):
    """The logarithm of y / (1 - y): for shares strictly between 0 and 1."""

    name = "log_odds"

    @property
    def limits(self) -> tuple[float, float]:
        return 0.0, 1.0

    def forward(self, y: Array) -> Array:
        return np.asarray(np.log(y) - np.log1p(-y))

    def log_slope(self, y: Array) -> Array:
        return np.asarray(-np.log(y) - np.log1p(-y))

    def back(self, mean: Array, std: Array) -> tuple[Array, Array]:
        # No closed form: the moments over a few normal quantiles (Gauss-Hermite).
        nodes, weights = np.polynomial.hermite_e.hermegauss(15)
        points = mean[:, None] + std[:, None] * nodes
        shares = 0.5 * (1.0 + np.tanh(0.5 * points))
        weights = weights / weights.sum()
        center = shares @ weights
        return center, np.sqrt(np.maximum((shares - center[:, None]) ** 2 @ weights, 0.0))


KINDS: dict[str, type[Transform]] = {kind.name: kind for kind in (Plain, Log, LogBelow, LogOdds)}
TRANSFORMS: dict[str, Transform] = {each.name: each for each in (Plain(), Log(), LogOdds())}


def named(name: str, y: Array, column: int) -> Transform:
    """Return a transform for (n,) finite values.

    Raises:
        DataError: If a value has no place on its scale.
    """
    chosen = TRANSFORMS[name]
    if not chosen.allows(y):
        wanted = "above 0" if name == "log" else "between 0 and 1"
        raise DataError(
            f"column {column} has a value of {y.min():g} to {y.max():g}, but the transform "
            f"'{name}' wants values {wanted}: choose another, or 'auto'"
        )
    return chosen


def candidates(y: Array) -> list[Transform]:
    """Return the scales that (n,) finite values may be learned on, `Plain` first.

    Origins that are a choice are as far beyond the outermost value as the median is before it.
    """
    found: list[Transform] = [Plain()]
    low, middle, high = float(y.min()), float(np.median(y)), float(y.max())
    least = _ROUNDING * max(abs(low), abs(high))
    if low > 0.0 and high - low > least:
        found.append(Log())
    if middle - low > least:
        found.append(Log(low - (middle - low)))
    if high - middle > least:
        found.append(LogBelow(high + (high - middle)))
    return found
