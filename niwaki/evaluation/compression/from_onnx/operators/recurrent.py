"""Recurrent layers."""

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx, nn

from niwaki.evaluation.compression.from_onnx.call import Call, as_torch, operator_named

# Where ONNX has the gates that torch wants first, second and so on.
_GATES: Mapping[str, Sequence[int]] = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
_KINDS: Mapping[str, type[nn.RNNBase]] = {"LSTM": nn.LSTM, "GRU": nn.GRU, "RNN": nn.RNN}
_ACTIVATIONS: Mapping[str, Sequence[str]] = {
    "LSTM": ("Sigmoid", "Tanh", "Tanh"),
    "GRU": ("Sigmoid", "Tanh"),
    "RNN": ("Tanh",),
}
_N_STATES = {"LSTM": 2, "GRU": 1, "RNN": 1}


@operator_named("LSTM", "GRU", "RNN")
def read_recurrent(call: Call) -> tuple[fx.Node, ...]:
    """Read one layer, in one direction or both, that starts from zeros."""
    kind = call.node.op_type
    is_both = call.attribute("direction", "forward") == "bidirectional"
    _require_plain(call, kind, is_both=is_both)
    n_hidden, n_directions = int(call.attribute("hidden_size")), 1 + is_both

    def make() -> nn.Module:
        n_inputs = call.constant(1).shape[2]
        more: dict[str, Any] = {"nonlinearity": _nonlinearity(call)} if kind == "RNN" else {}
        layer = _KINDS[kind](n_inputs, n_hidden, bidirectional=is_both, bias=call.has(3), **more)
        for direction in range(n_directions):
            _fill(call, layer, direction)
        return layer

    answer = call.layer(make, call.data(), weight=1)
    outputs = call.function(operator.getitem, answer, 0)
    states = call.function(operator.getitem, answer, 1)
    if (together := _put_together(call)) is not None:
        call.writer.values[together] = outputs
    apart = call.method("unflatten", outputs, 2, (n_directions, n_hidden))
    in_order = call.function(torch.permute, apart, (0, 2, 1, 3))
    if _N_STATES[kind] == 1:
        return in_order, states
    parts = (call.function(operator.getitem, states, i) for i in range(2))
    return in_order, *parts


def _put_together(call: Call) -> str | None:
    """Return what has both directions beside each other, as torch gives them, if that is made."""
    node = call.known.only_consumer(call.node.output[0])
    if node is not None and node.op_type == "Transpose":
        order = Call(node, call.known, call.writer).attribute("perm", ())
        node = call.known.only_consumer(node.output[0]) if list(order) == [0, 2, 1, 3] else None
    if node is None or node.op_type not in ("Reshape", "Squeeze"):
        return None
    steps, directions, batch, hidden = call.result_shape()
    width = (directions[0] * hidden[0], directions[1] * hidden[1])
    is_whole = call.known.shape(node.output[0]) == (steps, batch, width)
    return node.output[0] if is_whole else None


def _require_plain(call: Call, kind: str, *, is_both: bool) -> None:
    call.require("direction", "forward", "bidirectional")
    call.require("layout", 0)
    call.require("input_forget", 0)
    if call.attribute("clip") is not None:
        raise call.refusal("it clips its cells")
    named = [
        str(each, "utf-8") if isinstance(each, bytes) else each
        for each in call.attribute("activations", [])
    ]
    if kind != "RNN" and named and named != [*_ACTIVATIONS[kind]] * (1 + is_both):
        raise call.refusal(f"its activations are {', '.join(named)}")
    if kind == "GRU" and not call.attribute("linear_before_reset", 0):
        raise call.refusal("'linear_before_reset' is 0, and torch's is 1")
    call.require_given(4)
    if call.has(4) and any(
        n != call.shape()[0][0]
        for values in call.known.values(call.node.input[4])
        for n in np.unique(values)
    ):
        raise call.refusal("its sequences are of several lengths")
    for index in (5, 6):
        if call.has(index) and (
            call.is_data(index)
            or any(values.any() for values in call.known.values(call.node.input[index]))
        ):
            raise call.refusal("it starts from states that are not zero")
    if call.has(7) and call.constant(7).any():
        raise call.refusal("it has peepholes")


def _nonlinearity(call: Call) -> str:
    named: list[str] = [each.decode() for each in call.attribute("activations", [b"Tanh"])]
    if set(named) not in ({"Tanh"}, {"Relu"}):
        raise call.refusal(f"its activations are {', '.join(named)}")
    return named[0].lower()


def _fill(call: Call, layer: nn.RNNBase, direction: int) -> None:
    suffix = "l0_reverse" if direction else "l0"
    kind = call.node.op_type
    for index, name in ((1, "weight_ih"), (2, "weight_hh")):
        values = _ordered(kind, call.constant(index)[direction])
        setattr(layer, f"{name}_{suffix}", nn.Parameter(as_torch(values)))
    if call.has(3):
        halves = np.split(call.constant(3)[direction], 2)
        for name, half in zip(("bias_ih", "bias_hh"), halves, strict=True):
            setattr(layer, f"{name}_{suffix}", nn.Parameter(as_torch(_ordered(kind, half))))


def _ordered(kind: str, values: NDArray[Any]) -> NDArray[Any]:
    gates = np.split(values, len(_GATES[kind]))
    return np.concatenate([gates[gate] for gate in _GATES[kind]])
