"""Operations that move values and compute none."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import nn

from niwaki.export.fast_path.operators.table import (
    Call,
    function_converter,
    gives_views,
    module_converter,
)
from niwaki.export.graph.writer import Tensor


@module_converter(
    *(nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d),
    *(nn.AlphaDropout, nn.FeatureAlphaDropout),
)
@gives_views
def convert_identity(call: Call, _module: nn.Module, x: Tensor) -> Tensor:  # noqa: ARG001
    """Write nothing: in eval mode these return what they get."""
    return x


@function_converter(torch.clone, "clone")
def convert_clone(call: Call, input: Tensor, *, memory_format: object = None) -> Tensor:
    """Write nothing: in a graph, nothing changes."""
    return convert_no_operation(call, input, memory_format=memory_format)


@function_converter(torch.detach, "contiguous", "detach")
@gives_views
def convert_no_operation(
    call: Call,  # noqa: ARG001
    input: Tensor,
    *,
    memory_format: object = None,  # noqa: ARG001
) -> Tensor:
    """Write nothing: a graph says nothing of how tensors lie in memory."""
    return input


@function_converter(F.dropout, F.dropout1d, F.dropout2d)
@gives_views
def convert_dropout(
    call: Call,
    input: Tensor,
    p: float = 0.5,  # noqa: ARG001
    training: bool = True,
    inplace: bool = False,  # noqa: ARG001
) -> Tensor:
    """Write nothing, unless the dropout stays active in eval mode."""
    if training:
        raise call.unsupported("dropout is active: pass training=self.training")
    return input


def write_reshape(call: Call, x: Tensor) -> Tensor:
    """Write Reshape to the shape that a call returns."""
    if sum(dim is None for dim in call.shape) > 1:
        raise call.unsupported(f"more than one dimension of {call.shape} grows with the batch")
    target = [-1 if dim is None else dim for dim in call.shape]
    name = call.writer.integers(f"{call.path}.shape", target)
    return call.writer.node("Reshape", [x, name], call.shape, name=call.path)


@function_converter(torch.reshape, "reshape", "view", "unflatten", torch.unflatten)
@function_converter("reshape_as", "view_as")
@gives_views
def convert_reshape(call: Call, input: Tensor, *_shape: object, **_named: object) -> Tensor:
    """Write Reshape; its target is known from the shapes that were traced."""
    return write_reshape(call, input)


@function_converter(torch.flatten, "flatten")
@gives_views
def convert_flatten(call: Call, input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Write Flatten, or Reshape where dimensions other than the first remain."""
    if start_dim % input.rank == 1 and end_dim % input.rank == input.rank - 1:
        return call.writer.node("Flatten", [input], call.shape, name=call.path, axis=1)
    return write_reshape(call, input)


@module_converter(nn.Flatten)
@gives_views
def convert_flatten_module(call: Call, module: nn.Flatten, x: Tensor) -> Tensor:
    """Write Flatten."""
    return convert_flatten(call, x, module.start_dim, module.end_dim)


@module_converter(nn.Unflatten)
@gives_views
def convert_unflatten_module(call: Call, _module: nn.Unflatten, x: Tensor) -> Tensor:
    """Write Reshape."""
    return write_reshape(call, x)


@module_converter(nn.PixelShuffle)
def convert_pixel_shuffle_module(call: Call, module: nn.PixelShuffle, x: Tensor) -> Tensor:
    """Write DepthToSpace, in torch's order of channels."""
    return convert_pixel_shuffle(call, x, module.upscale_factor)


@function_converter(F.pixel_shuffle)
def convert_pixel_shuffle(call: Call, input: Tensor, upscale_factor: int) -> Tensor:
    """Write DepthToSpace, in torch's order of channels."""
    if input.rank != 4:
        raise call.unsupported(f"it takes {input.rank} axes")
    return call.writer.node(
        "DepthToSpace", [input], call.shape, name=call.path, blocksize=upscale_factor, mode="CRD"
    )


@module_converter(nn.PixelUnshuffle)
def convert_pixel_unshuffle_module(call: Call, module: nn.PixelUnshuffle, x: Tensor) -> Tensor:
    """Write Reshape, Transpose and Reshape: ONNX has another order of channels."""
    return convert_pixel_unshuffle(call, x, module.downscale_factor)


@function_converter(F.pixel_unshuffle)
def convert_pixel_unshuffle(call: Call, input: Tensor, downscale_factor: int) -> Tensor:
    """Write Reshape, Transpose and Reshape: ONNX has another order of channels."""
    x, block = input, downscale_factor
    height, width = call.shape[2:]
    if x.rank != 4 or x.shape[1] is None or height is None or width is None:
        raise call.unsupported(f"it takes {x.shape}")
    sizes = (x.shape[1], height, block, width, block)
    name = call.writer.integers(f"{call.path}.sizes", [-1, *sizes])
    apart = call.writer.node("Reshape", [x, name], (None, *sizes), name=f"{call.path}.apart")
    order = [0, 1, 3, 5, 2, 4]
    shape = (None, x.shape[1], block, block, height, width)
    turned = call.writer.node("Transpose", [apart], shape, name=f"{call.path}.turned", perm=order)
    return write_reshape(call, turned)


