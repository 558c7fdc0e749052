"""Functions of single values."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import fx, nn

from niwaki.evaluation.compression.from_onnx.call import OPERATORS, Call, operator_named

_PLAIN: dict[str, Callable[..., Any]] = {
    "Abs": torch.abs,
    "Ceil": torch.ceil,
    "Cos": torch.cos,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "Floor": torch.floor,
    "HardSwish": F.hardswish,
    "Log": torch.log,
    "Mish": F.mish,
    "Neg": operator.neg,
    "IsNaN": torch.isnan,
    "Not": torch.logical_not,
    "Reciprocal": torch.reciprocal,
    "Relu": F.relu,
    "Round": torch.round,
    "Sigmoid": torch.sigmoid,
    "Sign": torch.sign,
    "Sin": torch.sin,
    "Softplus": F.softplus,
    "Softsign": F.softsign,
    "Sqrt": torch.sqrt,
    "Tanh": torch.tanh,
}


def _plain(function: Callable[..., Any]) -> Callable[[Call], fx.Node]:
    return lambda call: call.function(function, call.data())


OPERATORS.update({name: _plain(function) for name, function in _PLAIN.items()})


@operator_named("LeakyRelu")
def read_leaky_relu(call: Call) -> fx.Node:
    """Read a leaky ReLU."""
    return call.function(F.leaky_relu, call.data(), call.attribute("alpha", 0.01))


@operator_named("Elu")
def read_elu(call: Call) -> fx.Node:
    """Read an ELU."""
    return call.function(F.elu, call.data(), call.attribute("alpha", 1.0))


@operator_named("Celu")
def read_celu(call: Call) -> fx.Node:
    """Read a CELU."""
    return call.function(F.celu, call.data(), call.attribute("alpha", 1.0))


@operator_named("Selu")
def read_selu(call: Call) -> fx.Node:
    """Read a SELU, of which torch knows one."""
    alpha, gamma = call.attribute("alpha", 1.67326), call.attribute("gamma", 1.0507)
    if not np.allclose((alpha, gamma), (1.67326, 1.0507), atol=1e-4):
        raise call.refusal(f"'alpha' is {alpha}, and 'gamma' {gamma}")
    return call.function(F.selu, call.data())


@operator_named("HardSigmoid")
def read_hard_sigmoid(call: Call) -> fx.Node:
    """Read a piecewise linear sigmoid, of any slope."""
    alpha, beta = call.attribute("alpha", 0.2), call.attribute("beta", 0.5)
    if np.allclose((alpha, beta), (1 / 6, 0.5), atol=1e-6):
        return call.function(F.hardsigmoid, call.data())
    sloped = call.function(operator.mul, call.data(), alpha)
    return call.function(torch.clamp, call.function(operator.add, sloped, beta), 0.0, 1.0)


@operator_named("Gelu")
def read_gelu(call: Call) -> fx.Node:
    """Read a GELU."""
    approximate = call.attribute("approximate", "none")
    return call.function(F.gelu, call.data(), approximate=approximate)


@operator_named("Swish")
def read_swish(call: Call) -> fx.Node:
    """Read a SiLU."""
    call.require("alpha", 1.0)
    return call.function(F.silu, call.data())


@operator_named("PRelu")
def read_prelu(call: Call) -> fx.Node:
    """Read a ReLU with learned slopes: one, or one for each channel."""
    slope, shape = call.constant(1), call.shape()
    flat = slope.reshape(-1)
    n_channels = shape[1][0] if len(shape) > 1 else 1
    aligned = (1,) * (len(shape) - slope.ndim) + slope.shape
    per_channel = len(aligned) > 1 and aligned[1] == flat.size == n_channels
    if flat.size != 1 and not per_channel:
        raise call.refusal(f"its slopes have shape {slope.shape} for an input of rank {len(shape)}")

    def make() -> nn.Module:
        layer = nn.PReLU(flat.size)
        layer.weight = nn.Parameter(torch.from_numpy(flat.copy()))
        return layer

    return call.layer(make, call.data(), weight=1)


@operator_named("Clip")
def read_clip(call: Call) -> fx.Node:
    """Read limits, which are a ReLU6 where they are 0 and 6."""
    bounds: list[float | None] = []
    for index, name in enumerate(("min", "max"), 1):
        given = call.optional(index)
        value = call.attribute(name) if given is None else given.item()
        bounds.append(value)
    low, high = bounds
    if (low, high) == (0.0, 6.0):
        return call.function(F.relu6, call.data())
    if low is None and high is None:
        return call.data()
    return call.function(torch.clamp, call.data(), low, high)


@operator_named("Identity")
def read_identity(call: Call) -> fx.Node:
    """Read what changes nothing."""
    return call.data()


@operator_named("Dropout")
def read_dropout(call: Call) -> fx.Node:
    """Read what changes nothing in evaluation mode."""
    training = call.optional(2)
    if training is not None and training.any():
        raise call.refusal("'training_mode' is true, and it drops values: export model.eval()")
    return call.data()


_TYPES = {"b": torch.bool, "f": torch.float32, "i": torch.int64, "u": torch.int64}


@operator_named("Cast", "CastLike")
def read_cast(call: Call) -> fx.Node:
    """Read a change of type; all integers are int64, and all reals float32."""
    before = call.known.dtype(call.node.input[0]).kind
    after = call.known.dtype(call.node.output[0]).kind
    if after not in _TYPES:
        raise call.refusal("its type is no number")
    if _TYPES[before] == _TYPES[after]:
        return call.data()
    return call.method("to", call.data(), _TYPES[after])
