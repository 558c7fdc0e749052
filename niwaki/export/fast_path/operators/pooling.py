"""Pooling, and means."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import nn

from niwaki.export.fast_path.operators.table import (
    Call,
    function_converter,
    module_converter,
    spread,
)
from niwaki.export.graph.writer import Tensor

Sizes = int | Sequence[int]


def _require_channels(call: Call, x: Tensor, n_axes: int) -> None:
    """Refuse inputs without channels: torch pools their last axes, and ONNX those from the third.

    Raises:
        ExportError: If there is another number of axes than batch, channels and `n_axes`.
    """
    if x.rank != n_axes + 2:
        raise call.unsupported(f"it pools {n_axes} of {x.rank} axes, without an axis of channels")


def convert_max_pool(
    call: Call,
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    n_axes: int,
) -> Tensor:
    """Write MaxPool."""
    if return_indices:
        raise call.unsupported("max pooling that returns indices")
    _require_channels(call, input, n_axes)
    return call.writer.node(
        "MaxPool",
        [input],
        call.shape,
        name=call.path,
        kernel_shape=spread(kernel_size, n_axes),
        strides=spread(stride or kernel_size, n_axes),
        pads=spread(padding, n_axes) * 2,
        dilations=spread(dilation, n_axes),
        ceil_mode=int(ceil_mode),
    )


def convert_max_pool_module(call: Call, module: nn.MaxPool2d, x: Tensor, *, n_axes: int) -> Tensor:
    """Write MaxPool."""
    return convert_max_pool(
        call,
        x,
        module.kernel_size,
        module.stride,
        module.padding,
        module.dilation,
        module.ceil_mode,
        module.return_indices,
        n_axes=n_axes,
    )


def convert_average_pool(
    call: Call,
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    n_axes: int,
) -> Tensor:
    """Write AveragePool."""
    if divisor_override is not None:
        raise call.unsupported("average pooling with `divisor_override`")
    _require_channels(call, input, n_axes)
    return call.writer.node(
        "AveragePool",
        [input],
        call.shape,
        name=call.path,
        kernel_shape=spread(kernel_size, n_axes),
        strides=spread(stride or kernel_size, n_axes),
        pads=spread(padding, n_axes) * 2,
        ceil_mode=int(ceil_mode),
        count_include_pad=int(count_include_pad),
    )


def convert_average_pool_module(call: Call, module: Any, x: Tensor, *, n_axes: int) -> Tensor:
    """Write AveragePool."""
    return convert_average_pool(
        call,
        x,
        module.kernel_size,
        module.stride,
        module.padding,
        module.ceil_mode,
        module.count_include_pad,
        # AvgPool1d has none.
        getattr(module, "divisor_override", None),
        n_axes=n_axes,
    )


def convert_adaptive_average_pool(
    call: Call,
    input: Tensor,
    output_size: Sizes,  # noqa: ARG001
    *,
    n_axes: int,
) -> Tensor:
    """Write GlobalAveragePool, AveragePool where sizes divide, or MatMul with shares."""
    _require_channels(call, input, n_axes)
    sizes = list(zip(input.shape[2:], call.shape[2:], strict=True))
    if all(out == 1 for _, out in sizes):
        return call.writer.node("GlobalAveragePool", [input], call.shape, name=call.path)
    known = [(before, after) for before, after in sizes if before and after]
    if len(known) < len(sizes):
        raise call.unsupported(f"it pools to {call.shape[2:]}, which grows with the batch")
    if any(before % after for before, after in known):
        return _averaged_apart(call, input, known)
    kernel = [before // after for before, after in known]
    return convert_average_pool(call, input, kernel, n_axes=n_axes)


def _averaged_apart(call: Call, x: Tensor, sizes: Sequence[tuple[int, int]]) -> Tensor:
    """Write a product with the share of each value in each mean, axis by axis."""
    for axis, (before, after) in enumerate(sizes, 2):
        if before == after:
            continue
        ends = [(i * before // after, -(-(i + 1) * before // after)) for i in range(after)]
        shares = np.zeros((after, before), np.float32)
        for row, (start, end) in zip(shares, ends, strict=True):
            row[start:end] = 1 / (end - start)
        name = call.writer.constant(f"{call.path}.shares", shares)
        x = _times(call, name, x, axis, after)
    return x


def _times(call: Call, shares: str, x: Tensor, axis: int, size: int) -> Tensor:
    """Multiply an axis by a constant matrix, as the first factor: the second would be a layer's."""
    order = list(range(x.rank))
    order[axis], order[-2] = order[-2], order[axis]
    is_apart = axis != x.rank - 2
    if is_apart:
        x = _turned(call, x, order)
    shape = (*x.shape[:-2], size, x.shape[-1])
    x = call.writer.node("MatMul", [shares, x], shape, name=call.path)
    return _turned(call, x, order) if is_apart else x


