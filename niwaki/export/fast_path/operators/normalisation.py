"""Normalisation layers, and the folding of batch norm into the layer before it."""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from numpy.typing import NDArray
from torch import nn

from niwaki.export.fast_path.folding import Affine, in_double
from niwaki.export.fast_path.operators.table import (
    Call,
    function_converter,
    module_converter,
    to_numpy,
)
from niwaki.export.graph.writer import Tensor


def folded_weights(
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    behind: Affine | None,
    *,
    groups: int | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Return a layer's weight and bias, with what is behind it folded in, computed in float64.

    Args:
        weight: Of the layer.
        bias: (C_out,), if it has one.
        behind: In float64, if there is anything.
        groups: Of a transposed convolution; None for all other layers.
    """
    if behind is not None:
        exact = None if bias is None else in_double(bias)
        weight, bias = behind.folded(in_double(weight), exact, groups=groups)
    return to_numpy(weight), None if bias is None else to_numpy(bias)


@module_converter(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
def convert_batch_norm(call: Call, module: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Write BatchNormalization, where there is no layer to fold it into."""
    if module.running_mean is None or module.running_var is None:
        raise call.unsupported("it normalises by the batch's statistics, having none of its own")
    n_channels = module.num_features
    values = {
        "weight": to_numpy(module.weight) if module.affine else np.ones(n_channels, np.float32),
        "bias": to_numpy(module.bias) if module.affine else np.zeros(n_channels, np.float32),
        "running_mean": to_numpy(module.running_mean),
        "running_var": to_numpy(module.running_var),
    }
    names = [call.writer.constant(f"{call.path}.{key}", value) for key, value in values.items()]
    return call.writer.node(
        "BatchNormalization", [x, *names], call.shape, name=call.path, epsilon=module.eps
    )


@function_converter(F.batch_norm)
def convert_batch_norm_function(
    call: Call,
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,  # noqa: ARG001  (of training)
    eps: float = 1e-5,
) -> Tensor:
    """Write BatchNormalization, where there is no layer to fold it into."""
    if training or running_mean is None or running_var is None:
        raise call.unsupported("it normalises by the batch's statistics")
    scale = _filled(call, "weight", running_mean, 1.0) if weight is None else weight
    shift = _filled(call, "bias", running_mean, 0.0) if bias is None else bias
    given = [input, scale, shift, running_mean, running_var]
    return call.writer.node("BatchNormalization", given, call.shape, name=call.path, epsilon=eps)


def _filled(call: Call, name: str, like: Tensor, value: float) -> str:
    """Add (channels,) numbers that are all the same."""
    if None in like.shape:
        raise call.unsupported("its statistics grow with the batch")
    shape = [size for size in like.shape if size is not None]
    return call.writer.constant(f"{call.path}.{name}", np.full(shape, value, np.float32))


@module_converter(nn.LayerNorm)
def convert_layer_norm(call: Call, module: nn.LayerNorm, x: Tensor) -> Tensor:
    """Write LayerNormalization."""
    shape = tuple(module.normalized_shape)
    weight = to_numpy(module.weight) if module.elementwise_affine else np.ones(shape, np.float32)
    names = [call.writer.constant(f"{call.path}.weight", weight)]
    if module.bias is not None:
        names.append(call.writer.constant(f"{call.path}.bias", to_numpy(module.bias)))
    return call.writer.node(
        "LayerNormalization",
        [x, *names],
        call.shape,
        name=call.path,
        axis=-len(shape),
        epsilon=module.eps,
    )


@function_converter(F.layer_norm)
def convert_layer_norm_function(
    call: Call,
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Write LayerNormalization."""
    if not all(isinstance(size, int) for size in normalized_shape):
        raise call.unsupported("it normalises over the batch")
    ones = np.ones(tuple(normalized_shape), np.float32)
    scale = call.writer.constant(f"{call.path}.ones", ones) if weight is None else weight
    given = [input, scale] if bias is None else [input, scale, bias]
    return call.writer.node(
        "LayerNormalization",
        given,
        call.shape,
        name=call.path,
        axis=-len(normalized_shape),
        epsilon=eps,
    )


_AXES: dict[type[nn.Module], int] = {
    nn.InstanceNorm1d: 3,
    nn.InstanceNorm2d: 4,
    nn.InstanceNorm3d: 5,
}


@module_converter(*_AXES)
def convert_instance_norm(call: Call, module: nn.InstanceNorm2d, x: Tensor) -> Tensor:
    """Write InstanceNormalization."""
    if module.track_running_stats:
        raise call.unsupported("it normalises by statistics of its own")
    n_channels = x.shape[1]
    if x.rank != _AXES[type(module)] or n_channels is None:
        raise call.unsupported("its input has no batch")
    values = {
        "weight": to_numpy(module.weight) if module.affine else np.ones(n_channels, np.float32),
        "bias": to_numpy(module.bias) if module.affine else np.zeros(n_channels, np.float32),
    }
    names = [call.writer.constant(f"{call.path}.{key}", value) for key, value in values.items()]
    return call.writer.node(
        "InstanceNormalization", [x, *names], call.shape, name=call.path, epsilon=module.eps
    )


@module_converter(nn.GroupNorm)
def convert_group_norm_module(call: Call, module: nn.GroupNorm, x: Tensor) -> Tensor:
    """Write InstanceNormalization of the groups, and Mul and Add of the channels."""
    weight, bias = _parameter(call, "weight", module.weight), _parameter(call, "bias", module.bias)
    return convert_group_norm(call, x, module.num_groups, weight, bias, module.eps)


def _parameter(call: Call, name: str, values: torch.Tensor | None) -> Tensor | None:
    if values is None:
        return None
    return Tensor(
        call.writer.constant(f"{call.path}.{name}", to_numpy(values)), tuple(values.shape)
    )


@function_converter(F.group_norm)
def convert_group_norm(
    call: Call,
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Write InstanceNormalization of the groups, and Mul and Add of the channels."""
    writer, path = call.writer, call.path
    if input.shape[0] is not None or None in input.shape[1:]:
        raise call.unsupported("an axis other than the first grows with the batch")
    sizes = [size for size in input.shape[1:] if size is not None]
    grouped = (None, num_groups, math.prod(sizes) // num_groups)
    apart = writer.integers(f"{path}.groups", [-1, *(n for n in grouped if n is not None)])
    joined = writer.integers(f"{path}.shape", [-1, *sizes])
    ones = writer.constant(f"{path}.ones", np.ones(num_groups, np.float32))
    zeros = writer.constant(f"{path}.zeros", np.zeros(num_groups, np.float32))
    given = writer.node("Reshape", [input, apart], grouped, name=f"{path}.apart")
    even = writer.node(
        "InstanceNormalization", [given, ones, zeros], grouped, name=f"{path}.norm", epsilon=eps
    )
    y = writer.node("Reshape", [even, joined], input.shape, name=f"{path}.joined")
    along = [-1, *[1] * (input.rank - 2)]
    for op, name, vector in (("Mul", "scaled", weight), ("Add", "shifted", bias)):
        if vector is not None:
            spread = _spread(call, vector, along)
            y = writer.node(op, [y, spread], input.shape, name=f"{path}.{name}")
    return y


def _spread(call: Call, vector: Tensor, shape: Sequence[int]) -> Tensor | str:
    """Reshape numbers of channels."""
    if call.writer.is_constant(vector.name):
        values = call.writer.values(vector.name).reshape(shape)
        return call.writer.constant(f"{vector.name}.spread", values)
    target = call.writer.integers(f"{call.path}.along", shape)
    sizes = (vector.shape[0], *shape[1:])
    return call.writer.node("Reshape", [vector, target], sizes, name=f"{call.path}.spread")


@module_converter(nn.RMSNorm)
def convert_root_mean_square_norm_module(call: Call, module: nn.RMSNorm, x: Tensor) -> Tensor:
    """Write a quotient by the root of the mean of squares."""
    weight = _parameter(call, "weight", module.weight)
    return convert_root_mean_square_norm(call, x, module.normalized_shape, weight, module.eps)


@function_converter(F.rms_norm)
def convert_root_mean_square_norm(
    call: Call,
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """Write a quotient by the root of the mean of squares."""
    writer, path, x = call.writer, call.path, input
    n_axes = len(normalized_shape)
    axes = writer.integers(f"{path}.axes", list(range(x.rank - n_axes, x.rank)))
    least = torch.finfo(torch.float32).eps if eps is None else eps
    shape = (*x.shape[: x.rank - n_axes], *[1] * n_axes)
    squares = writer.node("Mul", [x, x], x.shape, name=f"{path}.squares")
    mean = writer.node("ReduceMean", [squares, axes], shape, name=f"{path}.mean")
    above = writer.node(
        "Add", [mean, writer.scalar(f"{path}.eps", least)], shape, name=f"{path}.add"
    )
    root = writer.node("Sqrt", [above], shape, name=f"{path}.root")
    even = writer.node("Div", [x, root], x.shape, name=f"{path}.norm")
    if weight is None:
        return even
    return writer.node("Mul", [even, weight], x.shape, name=path)
