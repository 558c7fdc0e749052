"""Arithmetic between tensors, and between tensors and numbers."""

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch

from niwaki.export.fast_path.operators.table import Call, as_tensor, function_converter
from niwaki.export.graph.writer import Tensor

Operand = Tensor | int | float


def _register(op: str, *functions: Callable[..., Any] | str) -> None:
    @function_converter(*functions)
    def convert(call: Call, input: Operand, other: Operand, *, alpha: float = 1) -> Tensor:
        if alpha != 1:
            raise call.unsupported(f"{op} with alpha={alpha}")
        like = input if isinstance(input, Tensor) else other
        assert isinstance(like, Tensor)
        inputs = [as_tensor(call, value, like) for value in (input, other)]
        return call.writer.node(op, inputs, call.shape, name=call.path)


_register("Add", operator.add, operator.iadd, torch.add, "add", "add_")
_register("Sub", operator.sub, operator.isub, torch.sub, "sub", "sub_")
_register("Mul", operator.mul, operator.imul, torch.mul, "mul", "mul_")
_register("Div", operator.truediv, operator.itruediv, torch.div, "div", "div_")
_register("MatMul", operator.matmul, torch.matmul, torch.bmm, "matmul", "bmm")


@function_converter(operator.neg, torch.neg, "neg")
def convert_negation(call: Call, input: Tensor) -> Tensor:
    """Write Neg."""
    return call.writer.node("Neg", [input], call.shape, name=call.path)


@function_converter(torch.cat, torch.concat, torch.concatenate)
def convert_concatenation(call: Call, tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Write Concat."""
    return call.writer.node(
        "Concat", tensors, call.shape, name=call.path, axis=dim % tensors[0].rank
    )