def _turned(call: Call, x: Tensor, order: list[int]) -> Tensor:
    shape = tuple(x.shape[axis] for axis in order)
    return call.writer.node("Transpose", [x], shape, name=f"{call.path}.turned", perm=order)


def convert_adaptive_average_pool_module(
    call: Call, module: Any, x: Tensor, *, n_axes: int
) -> Tensor:
    """Write GlobalAveragePool, or AveragePool where the output's size divides the input's."""
    return convert_adaptive_average_pool(call, x, module.output_size, n_axes=n_axes)


def convert_adaptive_max_pool(
    call: Call,
    input: Tensor,
    output_size: Sizes,  # noqa: ARG001
    return_indices: bool = False,
    *,
    n_axes: int,
) -> Tensor:
    """Write GlobalMaxPool, or MaxPool where sizes divide."""
    _require_channels(call, input, n_axes)
    if return_indices:
        raise call.unsupported("adaptive max pooling that returns indices")
    sizes = list(zip(input.shape[2:], call.shape[2:], strict=True))
    if all(out == 1 for _, out in sizes):
        return call.writer.node("GlobalMaxPool", [input], call.shape, name=call.path)
    if not all(before and after and before % after == 0 for before, after in sizes):
        raise call.unsupported(
            f"adaptive max pooling of {input.shape[2:]} to {call.shape[2:]}, which does not divide"
        )
    kernel = [before // after for before, after in sizes if before and after]
    return convert_max_pool(call, input, kernel, n_axes=n_axes)


def convert_adaptive_max_pool_module(call: Call, module: Any, x: Tensor, *, n_axes: int) -> Tensor:
    """Write GlobalMaxPool, or MaxPool where sizes divide."""
    size, indices = module.output_size, module.return_indices
    return convert_adaptive_max_pool(call, x, size, indices, n_axes=n_axes)


def _register(n_axes: int, functions: Sequence[Any], modules: Sequence[Any]) -> None:
    """Register the poolings over so many axes: the largest value, the mean, and to a given size."""
    largest, average, adaptive, adaptive_largest = functions
    function_converter(largest)(partial(convert_max_pool, n_axes=n_axes))
    function_converter(average)(partial(convert_average_pool, n_axes=n_axes))
    function_converter(adaptive)(partial(convert_adaptive_average_pool, n_axes=n_axes))
    function_converter(adaptive_largest)(partial(convert_adaptive_max_pool, n_axes=n_axes))
    largest, average, adaptive, adaptive_largest = modules
    module_converter(largest)(partial(convert_max_pool_module, n_axes=n_axes))
    module_converter(average)(partial(convert_average_pool_module, n_axes=n_axes))
    module_converter(adaptive)(partial(convert_adaptive_average_pool_module, n_axes=n_axes))
    module_converter(adaptive_largest)(partial(convert_adaptive_max_pool_module, n_axes=n_axes))


_register(
    1,
    (F.max_pool1d, F.avg_pool1d, F.adaptive_avg_pool1d, F.adaptive_max_pool1d),
    (nn.MaxPool1d, nn.AvgPool1d, nn.AdaptiveAvgPool1d, nn.AdaptiveMaxPool1d),
)
_register(
    2,
    (F.max_pool2d, F.avg_pool2d, F.adaptive_avg_pool2d, F.adaptive_max_pool2d),
    (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d),
)
_register(
    3,
    (F.max_pool3d, F.avg_pool3d, F.adaptive_avg_pool3d, F.adaptive_max_pool3d),
    (nn.MaxPool3d, nn.AvgPool3d, nn.AdaptiveAvgPool3d, nn.AdaptiveMaxPool3d),
)


@function_converter(torch.mean, "mean")
def convert_mean(
    call: Call,
    input: Tensor,
    dim: int | Sequence[int] | None = None,
    keepdim: bool = False,
    *,
    axis: int | Sequence[int] | None = None,
    out: None = None,  # noqa: ARG001
) -> Tensor:
    """Write GlobalAveragePool for a mean over all pixels, which runs in int8; else ReduceMean."""
    dim = axis if dim is None else dim
    if dim is None or dim == () or dim == []:
        raise call.unsupported("a mean over all dimensions mixes the batch: name the dimensions")
    axes = sorted(axis % input.rank for axis in ([dim] if isinstance(dim, int) else dim))
    if axes != list(range(2, input.rank)):
        name = call.writer.integers(f"{call.path}.axes", axes)
        return call.writer.node(
            "ReduceMean", [input, name], call.shape, name=call.path, keepdims=int(keepdim)
        )
    pooled_shape = (*input.shape[:2], *[1] * len(axes))
    pooled = call.writer.node("GlobalAveragePool", [input], pooled_shape, name=call.path)
    if keepdim:
        return pooled
    return call.writer.node("Flatten", [pooled], call.shape, name=f"{call.path}.flatten", axis=1)
