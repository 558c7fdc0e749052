"""Sums, means and the like along axes."""

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import fx

from niwaki.evaluation.compression.from_onnx.call import OPERATORS, Call, operator_named
from niwaki.evaluation.compression.from_onnx.operators.written_out import read_layer_norm

_REDUCTIONS: dict[str, Callable[..., Any]] = {
    "ReduceMean": torch.mean,
    "ReduceSum": torch.sum,
    "ReduceMax": torch.amax,
    "ReduceMin": torch.amin,
    "ReduceLogSumExp": torch.logsumexp,
    "ReduceL1": partial(torch.linalg.vector_norm, ord=1),
    "ReduceL2": torch.linalg.vector_norm,
    "ReduceSumSquare": torch.sum,
}


def _reduced(call: Call, function: Callable[..., Any]) -> fx.Node:
    axes = call.integers("axes", 1)
    if not axes and call.attribute("noop_with_empty_axes", 0):
        return call.data()
    axes = sorted(axis % call.rank() for axis in axes) if axes else list(range(call.rank()))
    if 0 in axes:
        raise call.refusal("it is over the batch")
    inputs, keeps = call.data(), bool(call.attribute("keepdims", 1))
    if call.node.op_type == "ReduceMean":
        read_layer_norm(call)
    if call.node.op_type == "ReduceSumSquare":
        inputs = call.function(torch.square, inputs)
    if isinstance(function, partial):
        return call.function(
            function.func, inputs, **function.keywords, dim=tuple(axes), keepdim=keeps
        )
    return call.function(function, inputs, dim=tuple(axes), keepdim=keeps)


OPERATORS.update({n: partial(_reduced, function=f) for n, f in _REDUCTIONS.items()})


@operator_named("ArgMax", "ArgMin")
def read_position(call: Call) -> fx.Node:
    """Read the place of the largest or smallest value; the first one of several."""
    call.require("select_last_index", 0)
    function = torch.argmax if call.node.op_type == "ArgMax" else torch.argmin
    keeps = bool(call.attribute("keepdims", 1))
    return call.function(function, call.data(), dim=call.axis(0), keepdim=keeps)


@operator_named("CumSum")
def read_cumulative_sum(call: Call) -> fx.Node:
    """Read a running sum."""
    call.require("exclusive", 0)
    call.require("reverse", 0)
    return call.function(torch.cumsum, call.data(), dim=int(call.constant(1).item()))


@operator_named("TopK")
def read_largest(call: Call) -> tuple[fx.Node, fx.Node]:
    """Read the largest or smallest values, and where they were."""
    sizes, largest = call.integers("k", 1), bool(call.attribute("largest", 1))
    assert sizes is not None
    found = call.function(torch.topk, call.data(), sizes[0], dim=call.axis(-1), largest=largest)
    return call.function(operator.getitem, found, 0), call.function(operator.getitem, found, 1)
