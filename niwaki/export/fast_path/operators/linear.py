"""Fully connected layers."""

import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from niwaki.export.fast_path.operators.normalisation import folded_weights
from niwaki.export.fast_path.operators.table import Call, function_converter, module_converter
from niwaki.export.graph.writer import Tensor


@module_converter(nn.Linear, NonDynamicallyQuantizableLinear)
def convert_linear(call: Call, module: nn.Linear, x: Tensor) -> Tensor:
    """Write Gemm for (batch, features); MatMul and Add for more dimensions."""
    if call.norm is not None and x.rank != 2:
        raise call.unsupported(f"batch norm follows it over {x.rank} dimensions, not 2")
    weight, bias = folded_weights(module, call.norm)
    named = call.writer.constant(f"{call.path}.weight", weight if x.rank == 2 else weight.T)
    shift = None if bias is None else call.writer.constant(f"{call.path}.bias", bias)
    return _product(call, x, named, shift)


@function_converter(F.linear)
def convert_linear_function(
    call: Call, input: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    """Write Gemm for (batch, features); MatMul and Add for more dimensions."""
    if not call.writer.is_constant(weight.name):
        raise call.unsupported("its weight is computed")
    named = weight.name
    if input.rank != 2:
        named = call.writer.constant(f"{call.path}.weight", call.writer.values(weight.name).T)
    return _product(call, input, named, bias)


def _product(call: Call, x: Tensor, weight: str, bias: Tensor | str | None) -> Tensor:
    """Write a product; the weight is (C_out, C_in) for (batch, features), else (C_in, C_out)."""
    writer, path = call.writer, call.path
    if x.rank == 2:
        given: list[Tensor | str] = [x, weight] if bias is None else [x, weight, bias]
        return writer.node("Gemm", given, call.shape, name=path, transB=1)
    product = writer.node("MatMul", [x, weight], call.shape, name=path)
    if bias is None:
        return product
    return writer.node("Add", [product, bias], call.shape, name=f"{path}.add")
