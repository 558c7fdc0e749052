"""Activation functions, as modules, functions and methods."""

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import nn

from niwaki.export.fast_path.operators.table import (
    Call,
    Converter,
    as_tensor,
    function_converter,
    held_as,
    in_type,
    module_converter,
    to_numpy,
)
from niwaki.export.graph.writer import Attribute, Tensor


def _elementwise(op: str) -> Converter:
    """Return the converter of an activation that has an ONNX operator and no settings."""

    def convert(call: Call, input: Tensor, inplace: bool = False) -> Tensor:  # noqa: ARG001
        x = in_type(call, input, call.dtype)
        return call.writer.node(op, [x], call.shape, name=call.path)

    return convert


def _register(op: str, module: type[nn.Module], *functions: Any) -> None:
    convert = _elementwise(op)
    function_converter(*functions)(convert)

    @module_converter(module)
    def convert_module(call: Call, _module: nn.Module, x: Tensor) -> Any:
        return convert(call, x)


_register("Relu", nn.ReLU, F.relu, F.relu_, torch.relu, "relu", "relu_")
_register("Sigmoid", nn.Sigmoid, torch.sigmoid, F.sigmoid, "sigmoid")
_register("Tanh", nn.Tanh, torch.tanh, F.tanh, "tanh")
_register("HardSwish", nn.Hardswish, F.hardswish)
_register("Softsign", nn.Softsign, F.softsign)
_register("Mish", nn.Mish, F.mish)


@module_converter(nn.Hardsigmoid)
def convert_hardsigmoid_module(call: Call, _module: nn.Hardsigmoid, x: Tensor) -> Tensor:
    """Write HardSigmoid with torch's slope of one sixth."""
    return convert_hardsigmoid(call, x)


@function_converter(F.hardsigmoid)
def convert_hardsigmoid(call: Call, input: Tensor, inplace: bool = False) -> Tensor:  # noqa: ARG001
    """Write HardSigmoid with torch's slope of one sixth."""
    return call.writer.node(
        "HardSigmoid", [input], call.shape, name=call.path, alpha=1 / 6, beta=0.5
    )


@module_converter(nn.SiLU)
def convert_silu_module(call: Call, _module: nn.SiLU, x: Tensor) -> Tensor:
    """Write x * sigmoid(x)."""
    return convert_silu(call, x)


@function_converter(F.silu)
def convert_silu(call: Call, input: Tensor, inplace: bool = False) -> Tensor:  # noqa: ARG001
    """Write x * sigmoid(x), which the runtime can keep in int8."""
    gate = call.writer.node("Sigmoid", [input], call.shape, name=f"{call.path}.sigmoid")
    return call.writer.node("Mul", [input, gate], call.shape, name=call.path)


@module_converter(nn.GELU)
def convert_gelu_module(call: Call, module: nn.GELU, x: Tensor) -> Tensor:
    """Write Gelu."""
    return convert_gelu(call, x, approximate=module.approximate)


@function_converter(F.gelu)
def convert_gelu(call: Call, input: Tensor, approximate: str = "none") -> Tensor:
    """Write Gelu."""
    return call.writer.node("Gelu", [input], call.shape, name=call.path, approximate=approximate)


@module_converter(nn.LeakyReLU)
def convert_leaky_relu_module(call: Call, module: nn.LeakyReLU, x: Tensor) -> Tensor:
    """Write LeakyRelu."""
    return convert_leaky_relu(call, x, module.negative_slope)


@function_converter(F.leaky_relu)
def convert_leaky_relu(
    call: Call,
    input: Tensor,
    negative_slope: float = 0.01,
    inplace: bool = False,  # noqa: ARG001
) -> Tensor:
    """Write LeakyRelu."""
    return call.writer.node("LeakyRelu", [input], call.shape, name=call.path, alpha=negative_slope)


@module_converter(nn.PReLU)
def convert_prelu(call: Call, module: nn.PReLU, x: Tensor) -> Tensor:
    """Write PRelu, with slopes along the channels."""
    slopes = to_numpy(module.weight).reshape(-1, *[1] * max(0, x.rank - 2))
    name = call.writer.constant(f"{call.path}.weight", slopes)
    return call.writer.node("PRelu", [x, name], call.shape, name=call.path)


@module_converter(nn.ELU)
def convert_elu(call: Call, module: nn.ELU, x: Tensor) -> Tensor:
    """Write Elu."""
    return convert_elu_function(call, x, module.alpha)


@function_converter(F.elu)
def convert_elu_function(
    call: Call,
    input: Tensor,
    alpha: float = 1.0,
    inplace: bool = False,  # noqa: ARG001
) -> Tensor:
    """Write Elu."""
    return call.writer.node("Elu", [input], call.shape, name=call.path, alpha=alpha)


