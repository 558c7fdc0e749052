"""Recurrent layers, by the operators of ONNX that run whole sequences."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from niwaki.export.fast_path.operators.table import Call, module_converter, to_numpy
from niwaki.export.graph.layer_names import recurrent_layer
from niwaki.export.graph.writer import Attribute, Tensor

# Where torch has the gates that ONNX wants first, second and so on.
_GATES: Mapping[type[nn.RNNBase], Sequence[int]] = {
    nn.LSTM: (0, 3, 1, 2),
    nn.GRU: (1, 0, 2),
    nn.RNN: (0,),
}


@module_converter(*_GATES)
def convert_recurrent(
    call: Call,
    module: nn.RNNBase,
    input: Tensor,
    hx: Tensor | Sequence[Tensor] | None = None,
) -> tuple[Tensor, Tensor | tuple[Tensor, ...]]:
    """Write one node per layer; both directions of a layer are one node.

    Where it starts from states that it is given, these are (layers * directions, batch, hidden).
    """
    if module.proj_size:
        raise call.unsupported("its outputs are projected")
    if input.rank != 3:
        raise call.unsupported("it reads one sequence without a batch")
    x = _turned(call, input) if module.batch_first else input
    given = [] if hx is None else [hx] if isinstance(hx, Tensor) else hx
    last: list[list[Tensor]] = []  # states of each layer
    for layer in range(module.num_layers):
        starts = [_start(call, module, layer, each) for each in given]
        y, *states = _layer(call, module, layer, x, starts)
        ends = module.batch_first and layer == module.num_layers - 1
        x = _joined(call, y, batch_first=ends)
        last.append(states)
    hidden, *cells = [_stacked(call, each) for each in zip(*last, strict=True)]
    return x, ((hidden, *cells) if cells else hidden)


def _start(call: Call, module: nn.RNNBase, layer: int, states: Tensor) -> Tensor:
    """Return the states that one layer starts from."""
    if states.rank != 3:
        raise call.unsupported(f"it starts from states of {states.rank} axes")
    if module.num_layers == 1:
        return states
    n_directions = 2 if module.bidirectional else 1
    first = layer * n_directions
    names = [
        call.writer.integers(f"{call.path}.{name}_l{layer}", [value])
        for name, value in (("first", first), ("behind", first + n_directions), ("layers", 0))
    ]
    shape = (n_directions, *states.shape[1:])
    return call.writer.node("Slice", [states, *names], shape, name=f"{call.path}.start_l{layer}")


def _layer(
    call: Call, module: nn.RNNBase, layer: int, x: Tensor, starts: Sequence[Tensor]
) -> list[Tensor]:
    """Write a layer, and return (steps, directions, batch, hidden) outputs and its last states."""
    steps, batch, _ = x.shape
    n_directions, n_hidden = 2 if module.bidirectional else 1, module.hidden_size
    kinds = ("weight_ih", "weight_hh", "bias") if module.bias else ("weight_ih", "weight_hh")
    names = [
        call.writer.constant(f"{call.path}.{kind}_l{layer}", _parameters(module, kind, layer))
        for kind in kinds
    ]
    given: list[Tensor | str] = [x, *names]
    if starts:  # behind the biases, and the lengths of sequences that end earlier
        given += [""] * (5 - len(given)) + list(starts)
    state, n_states = (n_directions, batch, n_hidden), 2 if isinstance(module, nn.LSTM) else 1
    return call.writer.node_with_outputs(
        type(module).__name__,
        given,
        [(steps, n_directions, batch, n_hidden)] + [state] * n_states,
        name=recurrent_layer(call.path, layer, module.num_layers),
        hidden_size=n_hidden,
        direction="bidirectional" if module.bidirectional else "forward",
        **_attributes(module, n_directions),
    )


def _attributes(module: nn.RNNBase, n_directions: int) -> dict[str, Attribute]:
    if isinstance(module, nn.GRU):
        return {"linear_before_reset": 1}
    if isinstance(module, nn.RNN):
        return {"activations": [module.nonlinearity.capitalize()] * n_directions}
    return {}


def _parameters(module: nn.RNNBase, kind: str, layer: int) -> NDArray[np.float32]:
    """Return (directions, gates * hidden, ...) weights, or biases of inputs and then of states."""
    suffixes = [f"l{layer}", f"l{layer}_reverse"] if module.bidirectional else [f"l{layer}"]
    kinds = ("bias_ih", "bias_hh") if kind == "bias" else (kind,)
    return np.stack(
        [
            np.concatenate([_ordered(module, getattr(module, f"{k}_{suffix}")) for k in kinds])
            for suffix in suffixes
        ]
    )


def _ordered(module: nn.RNNBase, parameter: torch.Tensor) -> NDArray[np.float32]:
    """Return a parameter with its gates in the order of ONNX."""
    gates = np.split(to_numpy(parameter), len(_GATES[type(module)]))
    return np.concatenate([gates[gate] for gate in _GATES[type(module)]])


def _turned(call: Call, x: Tensor) -> Tensor:
    """Return a batch of sequences as a sequence of batches."""
    batch, steps, width = x.shape
    name = f"{call.path}.steps"
    return call.writer.node("Transpose", [x], (steps, batch, width), name=name, perm=[1, 0, 2])


def _joined(call: Call, y: Tensor, *, batch_first: bool) -> Tensor:
    """Return outputs of both directions beside one another, as (steps, batch, width) or turned."""
    steps, n_directions, batch, n_hidden = y.shape
    assert n_directions is not None and n_hidden is not None
    outer = (batch, steps) if batch_first else (steps, batch)
    order = [2, 0, 1, 3] if batch_first else [0, 2, 1, 3]
    name, width = f"{call.path}.joined", n_directions * n_hidden
    turned = call.writer.node("Transpose", [y], (*outer, *y.shape[1::2]), name=name, perm=order)
    sizes = call.writer.integers(f"{name}.sizes", [0, 0, width])
    return call.writer.node("Reshape", [turned, sizes], (*outer, width), name=name)


def _stacked(call: Call, states: Sequence[Tensor]) -> Tensor:
    """Return the last states of all layers as one tensor."""
    if len(states) == 1:
        return states[0]
    n_directions, *rest = states[0].shape
    assert n_directions is not None
    shape = (n_directions * len(states), *rest)
    return call.writer.node("Concat", states, shape, name=f"{call.path}.states", axis=0)
