"""Convolutions, with the batch norm behind them folded in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from numpy.typing import NDArray
from torch import nn

from niwaki.export.fast_path.operators.normalisation import folded_weights
from niwaki.export.fast_path.operators.padding import MODES
from niwaki.export.fast_path.operators.table import (
    Call,
    function_converter,
    module_converter,
    spread,
    values_of,
)
from niwaki.export.graph.writer import Attribute, Shape, Tensor

_FORWARD: tuple[Any, ...] = (F.conv1d, F.conv2d, F.conv3d)
_BACKWARD: tuple[Any, ...] = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)

Sizes = int | Sequence[int]


@module_converter(nn.Conv1d, nn.Conv2d, nn.Conv3d)
def convert_convolution_module(call: Call, module: nn.Conv2d, x: Tensor) -> Tensor:
    """Write Conv; padding other than zeros becomes a Pad before it."""
    window = _Window.of(module)
    pads = window.pads(module.padding)
    if module.padding_mode != "zeros":
        x = _padded(call, x, pads, module.padding_mode)
        pads = [0] * len(pads)
    weights = _written(call, *folded_weights(module.weight, module.bias, call.behind))
    x, pads = _with_pads_before(call, x, pads)
    return _convolved(call, "Conv", x, weights, window, pads=pads)


@module_converter(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
def convert_transposed_convolution_module(
    call: Call,
    module: nn.ConvTranspose2d,
    input: Tensor,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Write ConvTranspose; a size that is asked for is that without padding, and the rest of it."""
    window = _Window.of(module)
    pads, more = window.pads(module.padding), list(module.output_padding)
    if output_size is not None:
        more = window.left_of(call, call.shape[2:], input.shape[2:], pads)
    folded = folded_weights(module.weight, module.bias, call.behind, groups=module.groups)
    return _convolved(
        call,
        "ConvTranspose",
        input,
        _written(call, *folded),
        window,
        pads=pads,
        output_padding=more,
    )


@function_converter(*_FORWARD)
def convert_convolution(
    call: Call,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Write Conv."""
    window = _Window.over(call, weight, stride, dilation, groups)
    given = _given(call, weight, bias, None)
    x, pads = _with_pads_before(call, input, window.pads(padding))
    return _convolved(call, "Conv", x, given, window, pads=pads)


@function_converter(*_BACKWARD)
def convert_transposed_convolution(
    call: Call,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """Write ConvTranspose."""
    window = _Window.over(call, weight, stride, dilation, groups)
    given = _given(call, weight, bias, groups)
    pads, more = window.pads(padding), spread(output_padding, len(window.kernel))
    return _convolved(call, "ConvTranspose", input, given, window, pads=pads, output_padding=more)


@dataclass(frozen=True)
class _Window:
    """How a kernel moves over its axes."""

    kernel: list[int]
    stride: list[int]
    dilation: list[int]
    groups: int

    @classmethod
    def of(cls, module: Any) -> "_Window":
        kernel, stride = list(module.kernel_size), list(module.stride)
        return cls(kernel, stride, list(module.dilation), module.groups)

    @classmethod
    def over(
        cls, call: Call, weight: Tensor, stride: Sizes, dilation: Sizes, groups: int
    ) -> "_Window":
        kernel = [size for size in weight.shape[2:] if size is not None]
        if len(kernel) != weight.rank - 2:
            raise call.unsupported("the size of its kernel grows with the batch")
        if len(call.shape) != weight.rank:
            raise call.unsupported("its input has no batch")
        n_axes = len(kernel)
        return cls(kernel, spread(stride, n_axes), spread(dilation, n_axes), groups)

    def pads(self, padding: Sizes | str) -> list[int]:
        """Return the padding of each axis before, then of each axis after."""
        match padding:
            case "valid":
                return [0, 0] * len(self.kernel)
            case "same":
                sizes = zip(self.kernel, self.dilation, strict=True)
                totals = [dilation * (kernel - 1) for kernel, dilation in sizes]
                before = [total // 2 for total in totals]
                return before + [total - b for total, b in zip(totals, before, strict=True)]
            case str():
                raise ValueError(f"padding by '{padding}'")
        return spread(padding, len(self.kernel)) * 2

    def left_of(self, call: Call, sizes: Shape, given: Shape, pads: Sequence[int]) -> list[int]:
        """Return how much larger than it has to be each axis of a transposed convolution is."""
        left = []
        for axis, (size, before) in enumerate(zip(sizes, given, strict=True)):
            if size is None or before is None:
                raise call.unsupported("a size that it is asked for grows with the batch")
            reach = self.dilation[axis] * (self.kernel[axis] - 1)
            padded = pads[axis] + pads[axis + len(self.kernel)]
            left.append(size - ((before - 1) * self.stride[axis] - padded + reach + 1))
        return left


def _given(
    call: Call, weight: Tensor, bias: Tensor | None, groups: int | None
) -> list[Tensor | str]:
    """Return the weight and bias to read, with what is behind it folded in."""
    if call.behind is None:
        return [weight] if bias is None else [weight, bias]
    exact = values_of(call, weight)
    assert exact is not None
    return _written(call, *folded_weights(exact, values_of(call, bias), call.behind, groups=groups))


def _written(
    call: Call, weight: NDArray[np.float32], bias: NDArray[np.float32] | None
) -> list[Tensor | str]:
    names: list[Tensor | str] = [call.writer.constant(f"{call.path}.weight", weight)]
    if bias is not None:
        names.append(call.writer.constant(f"{call.path}.bias", bias))
    return names


def _with_pads_before(call: Call, x: Tensor, pads: Sequence[int]) -> tuple[Tensor, list[int]]:
    """Return what a Pad with zeros reads in the place of what it gives, and the paddings of both.

    The runtime pads by itself while it convolves, also where it computes with integers.
    """
    read = call.writer.read_by_maker(x, "Pad")
    if read is None or len(read) < 3 or call.writer.values(read[2].name).any():
        return x, list(pads)
    before, after = call.writer.values(read[1].name).reshape(2, -1).tolist()
    if any((*before[:2], *after[:2])) or min(*before, *after) < 0:
        return x, list(pads)
    return read[0], [p + q for p, q in zip(pads, (*before[2:], *after[2:]), strict=True)]


def _convolved(
    call: Call,
    op: str,
    x: Tensor,
    weights: Sequence[Tensor | str],
    window: _Window,
    **attributes: Attribute,
) -> Tensor:
    return call.writer.node(
        op,
        [x, *weights],
        call.shape,
        name=call.path,
        kernel_shape=window.kernel,
        strides=window.stride,
        dilations=window.dilation,
        group=window.groups,
        **attributes,
    )


def _padded(call: Call, x: Tensor, pads: Sequence[int], mode: str) -> Tensor:
    n_axes = len(pads) // 2
    before, after = pads[:n_axes], pads[n_axes:]
    name = call.writer.integers(f"{call.path}.pads", [0, 0, *before, 0, 0, *after])
    spatial = (
        None if size is None else size + b + a
        for size, b, a in zip(x.shape[2:], before, after, strict=True)
    )
    shape = (*x.shape[:2], *spatial)
    return call.writer.node("Pad", [x, name], shape, name=f"{call.path}.pad", mode=MODES[mode])
