"""Padding, with a constant or with what is there."""

from collections.abc import Sequence

import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import nn

from niwaki.export.fast_path.operators.table import Call, function_converter, module_converter
from niwaki.export.graph.writer import Tensor

# What torch's modes are called.
MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}

ConstantPad = nn.ConstantPad1d | nn.ConstantPad2d | nn.ConstantPad3d


@function_converter(F.pad)
def convert_pad(
    call: Call,
    input: Tensor,
    pad: Sequence[int],
    mode: str = "constant",
    value: float | None = None,
) -> Tensor:
    """Write Pad; torch names the last axis first, and of each axis both ends together."""
    n_axes = len(pad) // 2
    untouched = [0] * (input.rank - n_axes)
    before = [pad[2 * axis] for axis in reversed(range(n_axes))]
    after = [pad[2 * axis + 1] for axis in reversed(range(n_axes))]
    ends = call.writer.integers(f"{call.path}.pads", [*untouched, *before, *untouched, *after])
    if mode != "constant":
        return call.writer.node("Pad", [input, ends], call.shape, name=call.path, mode=MODES[mode])
    constant = call.writer.scalar(f"{call.path}.value", value or 0.0, input.dtype)
    return call.writer.node(
        "Pad", [input, ends, constant], call.shape, name=call.path, mode="constant"
    )


@module_converter(
    *(nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d),
    *(nn.ZeroPad1d, nn.ZeroPad2d, nn.ZeroPad3d),
)
def convert_pad_module(call: Call, module: ConstantPad, x: Tensor) -> Tensor:
    """Write Pad."""
    return convert_pad(call, x, module.padding, value=module.value)


_MIRRORS: dict[type[nn.Module], str] = {
    **dict.fromkeys((nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReflectionPad3d), "reflect"),
    **dict.fromkeys((nn.ReplicationPad1d, nn.ReplicationPad2d, nn.ReplicationPad3d), "replicate"),
    **dict.fromkeys((nn.CircularPad1d, nn.CircularPad2d, nn.CircularPad3d), "circular"),
}


@module_converter(*_MIRRORS)
def convert_mirror_module(call: Call, module: nn.ReflectionPad2d, x: Tensor) -> Tensor:
    """Write Pad."""
    return convert_pad(call, x, module.padding, _MIRRORS[type(module)])
