"""From a value measured with less effort to what more effort would give."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CAUTION = 2.0  # pairs that are as strong as the belief in a mere shift
LEAST_SLOPE = 0.05
FEW = 8  # pairs that say no more than a straight line
WIDTHS = (0.25, 0.5, 1.0)  # of the neighbourhood, in standard deviations of the pairs
N_KNOTS = 64
N_JUDGED = 300  # pairs that widths are judged by
FAR = 1e-9  # weight of pairs that are no neighbours, so that there always are some

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Curve:
    """A rising curve, straight between its knots and beyond them, and how sure it is.

    Attributes:
        x: (k,) knots, rising, at least two: values at less effort.
        y: (k,) values at more effort, rising.
        spreads: (k,) standard deviations of the error; inf if nothing is known.
    """

    x: Array
    y: Array
    spreads: Array

    def mean(self, x: Array) -> Array:
        """Return (n,) what more effort is expected to give."""
        beyond = np.minimum(x - self.x[0], 0.0) * self._slopes[0]
        beyond = beyond + np.maximum(x - self.x[-1], 0.0) * self._slopes[-1]
        return np.asarray(np.interp(x, self.x, self.y) + beyond)

    def spread(self, x: Array) -> Array:
        """Return (n,) standard deviations of the errors of `mean`."""
        return np.asarray(np.interp(x, self.x, self.spreads))

    def slope(self, x: Array) -> Array:
        """Return (n,) slopes."""
        segment = np.searchsorted(self.x, x) - 1
        return np.asarray(self._slopes[np.clip(segment, 0, len(self._slopes) - 1)])

    @property
    def _slopes(self) -> Array:
        return np.asarray(np.diff(self.y) / np.diff(self.x))


_TINY = 1e-100  # the square of less is no number
_HARDLY = 1e-9  # of the largest value: places nearer than this are one

UNKNOWN = Curve(np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.array([np.inf, np.inf]))


def fit_curve(x: Array, y: Array) -> Curve | None:
    """Fit a curve to pairs of one value at two efforts.

    With few pairs it is a straight line whose slope is drawn towards 1, a mere shift. With more, it
    is made of lines through neighbours, the width of the neighbourhood being that which predicts
    left-out pairs best: little effort often says much about the good and little about the bad. The
    curve rises everywhere: what was better is never taken for worse.

    Args:
        x: (n,) at less effort, finite; n may be 0.
        y: (n,) at more effort, finite.

    Returns:
        None if effort has changed nothing so far.

    References:
        Cleveland, JASA 1979, "Robust locally weighted regression and smoothing scatterplots": local
        lines, here with normal weights.
    """
    if len(x) == 0:
        return UNKNOWN
    if np.array_equal(x, y):
        return None
    scale = float(x.std())
    if scale < max(_TINY, _HARDLY * float(max(np.abs(x).max(), np.abs(y).max()))):
        return _shift(x, y)
    # So wide that all pairs are neighbours: one straight line.
    straight = 1e3 * scale
    width = (
        straight if len(x) < FEW else _best_width(x, y, [w * scale for w in WIDTHS] + [straight])
    )
    knots = np.linspace(x.min(), x.max(), N_KNOTS)
    means, spreads = _local_lines(x, y, knots, width)
    least = LEAST_SLOPE * (knots - knots[0])
    return Curve(knots, np.maximum.accumulate(means - least) + least, spreads)


def _shift(x: Array, y: Array) -> Curve:
    """Return the curve of pairs that are all at one place."""
    shift = float((y - x).mean())
    # One pair says nothing about errors: they are taken to be as large as the shift itself.
    spread = float(y.std(ddof=1)) if len(y) > 1 else abs(shift)
    knots = np.array([x[0], x[0] + max(1.0, abs(x[0]))])
    return Curve(knots, knots + shift, np.full(2, spread))


def _best_width(x: Array, y: Array, widths: list[float]) -> float:
    """Return the width whose lines predict pairs that were left out best, on average."""
    judged = np.unique(np.linspace(0, len(x) - 1, min(len(x), N_JUDGED)).astype(np.int64))
    errors = []
    for width in widths:
        predicted, _ = _local_lines(x, y, x[judged], width, left_out=judged)
        errors.append(float(np.abs(predicted - y[judged]).mean()))
    return widths[int(np.argmin(errors))]


def _local_lines(
    x: Array, y: Array, at: Array, width: float, *, left_out: NDArray[np.int64] | None = None
) -> tuple[Array, Array]:
    """Return (k,) values and (k,) spreads of lines through the neighbours of each place.

    Args:
        x: (n,) of pairs.
        y: (n,) of pairs.
        at: (k,) places.
        width: Standard deviation of the weights.
        left_out: (k,) the pair that does not count at each place.
    """
    weights = np.exp(-0.5 * ((at[:, None] - x) / width) ** 2) + FAR  # (k, n)
    if left_out is not None:
        weights[np.arange(len(at)), left_out] = 0.0
    weights /= weights.sum(axis=1, keepdims=True)
    n_effective = 1.0 / (weights**2).sum(axis=1)
    x_mean, y_mean = weights @ x, weights @ y
    x_off, y_off = x - x_mean[:, None], y - y_mean[:, None]  # (k, n)
    variation = (weights * x_off**2).sum(axis=1)
    steeper = (weights * x_off * (y_off - x_off)).sum(axis=1) / np.maximum(variation, 1e-300)
    slopes = np.maximum(LEAST_SLOPE, 1.0 + steeper * n_effective / (n_effective + CAUTION))
    residuals = (weights * (y_off - slopes[:, None] * x_off) ** 2).sum(axis=1)
    # Two degrees of freedom are a line's.
    spreads = np.sqrt(residuals * n_effective / np.maximum(n_effective - 2.0, 0.5))
    return y_mean + slopes * (at - x_mean), spreads
