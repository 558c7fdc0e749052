"""Padding with a constant."""

from collections.abc import Sequence

import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import nn

from niwaki.export.fast_path.operators.table import Call, function_converter, module_converter
from niwaki.export.graph.writer import Tensor

ConstantPad = nn.ConstantPad1d | nn.ConstantPad2d


@function_converter(F.pad)
def convert_pad(
    call: Call,
    input: Tensor,
    pad: Sequence[int],
    mode: str = "constant",
    value: float | None = None,
) -> Tensor:
    """Write Pad; torch names the last axis first, and of each axis both ends together."""
    if mode != "constant":
        raise call.unsupported(f"padding by '{mode}'")
    n_axes = len(pad) // 2
    untouched = [0] * (input.rank - n_axes)
    before = [pad[2 * axis] for axis in reversed(range(n_axes))]
    after = [pad[2 * axis + 1] for axis in reversed(range(n_axes))]
    ends = call.writer.integers(f"{call.path}.pads", [*untouched, *before, *untouched, *after])
    constant = call.writer.scalar(f"{call.path}.value", value or 0.0, input.dtype)
    return call.writer.node(
        "Pad", [input, ends, constant], call.shape, name=call.path, mode="constant"
    )


@module_converter(nn.ConstantPad1d, nn.ConstantPad2d, nn.ZeroPad1d, nn.ZeroPad2d)
def convert_pad_module(call: Call, module: ConstantPad, x: Tensor) -> Tensor:
    """Write Pad."""
    return convert_pad(call, x, module.padding, value=module.value)
