"""The shapes that common layers return, in closed form.

torch works them out for tensors without storage too, but in Python, and imports its compiler for
that: seconds in each new process, and most of the time of a trace. What is not here is left to it.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

Rule = Callable[..., Any]


def same(_module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Return a tensor of the same shape."""
    return x


def linear(module: nn.Linear, x: torch.Tensor) -> torch.Tensor:
    """Replace the last dimension."""
    _check_channels(module, x.shape[-1], module.in_features)
    return x.new_empty((*x.shape[:-1], module.out_features))


def convolution(module: nn.Conv1d | nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    """Slide a window over each axis.

    References:
        The formulas in the documentation of torch.nn.Conv2d and torch.nn.ConvTranspose2d.
    """
    _check_channels(module, x.shape[1], module.in_channels)
    reaches = _reaches(module)
    match module.padding:
        case "same":
            pads = reaches
        case "valid":
            pads = [0] * len(reaches)
        case padding:
            pads = [2 * int(p) for p in padding]
    axes = zip(x.shape[2:], pads, reaches, module.stride, strict=True)
    sizes = [(size + pad - reach - 1) // stride + 1 for size, pad, reach, stride in axes]
    if min(sizes) < 1:
        raise ValueError(f"a kernel of {module.kernel_size} is larger than {tuple(x.shape[2:])}")
    return x.new_empty((x.shape[0], module.out_channels, *sizes))


def transposed_convolution(
    module: nn.ConvTranspose1d | nn.ConvTranspose2d,
    x: torch.Tensor,
    output_size: Sequence[int] | None = None,
) -> torch.Tensor:
    """Spread each value over a window; of several sizes that may come of it, one can be asked."""
    _check_channels(module, x.shape[1], module.in_channels)
    if output_size is not None:
        n_axes = len(module.kernel_size)
        return x.new_empty((x.shape[0], module.out_channels, *output_size[-n_axes:]))
    pads = [2 * int(p) for p in module.padding]
    axes = zip(
        x.shape[2:], module.stride, pads, _reaches(module), module.output_padding, strict=True
    )
    sizes = [
        (size - 1) * stride - pad + reach + extra + 1 for size, stride, pad, reach, extra in axes
    ]
    return x.new_empty((x.shape[0], module.out_channels, *sizes))


def recurrent(
    module: nn.RNNBase,
    x: torch.Tensor,
    hx: object = None,  # noqa: ARG001
) -> tuple[torch.Tensor, torch.Tensor | tuple[torch.Tensor, torch.Tensor]]:
    """Replace the last dimension; the states behind have the steps no more.

    torch would run through all steps, each of a dozen calls.
    """
    _check_channels(module, x.shape[-1], module.input_size)
    n_directions, n_outputs = (
        2 if module.bidirectional else 1,
        module.proj_size or module.hidden_size,
    )
    outputs = x.new_empty((*x.shape[:-1], n_directions * n_outputs))
    batch = x.shape[:-1][0 if module.batch_first else 1 :][:1] if x.ndim == 3 else ()
    hidden = x.new_empty((n_directions * module.num_layers, *batch, n_outputs))
    if not isinstance(module, nn.LSTM):
        return outputs, hidden
    return outputs, (hidden, x.new_empty((*hidden.shape[:-1], module.hidden_size)))


def _reaches(module: Any) -> list[int]:
    """Return how far a kernel reaches beyond its first value, along each axis."""
    axes = zip(module.kernel_size, module.dilation, strict=True)
    return [dilation * (kernel - 1) for kernel, dilation in axes]


def _check_channels(module: nn.Module, given: int, wanted: int) -> None:
    if given != wanted:
        raise ValueError(f"{module} gets {given} channels, not {wanted}")


def broadcast(*values: object, **_settings: object) -> torch.Tensor:
    """Return a tensor of the shape that the tensors among `values` broadcast to."""
    tensors = [value for value in values if isinstance(value, torch.Tensor)]
    return tensors[0].new_empty(np.broadcast_shapes(*(tuple(t.shape) for t in tensors)))


def concatenated(tensors: Sequence[torch.Tensor], dim: int = 0) -> torch.Tensor:
    """Sum up one dimension; the others must agree."""
    shapes = [list(tensor.shape) for tensor in tensors]
    joined = shapes[0].copy()
    joined[dim] = sum(shape[dim] for shape in shapes)
    for shape in shapes:
        shape[dim] = joined[dim]
        if shape != joined:
            raise ValueError(f"tensors of shapes {[tuple(t.shape) for t in tensors]} do not join")
    return tensors[0].new_empty(joined)


def averaged(
    input: torch.Tensor,
    dim: int | Sequence[int] | None = None,
    keepdim: bool = False,
    *,
    axis: int | Sequence[int] | None = None,
    out: None = None,  # noqa: ARG001
) -> torch.Tensor:
    """Drop dimensions, or leave one value in each; numpy's users call them axes."""
    dim = axis if dim is None else dim
    dims = range(input.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    axes = {axis % input.ndim for axis in dims}
    sizes = [1 if i in axes else size for i, size in enumerate(input.shape)]
    kept = [size for i, size in enumerate(sizes) if keepdim or i not in axes]
    return input.new_empty(kept)


def adaptively_pooled(input: torch.Tensor, output_size: Any) -> torch.Tensor:
    """Replace the sizes of the last axes; None leaves one as it is."""
    n_axes = input.ndim - 2
    wanted = [output_size] * n_axes if isinstance(output_size, int | None) else list(output_size)
    sizes = [old if new is None else new for old, new in zip(input.shape[2:], wanted, strict=True)]
    return input.new_empty((*input.shape[:2], *sizes))


_ELEMENTWISE = (
    *(operator.add, operator.iadd, torch.add, "add", "add_"),
    *(operator.sub, operator.isub, torch.sub, "sub", "sub_"),
    *(operator.mul, operator.imul, torch.mul, "mul", "mul_"),
    *(operator.truediv, torch.div, "div", "div_"),
    *(F.relu, F.relu_, torch.relu, "relu", "relu_", F.relu6, F.leaky_relu, F.hardtanh),
    *(F.sigmoid, torch.sigmoid, "sigmoid", F.tanh, torch.tanh, "tanh"),
    *(F.silu, F.gelu, F.hardswish, F.hardsigmoid, torch.clamp, "clamp"),
)


def unchanged(input: torch.Tensor, *_parts: object, **_settings: object) -> torch.Tensor:
    """Return a tensor of the same shape."""
    return input


# Functions, and methods by name.
FUNCTION_RULES: Mapping[Any, Callable[..., torch.Tensor]] = MappingProxyType(
    {
        **dict.fromkeys(_ELEMENTWISE, broadcast),
        **dict.fromkeys((torch.cat, torch.concat, torch.concatenate), concatenated),
        **dict.fromkeys((torch.mean, "mean"), averaged),
        **dict.fromkeys((F.batch_norm, F.layer_norm, F.group_norm), unchanged),
        **dict.fromkeys((F.adaptive_avg_pool1d, F.adaptive_avg_pool2d), adaptively_pooled),
    }
)


def _adaptive_pool(module: Any, x: torch.Tensor) -> torch.Tensor:
    return adaptively_pooled(x, module.output_size)


_SAME = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.Dropout,
    nn.GELU,
    nn.Hardsigmoid,
    nn.Hardswish,
    nn.Hardtanh,
    nn.Identity,
    nn.LayerNorm,
    nn.LeakyReLU,
    nn.LogSoftmax,
    nn.ReLU,
    nn.ReLU6,
    nn.SiLU,
    nn.Sigmoid,
    nn.Softmax,
    nn.Tanh,
)
MODULE_RULES: Mapping[type[nn.Module], Rule] = MappingProxyType(
    {
        **dict.fromkeys(_SAME, same),
        nn.Linear: linear,
        NonDynamicallyQuantizableLinear: linear,
        nn.Conv1d: convolution,
        nn.Conv2d: convolution,
        nn.ConvTranspose1d: transposed_convolution,
        nn.ConvTranspose2d: transposed_convolution,
        **dict.fromkeys((nn.RNN, nn.LSTM, nn.GRU), recurrent),
        nn.AdaptiveAvgPool1d: _adaptive_pool,
        nn.AdaptiveAvgPool2d: _adaptive_pool,
    }
)
