"""Convolutions, with the batch norm behind them folded in."""

from collections.abc import Sequence

from torch import nn

from niwaki.export.fast_path.operators.normalisation import folded_weights
from niwaki.export.fast_path.operators.table import Call, module_converter
from niwaki.export.graph.writer import Attribute, Tensor

_PAD_MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
Convolution = nn.Conv1d | nn.Conv2d
Transposed = nn.ConvTranspose1d | nn.ConvTranspose2d


@module_converter(nn.Conv1d, nn.Conv2d)
def convert_convolution(call: Call, module: Convolution, x: Tensor) -> Tensor:
    """Write Conv; padding other than zeros becomes a Pad before it."""
    pads = _pads(module)
    if module.padding_mode != "zeros":
        x = _padded(call, x, pads, module.padding_mode)
        pads = [0] * len(pads)
    return _write(call, "Conv", module, x, pads=pads)


@module_converter(nn.ConvTranspose1d, nn.ConvTranspose2d)
def convert_transposed_convolution(call: Call, module: Transposed, x: Tensor) -> Tensor:
    """Write ConvTranspose."""
    pads = [int(p) for p in module.padding] * 2
    output_padding = list(module.output_padding)
    return _write(call, "ConvTranspose", module, x, pads=pads, output_padding=output_padding)


def _write(
    call: Call, op: str, module: Convolution | Transposed, x: Tensor, **attributes: Attribute
) -> Tensor:
    weight, bias = folded_weights(module, call.norm)
    names = [call.writer.constant(f"{call.path}.weight", weight)]
    if bias is not None:
        names.append(call.writer.constant(f"{call.path}.bias", bias))
    return call.writer.node(
        op,
        [x, *names],
        call.shape,
        name=call.path,
        kernel_shape=list(module.kernel_size),
        strides=list(module.stride),
        dilations=list(module.dilation),
        group=module.groups,
        **attributes,
    )


def _pads(module: Convolution) -> list[int]:
    """Return the padding of each axis before, then of each axis after."""
    match module.padding:
        case "valid":
            return [0, 0] * len(module.kernel_size)
        case "same":
            sizes = zip(module.kernel_size, module.dilation, strict=True)
            totals = [dilation * (kernel - 1) for kernel, dilation in sizes]
            before = [total // 2 for total in totals]
            return before + [total - b for total, b in zip(totals, before, strict=True)]
        case padding:
            return [int(p) for p in padding] * 2


def _padded(call: Call, x: Tensor, pads: Sequence[int], mode: str) -> Tensor:
    n_axes = len(pads) // 2
    before, after = pads[:n_axes], pads[n_axes:]
    name = call.writer.integers(f"{call.path}.pads", [0, 0, *before, 0, 0, *after])
    spatial = (
        None if size is None else size + b + a
        for size, b, a in zip(x.shape[2:], before, after, strict=True)
    )
    shape = (*x.shape[:2], *spatial)
    return call.writer.node("Pad", [x, name], shape, name=f"{call.path}.pad", mode=_PAD_MODES[mode])
