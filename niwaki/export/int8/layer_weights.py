"""The weights of a graph's layers: how often each is applied, and which parameter it came from.

What torch's exporter writes may be the transpose of a parameter, or a block of its rows, as the
projections of attention are, and need not have its name. So weights are looked for by their values.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from niwaki.export.graph.index import GraphIndex
from niwaki.export.graph.tied_weights import same_weights
from niwaki.export.int8.calibration import Feeds, observing_session, ordered_feeds
from niwaki.export.int8.layers import Layer, find_layers


@dataclass(frozen=True)
class LayerWeight:
    """The weight of one layer that can run in int8.

    Attributes:
        constant: Its name in the graph; that of the first if a parameter is there several times.
        n_values: In it.
        width: Output channels.
        parameter: The parameter that it is, or is a part of; empty where it cannot be told.
        share: Part of the parameter's values that it has.
        axis: Dimension of the parameter along which the output channels are.
    """

    constant: str
    n_values: int
    width: int
    parameter: str
    share: float = 1.0
    axis: int = 0


def layer_weights(
    model: onnx.ModelProto, module: nn.Module, *, but: Collection[str] = ()
) -> dict[str, LayerWeight]:
    """Return the weight of each layer that can run in int8, by its path, in order.

    Args:
        model: As the module was exported.
        module: Whose parameters they are.
        but: Parameters that the model does not read, whatever their values.
    """
    index = GraphIndex(model.graph)
    named = module.named_parameters()
    parameters = {name: _numbers(p) for name, p in named if name not in but}
    same = same_weights(index)
    found: dict[str, LayerWeight] = {}
    first: dict[tuple[str, str], str] = {}
    for layer in find_layers(index):
        weight = _weight(index, layer, parameters)
        # Of two parameters that happen to be equal, each counts.
        content = same.get(layer.weight, layer.weight), weight.parameter
        found[layer.path] = replace(weight, constant=first.setdefault(content, layer.weight))
    return found


def _numbers(parameter: nn.Parameter) -> NDArray[np.float32]:
    values = parameter.detach().cpu()
    is_bfloat16 = values.dtype == torch.bfloat16  # which numpy has not
    numbers: NDArray[np.float32] = (values.float() if is_bfloat16 else values).numpy()
    return numbers


def read_in_float(model: onnx.ModelProto) -> frozenset[str]:
    """Return the constants that something else than layers reads, as embeddings are looked up."""
    index = GraphIndex(model.graph)
    layers = {(layer.nodes[0], layer.weight) for layer in find_layers(index)}
    return frozenset(
        name
        for name in index.constants
        if any((reader, name) not in layers for reader in index.consumers(name))
    )


def n_applied(model: onnx.ModelProto, feeds: Feeds) -> dict[str, int]:
    """Return how often each layer applies its weight to one item, by path.

    Multiply-accumulates are that many times its values, however many channels it has.

    Args:
        model: A float graph.
        feeds: One item, by name of the input.
    """
    index = GraphIndex(model.graph)
    layers = find_layers(index)
    if not layers:
        return {}
    tensors = [layer.output for layer in layers]
    session = observing_session(model, tensors, n_threads=1)
    outputs = session.run(tensors, ordered_feeds(index, feeds))
    return {
        layer.path: output.size // _width(index, layer)
        for layer, output in zip(layers, outputs, strict=True)
    }


def _width(index: GraphIndex, layer: Layer) -> int:
    return int(index.constants[layer.weight].dims[layer.weight_axis])


def _weight(
    index: GraphIndex, layer: Layer, parameters: Mapping[str, NDArray[np.float32]]
) -> LayerWeight:
    values, width = index.values(layer.weight), _width(index, layer)
    name = _parameter_of(layer, values, parameters)
    if not name:
        return LayerWeight(layer.weight, values.size, width, "")
    whole = parameters[name]
    axis = layer.weight_axis if values.ndim == whole.ndim else 0
    if values.ndim == whole.ndim == 2 and _is_turned(values, whole):
        axis = 1 - axis
    return LayerWeight(layer.weight, values.size, width, name, values.size / whole.size, axis)


def _is_turned(values: NDArray[np.float32], whole: NDArray[np.float32]) -> bool:
    """Whether a matrix is the transpose of a parameter, or of a block of its rows."""
    if values.shape[0] != whole.shape[1]:
        return False
    return values.shape[1] != whole.shape[1] or bool((whole == values[:, 0]).all(1).any())


def _parameter_of(
    layer: Layer, values: NDArray[np.float32], parameters: Mapping[str, NDArray[np.float32]]
) -> str:
    """Return the parameter that a weight is; empty if none is like it."""
    if layer.weight in parameters:
        return layer.weight
    path, _, _ = layer.path.partition(":")
    owners = (path, path.rpartition(".")[0])  # the latter of operations that are no module
    near = {name for name in parameters if name.rpartition(".")[0] in owners}
    holding = [name for name, whole in parameters.items() if _holds(whole, values)]
    if holding:
        return min(holding, key=lambda name: (name not in near, parameters[name].size))
    # Computed from a parameter: the only one of its size there.
    alike = [name for name in near if parameters[name].size == values.size]
    return alike[0] if len(alike) == 1 else ""


def _holds(whole: NDArray[np.float32], values: NDArray[np.float32]) -> bool:
    """Whether a block of a parameter's rows has these values, in any order within it."""
    n_in_row = prod(whole.shape[1:])
    if not values.size or whole.size < values.size or values.size % n_in_row:
        return False
    n_rows = values.size // n_in_row
    if whole.dtype != values.dtype:
        return False
    rows = np.concatenate([[np.uint64(0)], np.cumsum(_bits(whole).reshape(-1, n_in_row).sum(1))])
    return bool(np.any(rows[n_rows:] - rows[:-n_rows] == _bits(values).sum()))


def _bits(values: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Return the bits of each value as a number: sums of these do not depend on the order."""
    return np.ascontiguousarray(values).view(np.uint32).astype(np.uint64)
