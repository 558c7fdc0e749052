"""Fully connected layers."""

import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from niwaki.export.fast_path.operators.normalisation import folded_weights
from niwaki.export.fast_path.operators.table import (
    Call,
    function_converter,
    module_converter,
    values_of,
)
from niwaki.export.graph.writer import Tensor


@module_converter(nn.Linear, NonDynamicallyQuantizableLinear)
def convert_linear(call: Call, module: nn.Linear, x: Tensor) -> Tensor:
    """Write Gemm for (batch, features); MatMul and Add for more dimensions."""
    weight, bias = folded_weights(module.weight, module.bias, call.behind)
    named = call.writer.constant(f"{call.path}.weight", weight if x.rank == 2 else weight.T)
    shift = None if bias is None else call.writer.constant(f"{call.path}.bias", bias)
    return _product(call, x, named, shift)


@function_converter(F.linear)
def convert_linear_function(
    call: Call, input: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    """Write Gemm for (batch, features); MatMul and Add for more dimensions."""
    if not call.writer.is_constant(weight.name):
        return _by_computed(call, input, weight, bias)
    if call.behind is None and input.rank == 2:
        return _product(call, input, weight.name, bias)
    values, shift = call.writer.values(weight.name), bias
    if call.behind is not None:
        exact = torch.from_numpy(values.copy())
        values, moved = folded_weights(exact, values_of(call, bias), call.behind)
        if moved is not None:
            shift = Tensor(call.writer.constant(f"{call.path}.bias", moved), moved.shape)
    named = call.writer.constant(f"{call.path}.weight", values if input.rank == 2 else values.T)
    return _product(call, input, named, shift)


@function_converter(torch.addmm, "addmm")
def convert_added_product(
    call: Call, input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    """Write Gemm, with weights (C_in, C_out)."""
    if beta != 1 or alpha != 1:
        raise call.unsupported("a product is weighed")
    if call.writer.is_constant(mat2.name) and call.writer.is_constant(input.name):
        weight = call.writer.constant(f"{call.path}.weight", call.writer.values(mat2.name).T)
        return _product(call, mat1, weight, input)
    return _multiplied(call, mat1, mat2, input)


def _by_computed(call: Call, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Write MatMul with a weight (C_out, C_in) that is computed, and Add."""
    writer, path = call.writer, call.path
    turned = writer.node(
        "Transpose", [weight], weight.shape[::-1], name=f"{path}.turned", perm=[1, 0]
    )
    return _multiplied(call, x, turned, bias)


def _product(call: Call, x: Tensor, weight: str, bias: Tensor | str | None) -> Tensor:
    """Write a product; the weight is (C_out, C_in) for (batch, features), else (C_in, C_out)."""
    writer, path = call.writer, call.path
    if x.rank == 2:
        given: list[Tensor | str] = [x, weight] if bias is None else [x, weight, bias]
        return writer.node("Gemm", given, call.shape, name=path, transB=1)
    return _multiplied(call, x, weight, bias)


def _multiplied(call: Call, x: Tensor, weight: Tensor | str, bias: Tensor | str | None) -> Tensor:
    """Write MatMul with a weight (C_in, C_out), and Add."""
    writer, path = call.writer, call.path
    product = writer.node("MatMul", [x, weight], call.shape, name=path)
    if bias is None:
        return product
    return writer.node("Add", [product, bias], call.shape, name=f"{path}.add")
