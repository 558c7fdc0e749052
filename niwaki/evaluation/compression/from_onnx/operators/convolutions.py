"""Convolutions."""

from collections.abc import Sequence

import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import fx, nn

from niwaki.evaluation.compression.from_onnx.call import Call, operator_named
from niwaki.evaluation.compression.from_onnx.operators.windows import pads_of, torch_pads

_PLAIN: Sequence[type[nn.Module]] = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED: Sequence[type[nn.Module]] = (
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)


@operator_named("Conv")
def read_convolution(call: Call) -> fx.Node:
    """Read a convolution; pads that differ between sides come before it."""
    weight = call.parameter(1)
    n_axes = weight.ndim - 2
    strides = list(call.attribute("strides", [1] * n_axes))
    dilations = list(call.attribute("dilations", [1] * n_axes))
    before, after = pads_of(call, list(weight.shape[2:]), strides, dilations)
    inputs = call.data()
    if before != after:
        inputs = call.function(F.pad, inputs, torch_pads(before, after))
        before = [0] * n_axes
    groups = call.attribute("group", 1)

    def make() -> nn.Module:
        layer: nn.Module = _PLAIN[n_axes - 1](
            weight.shape[1] * groups,
            weight.shape[0],
            tuple(weight.shape[2:]),
            stride=tuple(strides),
            padding=tuple(before),
            dilation=tuple(dilations),
            groups=groups,
            bias=call.has(2),
        )
        return _with_weights(call, layer, weight)

    return call.layer(make, inputs, weight=1, also=tuple(before))


@operator_named("ConvTranspose")
def read_transposed_convolution(call: Call) -> fx.Node:
    """Read a transposed convolution, with as many pads on either side."""
    weight = call.parameter(1)
    n_axes = weight.ndim - 2
    call.require("auto_pad", "NOTSET")
    pads = list(call.attribute("pads", [0] * 2 * n_axes))
    if pads[:n_axes] != pads[n_axes:] or call.attribute("output_shape") is not None:
        raise call.refusal("it pads one side more than the other, or is told its output's size")
    groups = call.attribute("group", 1)

    def make() -> nn.Module:
        layer: nn.Module = _TRANSPOSED[n_axes - 1](
            weight.shape[0],
            weight.shape[1] * groups,
            tuple(weight.shape[2:]),
            stride=tuple(call.attribute("strides", [1] * n_axes)),
            padding=tuple(pads[:n_axes]),
            output_padding=tuple(call.attribute("output_padding", [0] * n_axes)),
            groups=groups,
            bias=call.has(2),
            dilation=tuple(call.attribute("dilations", [1] * n_axes)),
        )
        return _with_weights(call, layer, weight)

    return call.layer(make, call.data(), weight=1)


def _with_weights(call: Call, layer: nn.Module, weight: nn.Parameter) -> nn.Module:
    layer.weight = weight
    if call.has(2):
        layer.bias = call.parameter(2)
    return layer
