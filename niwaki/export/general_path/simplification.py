"""Rewrites of an exported graph that torch's exporter leaves to do."""

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from niwaki.export.general_path.fixed_sizes import fix_sizes
from niwaki.export.graph.biased_products import join_biases
from niwaki.export.graph.index import GraphIndex

_FOLDING = ("Conv", "ConvTranspose", "Gemm")
_IMAGE_RANK = 4
_JUDGING = {"Add": "Or", "Mul": "And"}


def simplified(graph: onnx.GraphProto) -> onnx.GraphProto:
    """Return a graph with known sizes constant, biases and batch norm folded, means as pooling.

    A global mean is the same as GlobalAveragePool, but the runtime has an integer kernel for the
    pooling alone.
    """
    join_biases(graph)
    _judge(graph)
    index = GraphIndex(graph)
    for i, norm in enumerate(index.nodes):
        if norm.op_type == "BatchNormalization":
            _fold(index, i)
    del graph.initializer[:]
    graph.initializer.extend(index.constants.values())
    index = GraphIndex(graph)
    known = (*graph.input, *graph.value_info)
    ranks = {info.name: len(info.type.tensor_type.shape.dim) for info in known}
    kept: list[onnx.NodeProto] = []
    for node in graph.node:
        is_image = bool(node.input) and ranks.get(node.input[0]) == _IMAGE_RANK
        if node.op_type == "ReduceMean" and is_image and _over_all_pixels(index, node):
            kept.extend(_pooling(node))
        elif node.op_type:
            kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)
    fix_sizes(graph)
    return graph


def _judge(graph: onnx.GraphProto) -> None:
    """Write sums and products of yes and no as Or and And: the runtime adds up numbers alone."""
    known = (*graph.input, *graph.value_info)
    kinds = {info.name: info.type.tensor_type.elem_type for info in known}
    kinds |= {tensor.name: tensor.data_type for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type in _JUDGING and kinds.get(node.input[0]) == onnx.TensorProto.BOOL:
            node.op_type = _JUDGING[node.op_type]


def _fold(index: GraphIndex, position: int) -> None:
    """Fold a batch norm into the layer before it, if that is read by nobody else.

    The index has what it changes: the constants, and who makes what the norm gave.
    """
    norm = index.nodes[position]
    maker = index.producer.get(norm.input[0])
    if maker is None or index.only_consumer(norm.input[0]) != position:
        return
    layer = index.nodes[maker]
    constants = [*layer.input[1:], *norm.input[1:]]
    if layer.op_type not in _FOLDING or not all(map(index.is_constant, constants)):
        return
    gain, offset, mean, variance = (index.values(name).astype("f8") for name in norm.input[1:])
    epsilon = next((a.f for a in norm.attribute if a.name == "epsilon"), 1e-5)
    scale = gain / np.sqrt(variance + epsilon)
    weight = index.values(layer.input[1]) * _along_outputs(layer, index, scale)
    bias = index.values(layer.input[2]) if len(layer.input) > 2 else 0.0
    shared = len(index.consumers(layer.input[1])) > 1
    stem = f"{layer.input[1]}_{position}" if shared else layer.input[1]
    for name, values in ((stem, weight), (f"{stem}_bias", (bias - mean) * scale + offset)):
        index.constants[name] = numpy_helper.from_array(values.astype(np.float32), name)
    layer.input[:] = [layer.input[0], stem, f"{stem}_bias"]
    layer.output[0] = norm.output[0]
    index.producer[norm.output[0]] = maker
    norm.Clear()


def _along_outputs(
    layer: onnx.NodeProto, index: GraphIndex, scale: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Shape a scale per output channel so that it multiplies the layer's weight."""
    attributes = {a.name: a.i for a in layer.attribute}
    shape = index.constants[layer.input[1]].dims
    if layer.op_type == "Gemm":
        return scale.reshape(-1, 1) if attributes.get("transB") else scale.reshape(1, -1)
    ones = [1] * (len(shape) - 2)
    if layer.op_type == "Conv":
        return scale.reshape(-1, 1, *ones)
    # The weight of a transposed convolution is (C_in, C_out / groups, ...), groups along C_in.
    n_groups = attributes.get("group", 1)
    per_group = np.repeat(scale.reshape(n_groups, -1), shape[0] // n_groups, axis=0)
    return per_group.reshape(*per_group.shape, *ones)


def _over_all_pixels(index: GraphIndex, node: onnx.NodeProto) -> bool:
    """Whether a mean of images runs over the last two dimensions."""
    if len(node.input) < 2 or not index.is_constant(node.input[1]):
        return False
    axes: Sequence[int] = numpy_helper.to_array(index.constants[node.input[1]]).tolist()
    return sorted(axis % _IMAGE_RANK for axis in axes) == [2, 3]


def _pooling(mean: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Return a mean over all pixels as a pooling, and what drops the pixels if it does not."""
    (given,) = mean.output
    keeps = next((a.i for a in mean.attribute if a.name == "keepdims"), 1)
    pooled = given if keeps else f"{given}:pooled"
    nodes = [helper.make_node("GlobalAveragePool", [mean.input[0]], [pooled], mean.name)]
    if not keeps:
        nodes.append(helper.make_node("Flatten", [pooled], [given], f"{mean.name}:flat", axis=1))
    for node in nodes:
        node.metadata_props.extend(mean.metadata_props)
    return nodes