@module_converter(nn.ChannelShuffle)
def convert_channel_shuffle(call: Call, module: nn.ChannelShuffle, x: Tensor) -> Tensor:
    """Write Reshape, Transpose and Reshape."""
    sizes = [size for size in x.shape[1:] if size is not None]
    if len(sizes) != x.rank - 1:
        raise call.unsupported(f"it takes {x.shape}")
    n_groups, (channels, *rest) = module.groups, sizes
    name = call.writer.integers(f"{call.path}.sizes", [-1, n_groups, channels // n_groups, *rest])
    before = (x.shape[0], n_groups, channels // n_groups, *rest)
    apart = call.writer.node("Reshape", [x, name], before, name=f"{call.path}.apart")
    order = [0, 2, 1, *range(3, len(before))]
    after = tuple(before[axis] for axis in order)
    turned = call.writer.node("Transpose", [apart], after, name=f"{call.path}.turned", perm=order)
    return write_reshape(call, turned)


def _transposed(call: Call, x: Tensor, order: Sequence[int]) -> Tensor:
    return call.writer.node("Transpose", [x], call.shape, name=call.path, perm=list(order))


@function_converter(torch.permute, "permute")
@gives_views
def convert_permute(call: Call, input: Tensor, *dims: int | Sequence[int]) -> Tensor:
    """Write Transpose."""
    order = dims[0] if len(dims) == 1 and not isinstance(dims[0], int) else dims
    return _transposed(call, input, [int(d) % input.rank for d in order])  # type: ignore[arg-type]


@function_converter(torch.transpose, "transpose", torch.swapaxes, "swapaxes")
@gives_views
def convert_transpose(call: Call, input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Write Transpose."""
    order = list(range(input.rank))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return _transposed(call, input, order)


@function_converter(torch.t, "t")
@gives_views
def convert_matrix_transpose(call: Call, input: Tensor) -> Tensor:
    """Write Transpose, or nothing for a single number."""
    return _transposed(call, input, list(range(input.rank))[::-1]) if input.rank else input


@function_converter(getattr)
@gives_views
def convert_attribute(call: Call, input: Tensor, name: str) -> Tensor:
    """Write Transpose for `x.mT`, `x.T` of a matrix, nothing for `x.data`; else there is none."""
    if name == "data":
        return input
    if name != "mT" and not (name == "T" and input.rank == 2):
        raise call.unsupported(f"there is no converter for `.{name}` of {input.rank} axes")
    return convert_transpose(call, input, -2, -1)


@function_converter(torch.squeeze, "squeeze", torch.unsqueeze, "unsqueeze")
@gives_views
def convert_squeeze(call: Call, input: Tensor, *_dims: object, **_named: object) -> Tensor:
    """Write Reshape, which does both ways."""
    return write_reshape(call, input)


@function_converter(torch.chunk, "chunk", torch.split, "split", torch.tensor_split, "tensor_split")
@gives_views
def convert_split(
    call: Call,
    input: Tensor,
    _sizes: object = None,
    dim: int = 0,
    **_named_sizes: object,
) -> list[Tensor]:
    """Write Split; the parts' sizes are known from the shapes that were traced."""
    axis = dim % input.rank
    lengths = [shape[axis] for shape in call.shapes]
    if None in lengths:
        raise call.unsupported("it splits the batch")
    name = call.writer.integers(f"{call.path}.sizes", [n for n in lengths if n is not None])
    return call.writer.node_with_outputs(
        "Split", [input, name], call.shapes, name=call.path, axis=axis
    )


@function_converter(torch.unbind, "unbind")
@gives_views
def convert_unbind(call: Call, input: Tensor, dim: int = 0) -> list[Tensor]:
    """Write Split, and Reshape of each part."""
    axis = dim % input.rank
    if input.shape[axis] is None:
        raise call.unsupported("it splits the batch")
    kept = (*input.shape[:axis], 1, *input.shape[axis + 1 :])
    sizes = call.writer.integers(f"{call.path}.sizes", [1] * len(call.shapes))
    parts = call.writer.node_with_outputs(
        "Split", [input, sizes], [kept] * len(call.shapes), name=f"{call.path}.split", axis=axis
    )
    axes = call.writer.integers(f"{call.path}.axes", [axis])
    return [
        call.writer.node("Squeeze", [part, axes], shape, name=call.path)
        for part, shape in zip(parts, call.shapes, strict=True)
    ]
