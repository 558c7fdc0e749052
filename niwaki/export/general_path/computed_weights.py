"""Weights that are computed from constants, as constants.

`F.linear(x, self.encoder.weight.t())`, a head tied to an embedding, a standardised or masked
kernel: torch's exporter leaves the computation in the graph unless it is tiny, and only what is
constant can be quantized. Products of constants alone, such as those that make a bias of relative
positions, are no layers.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from niwaki.export.graph.branches import read_by
from niwaki.export.graph.index import WEIGHTED, GraphIndex, leave_out_unneeded, needed
from niwaki.export.graph.writer import finished_model
from niwaki.targets.sessions import SessionSettings, open_session, run_session


def fold_computed_weights(graph: onnx.GraphProto) -> None:
    """Turn weights, biases and products of constants into constants, in place."""
    index = GraphIndex(graph)
    computed = _computed(index)
    weighted = [node for node in index.nodes if node.op_type in WEIGHTED]
    wanted = [n for node in weighted for n in (*node.input[1:], *node.output)]
    names = [name for name in dict.fromkeys(wanted) if index.producer.get(name) in computed]
    if not names:
        return
    graph.initializer.extend(_values(index, computed, names))
    folded = {name: _folded(name) for name in names}
    for node in graph.node:
        node.input[:] = [folded.get(name, name) for name in node.input]
    leave_out_unneeded(graph)


def _computed(index: GraphIndex) -> set[int]:
    """Return the nodes that read constants, or what such nodes give, and nothing else."""
    found: set[int] = set()
    for i, node in enumerate(index.nodes):
        read = [name for name in read_by(node) if name]
        known = all(index.is_constant(name) or index.producer.get(name) in found for name in read)
        if read and known:
            found.add(i)
    return found


def _values(
    index: GraphIndex, computed: set[int], names: Sequence[str]
) -> Iterator[onnx.TensorProto]:
    """Yield what nodes give by these names, under names of their own."""
    nodes = needed([index.nodes[i] for i in sorted(computed)], set(names))
    read = {name for node in nodes for name in read_by(node)}
    part = helper.make_graph(
        nodes,
        "weights",
        [],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names],
        [tensor for name, tensor in index.constants.items() if name in read],
    )
    values = run_session(open_session(finished_model(part), SessionSettings()), {})
    for name in names:
        yield numpy_helper.from_array(np.ascontiguousarray(values[name]), _folded(name))


def _folded(name: str) -> str:
    return f"{name}:folded"
