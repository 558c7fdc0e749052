"""Pooling."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import fx

from niwaki.evaluation.compression.from_onnx.call import Call, operator_named
from niwaki.evaluation.compression.from_onnx.operators.windows import pads_of, torch_pads

_LARGEST: Sequence[Callable[..., Any]] = (F.max_pool1d, F.max_pool2d, F.max_pool3d)
_MEAN: Sequence[Callable[..., Any]] = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)


@operator_named("MaxPool")
def read_max_pool(call: Call) -> fx.Node:
    """Read max pooling."""
    kernel = list(call.attribute("kernel_shape"))
    strides, before, after, dilations = _windows(call, kernel)
    inputs = call.data()
    if before != after or any(2 * pad > width for pad, width in zip(before, kernel, strict=True)):
        inputs = call.function(F.pad, inputs, torch_pads(before, after), value=float("-inf"))
        before = [0] * len(kernel)
    return call.function(
        _LARGEST[len(kernel) - 1],
        inputs,
        tuple(kernel),
        tuple(strides),
        tuple(before),
        tuple(dilations),
        bool(call.attribute("ceil_mode", 0)),
    )


@operator_named("AveragePool")
def read_average_pool(call: Call) -> fx.Node:
    """Read average pooling."""
    kernel = list(call.attribute("kernel_shape"))
    strides, before, after, dilations = _windows(call, kernel)
    counts_pads = bool(call.attribute("count_include_pad", 0))
    if any(dilation != 1 for dilation in dilations):
        raise call.refusal("its window is dilated")
    mean, is_rounded_up = _MEAN[len(kernel) - 1], bool(call.attribute("ceil_mode", 0))
    windows = (tuple(kernel), tuple(strides))
    if before == after:
        return call.function(mean, call.data(), *windows, tuple(before), is_rounded_up, counts_pads)
    padded = call.function(F.pad, call.data(), torch_pads(before, after))
    pooled = call.function(mean, padded, *windows, 0, is_rounded_up)
    if counts_pads:
        return pooled
    ones = F.pad(torch.ones(1, 1, *(dim[0] for dim in call.shape()[2:])), torch_pads(before, after))
    shares = mean(ones, *windows, 0, is_rounded_up).numpy()
    kept = call.writer.attribute(f"{call.node.output[0]}.shares", shares, trains=False)
    return call.function(torch.div, pooled, kept)


@operator_named("GlobalAveragePool")
def read_global_average(call: Call) -> fx.Node:
    """Read a mean over all places."""
    return call.function(torch.mean, call.data(), _places(call), keepdim=True)


@operator_named("GlobalMaxPool")
def read_global_max(call: Call) -> fx.Node:
    """Read the largest of all places."""
    return call.function(torch.amax, call.data(), _places(call), keepdim=True)


def _places(call: Call) -> tuple[int, ...]:
    return tuple(range(2, call.rank()))


def _windows(call: Call, kernel: list[int]) -> tuple[list[int], list[int], list[int], list[int]]:
    strides = list(call.attribute("strides", [1] * len(kernel)))
    dilations = list(call.attribute("dilations", [1] * len(kernel)))
    before, after = pads_of(call, kernel, strides, dilations)
    return strides, before, after, dilations
