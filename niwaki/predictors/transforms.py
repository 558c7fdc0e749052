"""Scales on which values are easier to learn: the logarithm, and the log-odds."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import DataError

_MOST_SPREAD = 2.0  # a log-spread beyond this says no more than: unknown


class Transform(ABC):
    """A smooth, rising change of scale.

    Attributes:
        limits: Between which values have a place on the new scale.
    """

    limits: ClassVar[tuple[float, float]]

    @abstractmethod
    def allows(self, y: NDArray[np.float64]) -> bool:
        """Whether all of (n,) finite values have a place on the new scale."""

    @abstractmethod
    def forward(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (n,) values on the new scale; NaN stays NaN."""

    @abstractmethod
    def back(
        self, mean: NDArray[np.float64], std: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return (n,) middles and deviations on the old scale of what is normal on the new one."""


class Plain(Transform):
    """No change."""

    limits = (-np.inf, np.inf)

    def allows(self, y: NDArray[np.float64]) -> bool:  # noqa: ARG002
        return True

    def forward(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        return y

    def back(
        self, mean: NDArray[np.float64], std: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return mean, std


class Log(Transform):
    """The logarithm: effects multiply, errors are relative. For latencies, sizes, counts."""

    limits = (0.0, np.inf)

    def allows(self, y: NDArray[np.float64]) -> bool:
        return bool((y > 0.0).all())

    def forward(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.log(y))

    def back(
        self, mean: NDArray[np.float64], std: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        # The median of a log-normal value, and its relative deviation. The mean would grow with the
        # doubt: what nothing is known about would be slow.
        center = np.exp(np.minimum(mean, 700.0))
        return center, center * np.sqrt(np.expm1(np.minimum(std, _MOST_SPREAD) ** 2))


class LogOdds(Transform):
    """The logarithm of y / (1 - y): for shares strictly between 0 and 1."""

    limits = (0.0, 1.0)

    def allows(self, y: NDArray[np.float64]) -> bool:
        return bool(((y > 0.0) & (y < 1.0)).all())

    def forward(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.log(y) - np.log1p(-y))

    def back(
        self, mean: NDArray[np.float64], std: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        # No closed form: the moments over a few normal quantiles (Gauss-Hermite).
        nodes, weights = np.polynomial.hermite_e.hermegauss(15)
        points = mean[:, None] + std[:, None] * nodes
        shares = 0.5 * (1.0 + np.tanh(0.5 * points))
        weights = weights / weights.sum()
        center = shares @ weights
        return center, np.sqrt(np.maximum((shares - center[:, None]) ** 2 @ weights, 0.0))


TRANSFORMS: dict[str, Transform] = {"none": Plain(), "log": Log(), "log_odds": LogOdds()}


def likelier(y: NDArray[np.float64]) -> str:
    """Return `log` where logarithms of (n,) values are closer to normal than they are, or `none`.

    References:
        Box and Cox, JRSS B 1964, "An analysis of transformations", the powers 0 and 1 alone.
    """
    if len(y) < 3 or not (y > 0.0).all():
        return "none"
    logarithms = np.log(y)
    if y.std() == 0.0 or logarithms.std() == 0.0:
        return "none"
    # Negative log likelihoods per value, of the normal distribution that fits best.
    plain = np.log(y.std())
    return "log" if np.log(logarithms.std()) + logarithms.mean() < plain else "none"


def transform_of(name: str, y: NDArray[np.float64], column: int) -> str:
    """Return the name of the transform for (n,) finite values; `auto` chooses.

    Raises:
        DataError: If a value has no place on the scale.
    """
    chosen = likelier(y) if name == "auto" else name
    if not TRANSFORMS[chosen].allows(y):
        wanted = "above 0" if chosen == "log" else "between 0 and 1"
        raise DataError(
            f"column {column} has a value of {y.min():g} to {y.max():g}, but the transform "
            f"'{chosen}' wants values {wanted}: choose another, or 'auto'"
        )
    return chosen
