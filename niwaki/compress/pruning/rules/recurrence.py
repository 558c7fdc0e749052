"""Recurrent layers: `lstm`, `gru`, `rnn_tanh`, `rnn_relu` and their cells.

A hidden unit has a row in each gate. All layers and directions of one call have the same number of
units, so that a unit of one goes with the unit of the same number in every other. A unit without
weights stays at zero, and what reads it has lost its columns: that is a removed one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from niwaki.compress.pruning.labels import FIXED, Label
from niwaki.compress.pruning.provenance import Call, CostTerm, Provenance, Role, tensors_in

N_GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}


@dataclass(frozen=True, eq=False)
class _Weights:
    """Of one layer in one direction.

    Attributes:
        inside: (gates * h, inputs).
        back: (gates * h, outputs).
        biases: None, one or two of (gates * h,).
        projection: (outputs, h), if the outputs are fewer than the hidden units.
    """

    inside: Tensor
    back: Tensor
    biases: tuple[Tensor, ...]
    projection: Tensor | None

    @classmethod
    def of(cls, tensors: Sequence[Tensor]) -> "_Weights":
        inside, back, *rest = tensors
        projections = [t for t in rest if t.ndim == 2]
        biases = tuple(t for t in rest if t.ndim == 1)
        return cls(inside, back, biases, projections[0] if projections else None)


@dataclass(frozen=True, eq=False)
class _Units:
    """Atoms of one layer in one direction: hidden units, and outputs, the same but for projections.

    Both (n,).
    """

    hidden: Tensor
    outputs: Tensor


def recurrence(state: Provenance, call: Call) -> None:
    """`lstm` and its kin, over padded or packed sequences."""
    # A packed sequence has the sizes of its batches in second place.
    x, *rest = call.args if isinstance(call.args[2], list) else (call.args[0], *call.args[2:])
    hidden, flat, _, n_layers, _, _, is_bidirectional, *_ = rest
    directions = 2 if is_bidirectional else 1
    layers = _layers(flat, int(n_layers) * directions)
    inputs = _channels(state, call, x)
    units: list[_Units] = []
    for first in range(0, len(layers), directions):
        mine = [
            _layer(state, call, weights, inputs) for weights in layers[first : first + directions]
        ]
        units += mine
        inputs = torch.cat([each.outputs for each in mine])
    _alike(state, call, units)
    _meet_hidden(state, call, tensors_in(hidden), units[0])
    output, *last = tensors_in(call.out)
    state.record(call, output, [Label((output.ndim - 1,), inputs)])
    for tensor, atoms in zip(last, (units[0].outputs, units[0].hidden), strict=False):
        state.record(call, tensor, [Label((tensor.ndim - 1,), atoms)])
    _note_costs(state, call, layers, x.numel() / x.shape[-1])


def cell(state: Provenance, call: Call) -> None:
    """`lstm_cell` and its kin: one step."""
    x, weights = call.args[0], _Weights.of(tensors_in(call.args[2:]))
    units = _layer(state, call, weights, _channels(state, call, x))
    _meet_hidden(state, call, tensors_in(call.args[1]), units)
    for out in tensors_in(call.out):
        state.record(call, out, [Label((out.ndim - 1,), units.hidden)])
    _note_costs(state, call, [weights], x.numel() / x.shape[-1])


def packed(state: Provenance, call: Call) -> None:
    """Sequences packed and padded: the last dimension passes, and positions are mixed."""
    source: Tensor = call.args[0]
    why = f"{call.described} mixes positions"
    held = state.hold_all(state.labels(source), range(source.ndim - 1), why)
    values, *rest = tensors_in(call.out)
    state.record(call, values, [Label((values.ndim - 1,), label.atoms) for label in held])
    for out in rest:
        state.record(call, out)


def _layers(flat: Sequence[Tensor], n: int) -> list[_Weights]:
    size = len(flat) // n
    return [_Weights.of(flat[i * size : (i + 1) * size]) for i in range(n)]


def _channels(state: Provenance, call: Call, x: Tensor) -> Tensor:
    why = f"{call.described} goes over positions"
    held = state.hold_all(state.labels(x), range(x.ndim - 1), why)
    return held[0].atoms if held else torch.full((x.shape[-1],), FIXED)


def _layer(state: Provenance, call: Call, weights: _Weights, inputs: Tensor) -> _Units:
    """Bind one layer in one direction, and return what its channels are."""
    why = f"{call.described} takes them together"
    n_gates = _n_gates(call)
    columns = state.along(weights.inside, 1, why)
    state.atoms.unite(inputs, columns, f"{call.described} reads them")
    gates = state.along(weights.inside, 0, why).reshape(n_gates, -1)
    hidden = gates[0]
    because = f"{call.described} has a row for each unit in every gate"
    state.atoms.unite(gates, hidden, because)
    for tensor in (weights.back, *weights.biases):
        state.atoms.unite(state.along(tensor, 0, why).reshape(n_gates, -1), hidden, because)
    outputs = hidden
    if weights.projection is not None:
        outputs = state.along(weights.projection, 0, why)
        columns = state.along(weights.projection, 1, why)
        state.atoms.unite(columns, hidden, why)
        # torch tells projections by there being fewer of them than units.
        state.atoms.pin(hidden, f"{call.described} needs more units than projections of them")
        _note_roles(state, weights.projection)
    state.atoms.unite(state.along(weights.back, 1, why), outputs, f"{call.described} feeds back")
    _note_roles(state, weights.inside)
    _note_roles(state, weights.back)
    return _Units(hidden, outputs)


def _n_gates(call: Call) -> int:
    return N_GATES[call.name.removesuffix("_cell")]


def _note_roles(state: Provenance, weight: Tensor) -> None:
    described = state.origin(weight).described
    state.note_role(described, 0, Role.WRITES)
    state.note_role(described, 1, Role.READS)


def _alike(state: Provenance, call: Call, units: list[_Units]) -> None:
    why = f"{call.described} has as many units in every layer and direction"
    for each in units[1:]:
        state.atoms.unite(each.hidden, units[0].hidden, why)
        state.atoms.unite(each.outputs, units[0].outputs, why)


def _meet_hidden(state: Provenance, call: Call, hidden: list[Tensor], units: _Units) -> None:
    """Bind what the units start from: outputs, and for an LSTM cells."""
    why = f"{call.described} starts from them"
    for tensor, atoms in zip(hidden, (units.outputs, units.hidden), strict=False):
        last = tensor.ndim - 1
        others = [label for label in state.labels(tensor) if last not in label.dims]
        state.hold_all(others, range(tensor.ndim), why)
        if last not in state.origin(tensor).elastic:
            state.atoms.unite(state.along(tensor, last, why), atoms, why)


def _note_costs(state: Provenance, call: Call, layers: list[_Weights], n_steps: float) -> None:
    for weights in layers:
        for weight in (weights.inside, weights.back, weights.projection):
            if weight is not None:
                factors = tuple(state.along(weight, dim, call.described) for dim in (0, 1))
                state.costs.append(CostTerm(call.site.module, float(n_steps), factors))
