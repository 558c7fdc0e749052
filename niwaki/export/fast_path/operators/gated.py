"""Gated linear units."""

import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import nn

from niwaki.export.fast_path.operators.table import Call, function_converter, module_converter
from niwaki.export.graph.writer import Tensor


@module_converter(nn.GLU)
def convert_glu_module(call: Call, module: nn.GLU, x: Tensor) -> Tensor:
    """Write one half times the sigmoid of the other."""
    return convert_glu(call, x, module.dim)


@function_converter(F.glu)
def convert_glu(call: Call, input: Tensor, dim: int = -1) -> Tensor:
    """Write one half times the sigmoid of the other."""
    axis = dim % input.rank
    half = call.shape[axis]
    if half is None:
        raise call.unsupported("it splits the batch")
    sizes = call.writer.integers(f"{call.path}.sizes", [half, half])
    value, gate = call.writer.node_with_outputs(
        "Split", [input, sizes], [call.shape, call.shape], name=f"{call.path}.split", axis=axis
    )
    opened = call.writer.node("Sigmoid", [gate], call.shape, name=f"{call.path}.sigmoid")
    return call.writer.node("Mul", [value, opened], call.shape, name=call.path)
