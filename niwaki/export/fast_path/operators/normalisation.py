"""Normalisation layers, and the folding of batch norm into the layer before it."""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from numpy.typing import NDArray
from torch import nn

from niwaki.export.fast_path.operators.table import (
    Call,
    function_converter,
    module_converter,
    to_numpy,
)
from niwaki.export.graph.writer import Tensor

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d
Layer = nn.Conv1d | nn.Conv2d | nn.ConvTranspose1d | nn.ConvTranspose2d | nn.Linear

FOLDED_INTO = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.Linear)


def can_fold(norm: nn.Module | None, layer: nn.Module | None) -> bool:
    """Whether `norm` is a batch norm with running statistics, and `layer` can absorb it.

    A linear layer on images works along their rows, and a batch norm across their channels.
    """
    across = isinstance(layer, nn.Linear) and isinstance(norm, nn.BatchNorm2d)
    return (
        not across
        and isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)
        and norm.running_mean is not None
        and isinstance(layer, FOLDED_INTO)
    )


def folded_weights(
    layer: Layer, norm: nn.Module | None
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Return the layer's weight and bias, batch norm folded in, computed in float64."""
    bias = None if layer.bias is None else to_numpy(layer.bias)
    if not isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
        return to_numpy(layer.weight), bias
    scale, shift = _affine(norm)
    weight = layer.weight.detach().double().cpu().numpy() * _along_outputs(layer, scale)
    moved = scale * (0.0 if bias is None else bias) + shift
    return weight.astype(np.float32), moved.astype(np.float32)


def _affine(norm: BatchNorm) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return scale and shift such that the norm computes scale * x + shift."""
    assert norm.running_mean is not None and norm.running_var is not None
    mean, variance = _double(norm.running_mean), _double(norm.running_var)
    gain = _double(norm.weight) if norm.affine else np.ones_like(mean)
    offset = _double(norm.bias) if norm.affine else np.zeros_like(mean)
    scale = gain / np.sqrt(variance + norm.eps)
    return scale, offset - mean * scale


def _along_outputs(layer: Layer, scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shape a scale per output channel so that it multiplies the layer's weight."""
    n_spatial = layer.weight.ndim - 2
    if not isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d):
        return scale.reshape(-1, 1, *[1] * n_spatial)
    # The weight of a transposed convolution is (C_in, C_out / groups, ...), groups along C_in.
    n_inputs = layer.in_channels // layer.groups
    per_group = scale.reshape(layer.groups, 1, -1)
    spread = np.repeat(per_group, n_inputs, axis=1).reshape(layer.in_channels, -1)
    return spread.reshape(*spread.shape, *[1] * n_spatial)


def _double(tensor: torch.Tensor) -> NDArray[np.float64]:
    values: NDArray[np.float64] = tensor.detach().double().cpu().numpy()
    return values


@module_converter(nn.BatchNorm1d, nn.BatchNorm2d)
def convert_batch_norm(call: Call, module: BatchNorm, x: Tensor) -> Tensor:
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


@module_converter(nn.InstanceNorm1d, nn.InstanceNorm2d)
def convert_instance_norm(
    call: Call, module: nn.InstanceNorm1d | nn.InstanceNorm2d, x: Tensor
) -> Tensor:
    """Write InstanceNormalization."""
    if module.track_running_stats:
        raise call.unsupported("it normalises by statistics of its own")
    n_channels = x.shape[1]
    n_axes = 3 if isinstance(module, nn.InstanceNorm1d) else 4
    if x.rank != n_axes or n_channels is None:
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
def convert_group_norm(call: Call, module: nn.GroupNorm, x: Tensor) -> Tensor:
    """Write InstanceNormalization of the groups, and Mul and Add of the channels."""
    writer, path, n_groups = call.writer, call.path, module.num_groups
    if x.shape[0] is not None or None in x.shape[1:]:
        raise call.unsupported("an axis other than the first grows with the batch")
    sizes = [size for size in x.shape[1:] if size is not None]
    grouped = (None, n_groups, math.prod(sizes) // n_groups)
    apart = writer.integers(f"{path}.groups", [-1, *(n for n in grouped if n is not None)])
    joined = writer.integers(f"{path}.shape", [-1, *sizes])
    ones = writer.constant(f"{path}.ones", np.ones(n_groups, np.float32))
    zeros = writer.constant(f"{path}.zeros", np.zeros(n_groups, np.float32))
    given = writer.node("Reshape", [x, apart], grouped, name=f"{path}.apart")
    even = writer.node(
        "InstanceNormalization",
        [given, ones, zeros],
        grouped,
        name=f"{path}.norm" if module.affine else path,
        epsilon=module.eps,
    )
    y = writer.node("Reshape", [even, joined], x.shape, name=f"{path}.joined")
    if not module.affine:
        return y
    along = (-1, *[1] * (x.rank - 2))
    scale = writer.constant(f"{path}.weight", to_numpy(module.weight).reshape(along))
    shift = writer.constant(f"{path}.bias", to_numpy(module.bias).reshape(along))
    scaled = writer.node("Mul", [y, scale], x.shape, name=f"{path}.scaled")
    return writer.node("Add", [scaled, shift], x.shape, name=path)


@module_converter(nn.RMSNorm)
def convert_root_mean_square_norm(call: Call, module: nn.RMSNorm, x: Tensor) -> Tensor:
    """Write a quotient by the root of the mean of squares."""
    writer, path = call.writer, call.path
    n_axes = len(module.normalized_shape)
    axes = writer.integers(f"{path}.axes", list(range(x.rank - n_axes, x.rank)))
    eps = torch.finfo(torch.float32).eps if module.eps is None else module.eps
    shape = (*x.shape[: x.rank - n_axes], *[1] * n_axes)
    squares = writer.node("Mul", [x, x], x.shape, name=f"{path}.squares")
    mean = writer.node("ReduceMean", [squares, axes], shape, name=f"{path}.mean")
    above = writer.node("Add", [mean, writer.scalar(f"{path}.eps", eps)], shape, name=f"{path}.add")
    root = writer.node("Sqrt", [above], shape, name=f"{path}.root")
    even = writer.node("Div", [x, root], x.shape, name=f"{path}.norm")
    if module.weight is None:
        return even
    weight = writer.constant(f"{path}.weight", to_numpy(module.weight))
    return writer.node("Mul", [even, weight], x.shape, name=path)
