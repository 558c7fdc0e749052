"""The numbers behind Q/DQ pairs: real = scale * (integer - zero_point)."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from niwaki.compress.quantization.plan import ActivationType

# What holds the integers of a tensor.
Integers = NDArray[np.uint8] | NDArray[np.int8]

_DTYPES: dict[ActivationType, Any] = {
    ActivationType.U8: np.dtype(np.uint8),
    ActivationType.S8: np.dtype(np.int8),
}
# Biases keep a bit of headroom below 2^31 for the sum of products they are added to.
_BIAS_LIMIT = 2.0**30
# Below this a scale is meaningless, and its products with other scales turn subnormal.
_SMALLEST_SCALE = 1e-10


@dataclass(frozen=True)
class Affine:
    """How the values of one tensor are written as 8-bit integers.

    Attributes:
        scale: Real step between two integers, positive.
        zero_point: The integer that stands for zero.
        dtype: uint8 or int8.
    """

    scale: np.float32
    zero_point: int
    dtype: np.dtype[np.integer]

    @classmethod
    def of_range(cls, low: float, high: float, activation: ActivationType) -> "Affine":
        """Return the finest step that reaches from `low` to `high`, both moved to include zero.

        A range that starts at zero, as behind a ReLU, gets its zero point at the smallest integer:
        then the runtime drops the ReLU, because rounding into the integers already does it.

        Raises:
            ValueError: If a bound is not finite.
        """
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ValueError(f"a range of activations must be finite, but [{low}, {high}] came")
        dtype = _DTYPES[activation]
        limits = np.iinfo(dtype)
        low, high = min(float(low), 0.0), max(float(high), 0.0)
        scale = np.float32((high - low) / (int(limits.max) - int(limits.min)))
        if scale < _SMALLEST_SCALE:
            return cls(np.float32(1.0), int(limits.min) if low == 0.0 else 0, dtype)
        zero_point = round(int(limits.min) - low / float(scale))
        return cls(scale, int(np.clip(zero_point, limits.min, limits.max)), dtype)

    def within(self, low: float, high: float) -> "Affine":
        """Return the same integers in steps that reach no further than bounds, about zero.

        A zero point between two integers moves an end by up to half a step.
        """
        limits, steps = np.iinfo(self.dtype), [float(self.scale)]
        below, above = self.zero_point - int(limits.min), int(limits.max) - self.zero_point
        steps += [reach / n for reach, n in ((-low, below), (high, above)) if n and reach > 0.0]
        return replace(self, scale=np.float32(min(steps)))

    @property
    def low(self) -> float:
        """The smallest real value that can be written."""
        return float(self.scale) * (int(np.iinfo(self.dtype).min) - self.zero_point)

    @property
    def high(self) -> float:
        """The largest real value that can be written."""
        return float(self.scale) * (int(np.iinfo(self.dtype).max) - self.zero_point)

    def quantize(self, values: NDArray[np.floating]) -> Integers:
        """Return the nearest integers, halves to even, as ONNX QuantizeLinear does."""
        limits = np.iinfo(self.dtype)
        steps = np.rint(np.asarray(values, np.float32) / self.scale) + self.zero_point
        integers: Integers = np.clip(steps, limits.min, limits.max).astype(self.dtype)
        return integers

    def dequantize(self, integers: NDArray[np.integer]) -> NDArray[np.float32]:
        """Return the real values that the integers stand for."""
        return (integers.astype(np.int32) - self.zero_point).astype(np.float32) * self.scale


@dataclass(frozen=True)
class QuantizedWeights:
    """The constants of one int8 layer.

    Attributes:
        weight: int8, in the layout of the layer's weight.
        weight_scale: (C_out,) float32.
        bias: (C_out,) int32 in steps of `bias_scale`, or None.
        bias_scale: (C_out,) float32, the input's scale times `weight_scale`.
        axis: Axis of `weight` that runs over the output channels.
    """

    weight: NDArray[np.int8]
    weight_scale: NDArray[np.float32]
    bias: NDArray[np.int32] | None
    bias_scale: NDArray[np.float32]
    axis: int


def quantize_weights(
    weight: NDArray[np.float32],
    bias: NDArray[np.float32] | None,
    *,
    axis: int,
    input_scale: np.float32,
    limit: int,
) -> QuantizedWeights:
    """Quantize a layer's constants: symmetric, one scale per output channel.

    Args:
        weight: Any shape.
        bias: (C_out,), or None.
        axis: Axis of `weight` that runs over the output channels.
        input_scale: Scale of the layer's input.
        limit: Largest integer, as `QuantizationPlan.weight_limit`.
    """
    scale = channel_scales(weight, bias, axis=axis, input_scale=input_scale, limit=limit)
    bias_scale = (scale * input_scale).astype(np.float32)
    return QuantizedWeights(
        weight=symmetric(weight, scale, axis=axis, limit=limit),
        weight_scale=scale,
        bias=None if bias is None else np.rint(bias / bias_scale.astype(np.float64)).astype("i4"),
        bias_scale=bias_scale,
        axis=axis % weight.ndim,
    )


def channel_scales(
    weight: NDArray[np.float32],
    bias: NDArray[np.float32] | None,
    *,
    axis: int,
    input_scale: np.float32,
    limit: int,
) -> NDArray[np.float32]:
    """Return (C_out,) the steps in which a layer's weight is written; see `quantize_weights`."""
    others = tuple(a for a in range(weight.ndim) if a != axis % weight.ndim)
    largest = np.abs(weight).max(axis=others)
    scale = np.maximum(largest / limit, _SMALLEST_SCALE)
    if bias is not None:
        # A channel of tiny weights may have a bias that would not fit in 32 bits of tiny steps.
        scale = np.maximum(scale, np.abs(bias) / (float(input_scale) * _BIAS_LIMIT))
    steps: NDArray[np.float32] = scale.astype(np.float32)
    return steps


def symmetric(
    weight: NDArray[np.float32], scale: NDArray[np.float32], *, axis: int, limit: int
) -> NDArray[np.int8]:
    """Return `weight` in steps of `scale` along `axis`, within -limit to limit."""
    shape = [1] * weight.ndim
    shape[axis] = -1
    steps = np.rint(weight / scale.reshape(shape))
    integers: NDArray[np.int8] = np.clip(steps, -limit, limit).astype(np.int8)
    return integers
