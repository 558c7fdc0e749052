"""Guards that keep float layers float; why they are needed is told in `quantize`."""

import onnx
from onnx import helper

from niwaki.export.graph.index import GraphIndex

GUARD_SUFFIX = ".stays_float"
_REQUANTIZED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
# The runtime looks through the first two, and moves Q/DQ pairs across the others beforehand.
_TRANSPARENT = ("Relu", "Clip", "MaxPool", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze")


def guarded(graph: onnx.GraphProto) -> onnx.GraphProto:
    """Return `graph` with a guard behind each float layer that writes into QuantizeLinear."""
    index = GraphIndex(graph)
    nodes: list[onnx.NodeProto] = []
    for i, node in enumerate(index.nodes):
        nodes.append(node)
        if _is_float_layer_end(index, i) and _leads_to_integers(index, node.output[0]):
            nodes.append(_insert_guard(node))
    del graph.node[:]
    graph.node.extend(nodes)
    return graph


def _insert_guard(node: onnx.NodeProto) -> onnx.NodeProto:
    """Rename what `node` gives, and return the guard that turns it into what it gave."""
    output = node.output[0]
    node.output[0] = output + "_unguarded"
    return helper.make_node(
        "LeakyRelu", [node.output[0]], [output], name=node.name + GUARD_SUFFIX, alpha=1.0
    )


def _is_float_layer_end(index: GraphIndex, i: int) -> bool:
    """Whether a node is a layer with float weights, or adds the bias of a float MatMul."""
    node = index.nodes[i]
    if node.op_type in _REQUANTIZED:
        return index.is_constant(node.input[1])
    if node.op_type != "Add":
        return False
    makers = [index.nodes[index.producer[n]] for n in index.data_inputs(i) if n in index.producer]
    return len(makers) == 1 and makers[0].op_type == "MatMul"


def _leads_to_integers(index: GraphIndex, tensor: str) -> bool:
    """Whether a tensor is read by QuantizeLinear alone, perhaps through transparent operations."""
    reader = index.only_consumer(tensor)
    while reader is not None:
        node = index.nodes[reader]
        if node.op_type == "QuantizeLinear":
            return True
        if node.op_type not in _TRANSPARENT:
            return False
        reader = index.only_consumer(node.output[0])
    return False
