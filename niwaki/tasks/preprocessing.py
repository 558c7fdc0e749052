"""From the raw arrays that users hold to the inputs that networks take."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import ConfigError, DataError
from niwaki.core.jsonable import JSON
from niwaki.core.registry import nearest
from niwaki.tasks.statistics import ROUNDING, RunningMoments

AS_GIVEN = "as_given"
"""In place of a layout: inputs of any shape that networks take as they are."""

LAYOUTS = ("NCHW", "NHWC", "NHW", "NC", "NCL", "NLC", AS_GIVEN)
"""Layouts of raw inputs: N items, C channels or features, H x W pixels, L positions."""

_MOMENTS_CHUNK = 64
_DIGITS = 7
_SUMMING = 1e-12  # of a mean: integers are exact, and sums of them in float64 nearly so


@dataclass(frozen=True)
class Preprocessing:
    """What is done to raw inputs: `(raw * scale - mean) / std`, channels first.

    Attributes:
        dtype: Type of the raw values, such as `uint8`.
        layout: Layout of the raw inputs, one of `LAYOUTS`. Networks take channels first, but for
            `AS_GIVEN`.
        scale: Brings raw values into a small range; 1/255 for bytes.
        mean: Of each channel, after scaling.
        std: Of each channel, after scaling; never 0.
    """

    dtype: str
    layout: str
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def apply(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        """Return (n, c, ...) float32 for raw inputs in `layout`."""
        values = channels_first(raw, self.layout)
        if self.is_cast:
            return values.astype(np.float32, order="C")
        # What tells wide numbers apart may be lost in float32, as long as they hold their mean.
        precise: type[np.floating[Any]] = np.float64 if values.dtype.itemsize > 2 else np.float32
        inputs = values.astype(precise, order="C")
        shape = (1, -1, *(1,) * (inputs.ndim - 2))[: inputs.ndim]
        std = np.array(self.std)
        inputs *= (self.scale / std).astype(precise).reshape(shape)
        inputs -= (np.array(self.mean) / std).astype(precise).reshape(shape)
        return inputs.astype(np.float32, copy=False)

    @property
    def is_cast(self) -> bool:
        """Whether nothing is done to the numbers but to make them float32."""
        return self.scale == 1.0 and set(self.mean) == {0.0} and set(self.std) == {1.0}

    def to_json(self) -> dict[str, JSON]:
        """Return what a model card says about preparing inputs."""
        return {
            "dtype": self.dtype,
            "layout": self.layout,
            "scale": self.scale,
            "mean": list(self.mean),
            "std": list(self.std),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Preprocessing":
        """Read what `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: If a field is missing or of the wrong type.
        """
        return cls(
            dtype=str(data["dtype"]),
            layout=str(data["layout"]),
            scale=float(data["scale"]),
            mean=tuple(float(value) for value in data["mean"]),
            std=tuple(float(value) for value in data["std"]),
        )


def channels_first(raw: NDArray[Any], layout: str) -> NDArray[Any]:
    """Return a view of `raw` as (n, c, ...).

    Raises:
        ConfigError: If the layout is unknown.
        DataError: If `raw` has another number of axes.
    """
    if layout not in LAYOUTS:
        raise ConfigError(
            f"layout is '{layout}'{nearest(layout, LAYOUTS)} Choose one of {', '.join(LAYOUTS)}"
        )
    if layout == AS_GIVEN:
        return raw
    if raw.ndim != len(layout):
        raise DataError(
            f"inputs have shape {raw.shape}, which is not {layout}: set 'layout' to "
            f"{_fitting(raw.ndim)}"
        )
    if "C" not in layout:
        return raw[:, None]
    return np.moveaxis(raw, layout.index("C"), 1)


def guessed_layout(shape: tuple[int, ...]) -> str:
    """Return the layout that inputs of `shape` have: the axis of at most 4 is that of the channels.

    Of three axes, two that are equal and longer are those of images without channels.

    Raises:
        DataError: If it could be channels first as well as last, or neither.
    """
    few = (1, 2, 3, 4)
    match shape:
        case (_, _):
            return "NC"
        case (_, first, last) if (first in few) != (last in few):
            return "NCL" if first in few else "NLC"
        case (_, first, last) if first == last and first not in few:
            return "NHW"
        case (_, first, _, last) if (first in few) != (last in few):
            return "NCHW" if first in few else "NHWC"
    raise DataError(
        f"inputs of shape {shape} do not show which axis holds the channels: "
        f"set 'layout' to {_fitting(len(shape))}"
    )


def _fitting(n_axes: int) -> str:
    return " or ".join(name for name in LAYOUTS if len(name) == n_axes or name == AS_GIVEN)


def default_scale(dtype: np.dtype[Any]) -> float:
    """Return the factor that brings raw values of `dtype` to about 1: integers by their range."""
    return 1.0 / float(np.iinfo(dtype).max) if dtype.kind in "ui" and dtype.itemsize <= 2 else 1.0


def as_given(raw: NDArray[Any], layout: str) -> Preprocessing:
    """Return the preprocessing of users who prepare inputs themselves: a cast, channels first."""
    n_channels = 1 if layout == AS_GIVEN else channels_first(raw, layout).shape[1]
    return Preprocessing(str(raw.dtype), layout, 1.0, (0.0,) * n_channels, (1.0,) * n_channels)


def standardising(raw: NDArray[Any], layout: str) -> Preprocessing:
    """Return the preprocessing that gives each channel of the train inputs mean 0 and std 1.

    Args:
        raw: (n, ...) train inputs in `layout`, finite.
        layout: One of `LAYOUTS`, but `AS_GIVEN`, which has no channels.

    Raises:
        ConfigError, DataError: If layout and shape do not fit.
    """
    if raw[:1].size == 0:
        raise DataError(f"inputs of shape {raw.shape} hold no numbers: give at least one an item")
    scale = default_scale(raw.dtype)
    moments = RunningMoments()
    for start in range(0, len(raw), _MOMENTS_CHUNK):
        chunk = channels_first(raw[start : start + _MOMENTS_CHUNK], layout)
        moments.update(chunk.astype(np.float64) * scale)
    mean, std = moments.mean, moments.std
    # A channel that never changes carries nothing: leave it at 0 rather than blow up rounding.
    rounding = ROUNDING if raw.dtype.kind == "f" else _SUMMING
    std = np.where(std > rounding * np.abs(mean), std, np.maximum(1.0, np.abs(mean)))
    rounded = [_rounded(float(m), float(s)) for m, s in zip(mean, std, strict=True)]
    means, stds = zip(*rounded, strict=True)
    return Preprocessing(str(raw.dtype), layout, scale, means, stds)


def _rounded(mean: float, std: float) -> tuple[float, float]:
    """Round both to seven digits of `std`: sums end otherwise on other machines."""
    n_decimals = _DIGITS - 1 - math.floor(math.log10(std))
    return round(mean, n_decimals), round(std, n_decimals)
