"""Products of matrices and the bias that is added to them, as the one node that the runtime makes.

It fuses a MatMul of (batch, features) and an Add into a Gemm when it loads a file, after it has
looked at where integers are read and written: between Q/DQ pairs that were written for a MatMul,
such a Gemm stays in float.
"""

from collections.abc import Mapping

import onnx
from onnx import numpy_helper

from niwaki.export.graph.index import GraphIndex, leave_out_unneeded
from niwaki.export.graph.writer import claimed


def join_biases(graph: onnx.GraphProto) -> None:
    """Write Gemm for a product of (n, C_in) with a constant that a bias alone follows, in place.

    It has the name of the product, and gives what the sum gave.
    """
    index = GraphIndex(graph)
    known = (*graph.input, *graph.value_info)
    ranks = {info.name: len(info.type.tensor_type.shape.dim) for info in known}
    names = {*index.constants, *index.producer, *index.inputs}
    sums = {i: found for i in range(len(index.nodes)) if (found := _sum_of(index, ranks, i))}
    for i, (position, bias) in sums.items():
        product, total = index.nodes[i], index.nodes[position]
        product.input.append(_as_vector(graph, index, bias, names))
        product.op_type, product.output[0] = "Gemm", total.output[0]
        total.Clear()
    if sums:
        kept = [node for node in graph.node if node.op_type]
        del graph.node[:]
        graph.node.extend(kept)
        leave_out_unneeded(graph)


def _sum_of(index: GraphIndex, ranks: Mapping[str, int], i: int) -> tuple[int, str] | None:
    """Return the node that alone reads a product of (n, C_in) and adds a bias, and the bias."""
    node = index.nodes[i]
    if node.op_type != "MatMul" or ranks.get(node.input[0]) != 2:
        return None
    weight, reader = index.constants.get(node.input[1]), index.only_consumer(node.output[0])
    if weight is None or reader is None or weight.data_type != onnx.TensorProto.FLOAT:
        return None
    others = [name for name in index.nodes[reader].input if name != node.output[0]]
    is_sum = index.nodes[reader].op_type == "Add" and len(others) == 1
    if not is_sum or len(weight.dims) != 2 or not index.is_constant(others[0]):
        return None
    dims = list(index.constants[others[0]].dims)
    return (reader, others[0]) if dims in ([weight.dims[1]], [1, weight.dims[1]]) else None


def _as_vector(graph: onnx.GraphProto, index: GraphIndex, bias: str, names: set[str]) -> str:
    """Return the name of a bias in one dimension, which is written if there is none."""
    if len(index.constants[bias].dims) == 1:
        return bias
    flat = claimed(f"{bias}:flat", names)
    graph.initializer.append(numpy_helper.from_array(index.values(bias).reshape(-1), flat))
    return flat