@module_converter(nn.Softplus)
def convert_softplus(call: Call, module: nn.Softplus, x: Tensor) -> Tensor:
    """Write Softplus."""
    return convert_softplus_function(call, x, module.beta, module.threshold)


@function_converter(F.softplus)
def convert_softplus_function(
    call: Call,
    input: Tensor,
    beta: float = 1.0,
    threshold: float = 20.0,
) -> Tensor:
    """Write Softplus; above 16, a number is its own softplus in float32."""
    if beta != 1 or threshold < 16:
        raise call.unsupported(f"softplus with beta={beta} and threshold={threshold}")
    return call.writer.node("Softplus", [input], call.shape, name=call.path)


@module_converter(nn.ReLU6, nn.Hardtanh)
def convert_hardtanh_module(call: Call, module: nn.Hardtanh, x: Tensor) -> Tensor:
    """Write Clip; ReLU6 is a Hardtanh from 0 to 6."""
    return convert_clamp(call, x, module.min_val, module.max_val)


@function_converter(F.relu6)
def convert_relu6(call: Call, input: Tensor, inplace: bool = False) -> Tensor:  # noqa: ARG001
    """Write Clip from 0 to 6."""
    return convert_clamp(call, input, 0.0, 6.0)


@function_converter(F.hardtanh)
def convert_hardtanh(
    call: Call,
    input: Tensor,
    min_val: float = -1.0,
    max_val: float = 1.0,
    inplace: bool = False,  # noqa: ARG001
) -> Tensor:
    """Write Clip."""
    return convert_clamp(call, input, min_val, max_val)


@function_converter(torch.clamp, torch.clip, "clamp", "clip", "clamp_")
def convert_clamp(
    call: Call,
    input: Tensor,
    min: object = None,
    max: object = None,
) -> Tensor:
    """Write Clip; of bounds that are tensors, Max and Min."""
    x = in_type(call, input, call.dtype)
    if isinstance(min, Tensor) or isinstance(max, Tensor):
        for op, bound in (("Max", min), ("Min", max)):
            if bound is not None:
                limit = as_tensor(call, bound, call.dtype)
                x = call.writer.node(op, [x, limit], call.shape, name=call.path)
        return x
    if not isinstance(min, int | float | None) or not isinstance(max, int | float | None):
        raise call.unsupported("its bounds are not numbers")
    kind = held_as(call.dtype)
    names = [
        "" if bound is None else call.writer.scalar(f"{call.path}.{name}", bound, kind)
        for name, bound in (("min", min), ("max", max))
    ]
    return call.writer.node("Clip", [x, *names], call.shape, name=call.path)


def _softmax(op: str, call: Call, x: Tensor, dim: int | None) -> Tensor:
    if dim is None:
        raise call.unsupported("softmax without `dim` is ambiguous: name the dimension")
    attributes: dict[str, Attribute] = {"axis": dim}
    return call.writer.node(op, [x], call.shape, name=call.path, **attributes)


@module_converter(nn.Softmax)
def convert_softmax_module(call: Call, module: nn.Softmax, x: Tensor) -> Tensor:
    """Write Softmax."""
    return _softmax("Softmax", call, x, module.dim)


@module_converter(nn.LogSoftmax)
def convert_log_softmax_module(call: Call, module: nn.LogSoftmax, x: Tensor) -> Tensor:
    """Write LogSoftmax."""
    return _softmax("LogSoftmax", call, x, module.dim)


@function_converter(torch.clamp_min, "clamp_min", "clamp_min_")
def convert_least(call: Call, input: Tensor, min: Tensor | float) -> Tensor:
    """Write Clip, or Max."""
    return convert_clamp(call, input, min)


@function_converter(torch.clamp_max, "clamp_max", "clamp_max_")
def convert_most(call: Call, input: Tensor, max: Tensor | float) -> Tensor:
    """Write Clip, or Min."""
    return convert_clamp(call, input, None, max)


@function_converter(F.softmax, torch.softmax, "softmax")
def convert_softmax(
    call: Call,
    input: Tensor,
    dim: int | None = None,
    _stacklevel: int = 3,
    dtype: torch.dtype | None = None,  # noqa: ARG001  (as the result tells)
) -> Tensor:
    """Write Softmax."""
    return _softmax("Softmax", call, in_type(call, input, call.dtype), dim)


@function_converter(F.log_softmax, torch.log_softmax, "log_softmax")
def convert_log_softmax(
    call: Call,
    input: Tensor,
    dim: int | None = None,
    _stacklevel: int = 3,
    dtype: torch.dtype | None = None,  # noqa: ARG001  (as the result tells)
) -> Tensor:
    """Write LogSoftmax."""
    return _softmax("LogSoftmax", call, in_type(call, input, call.dtype), dim)
