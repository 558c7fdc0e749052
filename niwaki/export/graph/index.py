"""Who makes and who reads each tensor of an ONNX graph."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from niwaki.export.graph.branches import read_by

# The operators that have weights: their inputs from the second on.
WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
RECURRENT = ("GRU", "LSTM", "RNN")


class GraphIndex:
    """A read-only view of a graph; nodes are known by their position.

    Args:
        graph: In topological order, as ONNX demands.
    """

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.nodes: Sequence[onnx.NodeProto] = list(graph.node)
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.inputs = {
            info.name: helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)
            for info in graph.input
            if info.name not in self.constants
        }
        self.outputs = [info.name for info in graph.output]
        self.producer = {name: i for i, node in enumerate(self.nodes) for name in node.output}
        self._consumers: dict[str, list[int]] = defaultdict(list)
        for i, node in enumerate(self.nodes):
            for name in dict.fromkeys(read_by(node)):
                self._consumers[name].append(i)

    def consumers(self, tensor: str) -> Sequence[int]:
        """Return the nodes that read a tensor, each once."""
        return self._consumers.get(tensor, ())

    def only_consumer(self, tensor: str) -> int | None:
        """Return the node that alone reads a tensor; None if it is not alone, or an output."""
        readers = self.consumers(tensor)
        return readers[0] if len(readers) == 1 and tensor not in self.outputs else None

    def is_constant(self, tensor: str) -> bool:
        """Whether a tensor is a constant of the graph."""
        return tensor in self.constants

    def values(self, constant: str) -> NDArray[np.float32]:
        """Return the values of a float constant."""
        values: NDArray[np.float32] = numpy_helper.to_array(self.constants[constant])
        return values

    def data_inputs(self, node: int) -> list[str]:
        """Return the inputs of a node that are computed, not constant."""
        return [name for name in self.nodes[node].input if name and not self.is_constant(name)]


def leave_out_unneeded(graph: onnx.GraphProto) -> None:
    """Keep the nodes and constants alone that the outputs of a graph need, in place."""
    results = {info.name for info in graph.output}
    nodes = needed(graph.node, results)
    read = results.union(*map(read_by, nodes))
    constants = [tensor for tensor in graph.initializer if tensor.name in read]
    described = [info for info in graph.value_info if info.name in read]
    for field, kept in (
        (graph.node, nodes),
        (graph.initializer, constants),
        (graph.value_info, described),
    ):
        del field[:]
        field.extend(kept)


def needed(nodes: Sequence[onnx.NodeProto], results: set[str]) -> list[onnx.NodeProto]:
    """Return the nodes that some results are computed by, in order."""
    read, kept = set(results), list[onnx.NodeProto]()
    for node in reversed(nodes):
        if read.intersection(node.output):
            read.update(read_by(node))
            kept.append(node)
    return kept[::-1]


def answering(model: onnx.ModelProto, output: str) -> onnx.ModelProto:
    """Return a model that gives one of its outputs alone, and computes no more than that needs."""
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    graph = cut.graph
    [kept] = [info for info in graph.output if info.name == output]
    kept = onnx.ValueInfoProto.FromString(kept.SerializeToString())
    del graph.output[:]
    graph.output.append(kept)
    leave_out_unneeded(graph)
    return cut
