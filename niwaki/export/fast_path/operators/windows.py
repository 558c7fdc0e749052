"""Windows of images, laid out side by side, and put together again."""

from collections.abc import Sequence

import numpy as np
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import nn

from niwaki.export.fast_path.operators.reshaping import write_reshape
from niwaki.export.fast_path.operators.table import (
    Call,
    function_converter,
    module_converter,
    spread,
)
from niwaki.export.graph.writer import Tensor

Pair = int | Sequence[int]


@module_converter(nn.Unfold)
def convert_unfold_module(call: Call, module: nn.Unfold, x: Tensor) -> Tensor:
    """Write Pad, Gather of rows and of columns, Transpose and Reshape."""
    return convert_unfold(
        call, x, module.kernel_size, module.dilation, module.padding, module.stride
    )


@function_converter(F.unfold)
def convert_unfold(
    call: Call,
    input: Tensor,
    kernel_size: Pair,
    dilation: Pair = 1,
    padding: Pair = 0,
    stride: Pair = 1,
) -> Tensor:
    """Write Pad, Gather of rows and of columns, Transpose and Reshape."""
    writer, path = call.writer, call.path
    if input.rank != 4 or None in (*input.shape[1:], *call.shape[1:]):
        raise call.unsupported("an axis other than the first grows with the batch")
    batch, channels, *sizes = input.shape
    x = input
    padded = [int(size or 0) + 2 * pad for size, pad in zip(sizes, spread(padding, 2), strict=True)]
    if any(spread(padding, 2)):
        top, left = spread(padding, 2)
        name = writer.integers(f"{path}.pads", [0, 0, top, left] * 2)
        zero = writer.scalar(f"{path}.zero", 0.0)
        shape = (batch, channels, *padded)
        x = writer.node("Pad", [x, name, zero], shape, name=f"{path}.pad", mode="constant")
    kernels, steps, gaps = spread(kernel_size, 2), spread(stride, 2), spread(dilation, 2)
    for number, axis in enumerate((2, 4)):
        reach = gaps[number] * (kernels[number] - 1) + 1
        begins = np.arange(0, padded[number] - reach + 1, steps[number])
        places = np.arange(kernels[number])[:, None] * gaps[number] + begins
        where = writer.constant(f"{path}.places", places.astype(np.int64))
        shape = (*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])
        x = writer.node("Gather", [x, where], shape, name=f"{path}.windows", axis=axis)
    order = [0, 1, 2, 4, 3, 5]
    turned = tuple(x.shape[axis] for axis in order)
    x = writer.node("Transpose", [x], turned, name=f"{path}.turned", perm=order)
    return write_reshape(call, x)


@module_converter(nn.Fold)
def convert_fold_module(call: Call, module: nn.Fold, x: Tensor) -> Tensor:
    """Write Col2Im."""
    return convert_fold(
        call,
        x,
        module.output_size,
        module.kernel_size,
        module.dilation,
        module.padding,
        module.stride,
    )


@function_converter(F.fold)
def convert_fold(
    call: Call,
    input: Tensor,
    output_size: Pair,
    kernel_size: Pair,
    dilation: Pair = 1,
    padding: Pair = 0,
    stride: Pair = 1,
) -> Tensor:
    """Write Col2Im."""
    if input.rank != 3:
        raise call.unsupported("its input has no batch")
    image = call.writer.integers(f"{call.path}.image", spread(output_size, 2))
    block = call.writer.integers(f"{call.path}.block", spread(kernel_size, 2))
    return call.writer.node(
        "Col2Im",
        [input, image, block],
        call.shape,
        name=call.path,
        dilations=spread(dilation, 2),
        pads=spread(padding, 2) * 2,
        strides=spread(stride, 2),
    )
