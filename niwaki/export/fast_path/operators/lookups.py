"""Rows of tables, picked by integers."""

import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import nn

from niwaki.export.fast_path.operators.table import (
    Call,
    function_converter,
    module_converter,
    to_numpy,
)
from niwaki.export.graph.writer import Tensor


@module_converter(nn.Embedding)
def convert_embedding_module(call: Call, module: nn.Embedding, x: Tensor) -> Tensor:
    """Write Gather."""
    if module.max_norm is not None:
        raise call.unsupported("it changes its weights when it is called (max_norm)")
    table = call.writer.constant(f"{call.path}.weight", to_numpy(module.weight))
    return write_lookup(call, table, x)


@function_converter(F.embedding)
def convert_embedding(
    call: Call,
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,  # noqa: ARG001  (of gradients)
    max_norm: float | None = None,
    norm_type: float = 2.0,  # noqa: ARG001
    scale_grad_by_freq: bool = False,  # noqa: ARG001
    sparse: bool = False,  # noqa: ARG001
) -> Tensor:
    """Write Gather."""
    if max_norm is not None:
        raise call.unsupported("it changes its weights when it is called (max_norm)")
    return write_lookup(call, weight, input)


def write_lookup(call: Call, table: Tensor | str, places: Tensor) -> Tensor:
    """Write Gather along the first axis."""
    return call.writer.node("Gather", [table, places], call.shape, name=call.path, axis=0)
