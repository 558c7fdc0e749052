"""Arithmetic between tensors, and between tensors and numbers."""

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch

from niwaki.export.fast_path.operators.table import (
    Call,
    as_tensor,
    function_converter,
    held_as,
    in_type,
)
from niwaki.export.graph.writer import FLOAT, Shape, Tensor

Operand = Tensor | int | float


def _register(op: str, *functions: Callable[..., Any] | str) -> None:
    @function_converter(*functions)
    def convert(call: Call, input: Operand, other: Operand, *, alpha: float = 1) -> Tensor:
        if alpha != 1:
            raise call.unsupported(f"{op} with alpha={alpha}")
        return write_binary(call, op, input, other)


def write_binary(call: Call, op: str, input: Operand, other: Operand, *, name: str = "") -> Tensor:
    """Write an operator of two operands, in the type that torch gives its result."""
    inputs = [as_tensor(call, value, call.dtype) for value in (input, other)]
    return call.writer.node(op, inputs, call.shape, name=name or call.path)


_register("Add", operator.add, operator.iadd, torch.add, "add", "add_")
_register("Sub", operator.sub, operator.isub, torch.sub, "sub", "sub_")
_register("Mul", operator.mul, operator.imul, torch.mul, "mul", "mul_")
_register("Div", operator.truediv, operator.itruediv)
_register("Pow", operator.pow, torch.pow, "pow")
_register("Max", torch.maximum, "maximum")
_register("Min", torch.minimum, "minimum")
_register("MatMul", *(operator.matmul, torch.matmul, torch.bmm, torch.mm), *("matmul", "bmm", "mm"))


@function_converter(torch.div, torch.divide, "div", "div_")
def convert_quotient(
    call: Call, input: Operand, other: Operand, *, rounding_mode: str | None = None
) -> Tensor:
    """Write Div; of reals, rounded down by Floor."""
    if rounding_mode is None:
        return write_binary(call, "Div", input, other)
    if rounding_mode != "floor" or held_as(call.dtype) != FLOAT:
        raise call.unsupported(f"a quotient of {call.dtype} rounded by '{rounding_mode}'")
    exact = write_binary(call, "Div", input, other, name=f"{call.path}.exact")
    return call.writer.node("Floor", [exact], call.shape, name=call.path)


@function_converter(torch.addcmul, "addcmul")
def convert_added_product(
    call: Call, input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1
) -> Tensor:
    """Write Mul and Add."""
    shape = _broadcast(tensor1.shape, tensor2.shape)
    product = call.writer.node("Mul", [tensor1, tensor2], shape, name=f"{call.path}.product")
    return _added(call, input, _times(call, product, value))


@function_converter(torch.baddbmm, "baddbmm")
def convert_added_matrices(
    call: Call, input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    """Write MatMul, Mul and Add."""
    product = call.writer.node("MatMul", [batch1, batch2], call.shape, name=f"{call.path}.product")
    return _added(call, _times(call, input, beta), _times(call, product, alpha))


def _broadcast(*shapes: Shape) -> Shape:
    """Return the shape that shapes broadcast to; an axis that grows may grow with any of them."""
    rank = max(map(len, shapes))
    even = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(
        None if None in sizes else max(size for size in sizes if size is not None)
        for sizes in zip(*even, strict=True)
    )


def _times(call: Call, x: Tensor, factor: float) -> Tensor:
    if factor == 1:
        return x
    by = call.writer.scalar(f"{call.path}.factor", factor, x.dtype)
    return call.writer.node("Mul", [x, by], x.shape, name=f"{call.path}.times")


def _added(call: Call, x: Tensor, y: Tensor) -> Tensor:
    return call.writer.node("Add", [x, y], call.shape, name=call.path)


@function_converter(torch.einsum)
def convert_einsum(call: Call, equation: str, *operands: Tensor | Sequence[Tensor]) -> Tensor:
    """Write Einsum."""
    tensors = [t for each in operands for t in ([each] if isinstance(each, Tensor) else each)]
    plain = equation.replace(" ", "")
    return call.writer.node("Einsum", tensors, call.shape, name=call.path, equation=plain)


@function_converter(torch.isnan, "isnan")
def convert_no_number(call: Call, input: Tensor) -> Tensor:
    """Write IsNaN."""
    return call.writer.node("IsNaN", [input], call.shape, name=call.path)


def _register_unary(op: str, *functions: Callable[..., Any] | str) -> None:
    @function_converter(*functions)
    def convert(call: Call, input: Tensor) -> Tensor:
        return call.writer.node(op, [in_type(call, input, call.dtype)], call.shape, name=call.path)


_register_unary("Neg", operator.neg, torch.neg, "neg")
_register_unary("Abs", operator.abs, torch.abs, "abs")
_register_unary("Exp", torch.exp, "exp")
_register_unary("Log", torch.log, "log")
_register_unary("Sqrt", torch.sqrt, "sqrt")
_register_unary("Reciprocal", torch.reciprocal, "reciprocal")
_register_unary("Sin", torch.sin, "sin")
_register_unary("Cos", torch.cos, "cos")
_register_unary("Erf", torch.erf, "erf")
_register_unary("Floor", torch.floor, "floor")
_register_unary("Ceil", torch.ceil, "ceil")
_register_unary("Round", torch.round, "round")
_register_unary("Sign", torch.sign, "sign")
_register_unary("Tan", torch.tan, "tan")
_register_unary("Atan", torch.atan, "atan")


@function_converter(torch.square, "square")
def convert_square(call: Call, input: Tensor) -> Tensor:
    """Write a product with itself."""
    return call.writer.node("Mul", [input, input], call.shape, name=call.path)


@function_converter(torch.rsqrt, "rsqrt")
def convert_reciprocal_root(call: Call, input: Tensor) -> Tensor:
    """Write Sqrt and Reciprocal."""
    root = call.writer.node(
        "Sqrt", [in_type(call, input, call.dtype)], call.shape, name=f"{call.path}.sqrt"
    )
    return call.writer.node("Reciprocal", [root], call.shape, name=call.path)


@function_converter(torch.cat, torch.concat, torch.concatenate)
def convert_concatenation(call: Call, tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Write Concat."""
    parts = [in_type(call, tensor, call.dtype) for tensor in tensors]
    axis = dim % tensors[0].rank
    return call.writer.node("Concat", parts, call.shape, name=call.path, axis=axis)


@function_converter(torch.stack)
def convert_stack(call: Call, tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Write Unsqueeze of each, and Concat."""
    axis = dim % len(call.shape)
    name = call.writer.integers(f"{call.path}.axis", [axis])
    shape = (*call.shape[:axis], 1, *call.shape[axis + 1 :])
    parts = [
        call.writer.node(
            "Unsqueeze", [in_type(call, tensor, call.dtype), name], shape, name=f"{call.path}.part"
        )
        for tensor in tensors
    ]
    return call.writer.node("Concat", parts, call.shape, name=call.path, axis=axis)
