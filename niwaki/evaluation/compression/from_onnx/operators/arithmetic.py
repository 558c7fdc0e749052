"""Arithmetic between tensors, or with constants."""

import operator
from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import torch
from torch import fx

from niwaki.evaluation.compression.from_onnx.call import OPERATORS, Call, operator_named

_BINARY: dict[str, Callable[..., Any]] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mul": operator.mul,
    "Pow": operator.pow,
    "Equal": operator.eq,
    "Greater": operator.gt,
    "GreaterOrEqual": operator.ge,
    "Less": operator.lt,
    "LessOrEqual": operator.le,
}
_LOGICAL: dict[str, Callable[..., Any]] = {
    "And": torch.logical_and,
    "Or": torch.logical_or,
    "Xor": torch.logical_xor,
}
_OF_TENSORS: dict[str, Callable[..., Any]] = {"Min": torch.minimum, "Max": torch.maximum}


def _binary(call: Call, function: Callable[..., Any]) -> fx.Node:
    if call.attribute("axis") is not None or call.attribute("broadcast"):
        raise call.refusal("it broadcasts in the way of opset 6: export with opset 13 or later")
    return call.function(function, call.operand(0), call.operand(1))


def _of_tensors(call: Call, function: Callable[..., Any]) -> fx.Node:
    if len(call.node.input) == 1:
        return call.data()
    tensors = [call.tensor(i) for i in range(len(call.node.input))]
    return reduce(partial(call.function, function), tensors)


def _registered(
    read: Callable[..., fx.Node], functions: dict[str, Callable[..., Any]]
) -> dict[str, Callable[[Call], fx.Node]]:
    return {name: partial(read, function=function) for name, function in functions.items()}


OPERATORS.update(_registered(_binary, _BINARY))
OPERATORS.update(_registered(_of_tensors, {**_OF_TENSORS, **_LOGICAL}))


@operator_named("Div")
def read_division(call: Call) -> fx.Node:
    """Read a division; that of integers cuts."""
    if call.is_float():
        return call.function(operator.truediv, call.operand(0), call.operand(1))
    return call.function(torch.div, call.operand(0), call.operand(1), rounding_mode="trunc")


@operator_named("Mod")
def read_remainder(call: Call) -> fx.Node:
    """Read a remainder, by its sign."""
    function = torch.fmod if call.attribute("fmod", 0) else torch.remainder
    return call.function(function, call.operand(0), call.operand(1))


@operator_named("Sum", "Mean")
def read_sum(call: Call) -> fx.Node:
    """Read a sum or mean of several tensors."""
    terms = [call.operand(i) for i in range(len(call.node.input))]
    total: Any = reduce(partial(call.function, operator.add), terms)
    if call.node.op_type == "Mean" and len(terms) > 1:
        total = call.function(operator.truediv, total, len(terms))
    assert isinstance(total, fx.Node)
    return total


@operator_named("Where")
def read_choice(call: Call) -> fx.Node:
    """Read a choice between two, value by value."""
    return call.function(torch.where, call.tensor(0), call.operand(1), call.operand(2))
