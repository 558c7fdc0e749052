"""Normalisations."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from numpy.typing import NDArray
from torch import fx, nn

from niwaki.evaluation.compression.from_onnx.call import Call, as_torch, operator_named

_BATCH: Sequence[type[nn.Module]] = (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_INSTANCE: Sequence[type[nn.Module]] = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)


def is_plain(scale: NDArray[Any], bias: NDArray[Any] | None) -> bool:
    """Whether a norm changes nothing after it.

    Exporters write such ones and zeros once, for all norms of that many channels: they tell neither
    that a norm has weights nor that norms share them.
    """
    return bool((scale == 1).all()) and (bias is None or not bias.any())


def _for_rank(
    call: Call, kinds: Sequence[Callable[..., nn.Module]], *, least: int
) -> Callable[..., nn.Module]:
    """Return the norm for as many axes as the input has, of those from the least number on."""
    place = call.rank() - least
    if not 0 <= place < len(kinds):
        raise call.refusal(f"its input has {call.rank()} axes, and torch has no such norm")
    return kinds[place]


def _spread(call: Call, index: int, shape: Sequence[int]) -> NDArray[Any]:
    """Return a number for each value that is normalised, where there are fewer, repeated."""
    values = call.constant(index)
    if values.size == np.prod(shape):
        return values.reshape(shape)
    try:
        return np.broadcast_to(values, shape)
    except ValueError:
        raise call.refusal(
            f"its input '{call.node.input[index]}' is not one for each value that it normalises"
        ) from None


@operator_named("BatchNormalization")
def read_batch_norm(call: Call) -> fx.Node:
    """Read a batch norm with running statistics."""
    call.require("training_mode", 0)
    mean, variance = call.constant(3), call.constant(4)
    kind = _for_rank(call, _BATCH, least=2)

    def make() -> nn.Module:
        layer = kind(
            len(mean),
            eps=call.attribute("epsilon", 1e-5),
            momentum=1.0 - call.attribute("momentum", 0.9),
        )
        layer.running_mean, layer.running_var = as_torch(mean), as_torch(variance)
        layer.weight, layer.bias = call.parameter(1), call.parameter(2)
        return layer

    return call.layer(make, call.data(), weight=1, also=call.rank())


@operator_named("LayerNormalization")
def read_layer_norm(call: Call) -> fx.Node:
    """Read a layer norm over the last axes."""
    shape = [dim[0] for dim in call.shape()[call.axis(-1) :]]
    scale, bias = _spread(call, 1, shape), _spread(call, 2, shape) if call.has(2) else None
    alone = call.node.output[0] if is_plain(call.constant(1), call.optional(2)) else ""

    def make() -> nn.Module:
        epsilon = call.attribute("epsilon", 1e-5)
        layer = nn.LayerNorm(shape, eps=epsilon, bias=bias is not None)
        layer.weight = nn.Parameter(as_torch(scale))
        if bias is not None:
            layer.bias = nn.Parameter(as_torch(bias))
        return layer

    return call.layer(make, call.data(), weight=1, also=(*shape, alone))


@operator_named("RMSNormalization")
def read_rms_norm(call: Call) -> fx.Node:
    """Read a root-mean-square norm over the last axes."""
    shape = [dim[0] for dim in call.shape()[call.axis(-1) :]]
    alone = call.node.output[0] if is_plain(call.constant(1), None) else ""
    scale = _spread(call, 1, shape)

    def make() -> nn.Module:
        layer = nn.RMSNorm(shape, eps=call.attribute("epsilon", 1e-5))
        layer.weight = nn.Parameter(as_torch(scale))
        return layer

    return call.layer(make, call.data(), weight=1, also=(*shape, alone))


@operator_named("InstanceNormalization")
def read_instance_norm(call: Call) -> fx.Node:
    """Read an instance norm."""
    has_weights = not is_plain(call.constant(1), call.constant(2))
    kind = _for_rank(call, _INSTANCE, least=3)

    def make() -> nn.Module:
        layer = kind(len(call.constant(1)), eps=call.attribute("epsilon", 1e-5), affine=has_weights)
        if has_weights:
            layer.weight, layer.bias = call.parameter(1), call.parameter(2)
        return layer

    return call.layer(make, call.data(), weight=1 if has_weights else -1, also=call.rank())


@operator_named("GroupNormalization")
def read_group_norm(call: Call) -> fx.Node:
    """Read a group norm; in opset 18, one scale is of a whole group."""
    n_groups, n_channels = call.attribute("num_groups"), call.shape()[1][0]
    scales = [call.constant(index) for index in (1, 2)]
    has_weights = not is_plain(*scales)

    def make() -> nn.Module:
        epsilon = call.attribute("epsilon", 1e-5)
        layer = nn.GroupNorm(n_groups, n_channels, eps=epsilon, affine=has_weights)
        if has_weights:
            whole = [np.repeat(s, n_channels // len(s)) for s in scales]
            layer.weight, layer.bias = (nn.Parameter(as_torch(each)) for each in whole)
        return layer

    return call.layer(make, call.data(), weight=1 if has_weights else -1, also=n_channels)


@operator_named("LRN")
def read_local_response_norm(call: Call) -> fx.Node:
    """Read a norm over neighbouring channels."""
    settings = [call.attribute(*each) for each in (("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0))]
    return call.function(F.local_response_norm, call.data(), call.attribute("size"), *settings)


@operator_named("LpNormalization")
def read_normalisation(call: Call) -> fx.Node:
    """Read a division by the length."""
    return call.function(
        F.normalize, call.data(), p=float(call.attribute("p", 2)), dim=call.axis(-1)
    )


@operator_named("Softmax", "LogSoftmax")
def read_softmax(call: Call) -> fx.Node:
    """Read a softmax; before opset 13, it is over all axes from one on."""
    is_old = call.known.opset < 13
    axis = call.axis(1 if is_old else -1)
    if is_old and any(dim != (1, 1) for dim in call.shape()[axis + 1 :]):
        raise call.refusal("it is over several axes: export with opset 13 or later")
    function = torch.softmax if call.node.op_type == "Softmax" else torch.log_softmax
    return call.function(function, call.data(), dim=axis)
