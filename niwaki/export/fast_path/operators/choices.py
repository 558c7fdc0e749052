"""Comparisons, what follows from several of them, and choices by them."""

import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)

from niwaki.export.fast_path.operators.arithmetic import Operand
from niwaki.export.fast_path.operators.table import (
    Call,
    as_tensor,
    function_converter,
    in_type,
)
from niwaki.export.graph.writer import FLOAT, Tensor

_BOOL, _INTEGER = "bool", "int64"


def _register_comparison(op: str, *functions: Callable[..., Any] | str) -> None:
    @function_converter(*functions)
    def convert(call: Call, input: Operand, other: Operand) -> Tensor:
        return _compared(call, op, input, other)


def _compared(call: Call, op: str, input: Operand, other: Operand) -> Tensor:
    dtype = _common_type(input, other)
    inputs = [as_tensor(call, value, dtype) for value in (input, other)]
    return call.writer.node(op, inputs, call.shape, name=call.path)


def _common_type(*values: Operand) -> str:
    """Return the type that values are compared in, as torch does."""
    types = [getattr(torch, value.dtype) for value in values if isinstance(value, Tensor)]
    dtype = types[0] if len(types) == 1 else torch.promote_types(*types)
    for value in values:
        if isinstance(value, float) and not dtype.is_floating_point:
            return FLOAT
        if isinstance(value, int) and not isinstance(value, bool) and dtype == torch.bool:
            return _INTEGER
    return str(dtype).removeprefix("torch.")


_register_comparison("Equal", operator.eq, torch.eq, "eq")
_register_comparison("Less", operator.lt, torch.lt, "lt")
_register_comparison("LessOrEqual", operator.le, torch.le, "le")
_register_comparison("Greater", operator.gt, torch.gt, "gt")
_register_comparison("GreaterOrEqual", operator.ge, torch.ge, "ge")


@function_converter(F.one_hot)
def convert_one_hot(call: Call, tensor: Tensor, num_classes: int = -1) -> Tensor:
    """Write Equal to each class, and Cast."""
    if num_classes < 0:
        raise call.unsupported("how many classes there are depends on the numbers of its input")
    writer, path = call.writer, call.path
    last = writer.integers(f"{path}.last", [-1])
    single = writer.node("Unsqueeze", [tensor, last], (*tensor.shape, 1), name=f"{path}.apart")
    classes = writer.integers(f"{path}.classes", list(range(num_classes)))
    given = in_type(call, single, _INTEGER)
    equal = writer.node("Equal", [given, classes], call.shape, name=f"{path}.equal")
    return in_type(call, equal, _INTEGER)


@function_converter(operator.ne, torch.ne, "ne")
def convert_unequal(call: Call, input: Operand, other: Operand) -> Tensor:
    """Write Equal and Not."""
    return _negated(call, _compared(call, "Equal", input, other))


@function_converter(torch.logical_not, "logical_not")
def convert_not(call: Call, input: Tensor) -> Tensor:
    """Write Not."""
    return _negated(call, in_type(call, input, _BOOL))


@function_converter(operator.invert, torch.bitwise_not, "bitwise_not")
def convert_inversion(call: Call, input: Tensor) -> Tensor:
    """Write Not."""
    if input.dtype != _BOOL:
        raise call.unsupported(f"it turns the bits of {input.dtype}")
    return _negated(call, input)


def _negated(call: Call, x: Tensor) -> Tensor:
    return call.writer.node("Not", [x], call.shape, name=f"{call.path}.not")


def _register_both(op: str, of_bits: tuple[Any, ...], of_truth: tuple[Any, ...]) -> None:
    @function_converter(*of_bits)
    def convert_bits(call: Call, input: Operand, other: Operand) -> Tensor:
        if call.dtype != _BOOL:
            raise call.unsupported(f"it joins the bits of {call.dtype}")
        return convert(call, input, other)

    @function_converter(*of_truth)
    def convert(call: Call, input: Operand, other: Operand) -> Tensor:
        inputs = [as_tensor(call, value, _BOOL) for value in (input, other)]
        return call.writer.node(op, inputs, call.shape, name=call.path)


_register_both("And", (operator.and_, torch.bitwise_and), (torch.logical_and, "logical_and"))
_register_both("Or", (operator.or_, torch.bitwise_or), (torch.logical_or, "logical_or"))


@function_converter(torch.where)
def convert_choice(call: Call, condition: Tensor, input: Operand, other: Operand) -> Tensor:
    """Write Where."""
    return write_choice(call, condition, input, other)


@function_converter("where")
def convert_own_choice(call: Call, input: Tensor, condition: Tensor, other: Operand) -> Tensor:
    """Write Where; the method is that of what is chosen, not of what it goes by."""
    return write_choice(call, condition, input, other)


@function_converter(torch.masked_fill, "masked_fill", "masked_fill_")
def convert_masked_fill(call: Call, input: Tensor, mask: Tensor, value: Operand) -> Tensor:
    """Write Where."""
    return write_choice(call, mask, value, input)


def write_choice(call: Call, condition: Tensor, yes: Operand, no: Operand) -> Tensor:
    """Write Where, in the type that torch gives its result."""
    if condition.dtype != _BOOL:
        raise call.unsupported(f"it goes by {condition.dtype}, and not by what is true")
    inputs = [condition, *(as_tensor(call, value, call.dtype) for value in (yes, no))]
    return call.writer.node("Where", inputs, call.shape, name=call.path)
