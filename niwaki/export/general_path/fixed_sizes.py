"""Sizes that torch's exporter computes at every run although they are known, and states of zeros.

A view is exported as the sizes of its input, picked one by one and put together, and a recurrent
layer begins with zeros that are spread over the batch: in a small network these take longer than
its layers do.
"""

from collections.abc import Sequence
from math import prod

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.helper import make_graph, make_tensor_value_info
from onnx.shape_inference import infer_shapes

from niwaki.export.graph.index import RECURRENT, GraphIndex, leave_out_unneeded
from niwaki.export.graph.writer import finished_model

_FEW = 64  # elements of what may be a size
_STATES = slice(5, 7)  # inputs of these that are states; absent, they are zeros
_MOVING = ("Expand", "Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze")


def fix_sizes(graph: onnx.GraphProto) -> None:
    """Write known sizes of Reshape as constants, and leave out states that are zeros, in place."""
    index = GraphIndex(graph)
    views = [node for node in graph.node if node.op_type == "Reshape"]
    views = [node for node in views if not index.is_constant(node.input[1])]
    known = _inferred(graph) if views else {}
    for node in views:
        sizes = _sizes(*(known.get(name) for name in (node.input[0], node.output[0])))
        if sizes is not None:
            name = f"{node.output[0]}_sizes"
            graph.initializer.append(numpy_helper.from_array(np.array(sizes, np.int64), name))
            node.input[1] = name
            del node.attribute[:]  # `allowzero` would read a 0 as none
    for node in graph.node:
        if node.op_type in RECURRENT:
            states = ["" if _is_zero(index, name) else name for name in node.input[_STATES]]
            node.input[_STATES] = states
    leave_out_unneeded(graph)


def _inferred(graph: onnx.GraphProto) -> dict[str, onnx.ValueInfoProto]:
    """Return what can be known of tensors' shapes, by name."""
    large = [tensor for tensor in graph.initializer if prod(tensor.dims) > _FEW]
    small = [tensor for tensor in graph.initializer if prod(tensor.dims) <= _FEW]
    as_inputs = [make_tensor_value_info(t.name, t.data_type, t.dims) for t in large]
    inputs = [*graph.input, *as_inputs]
    skeleton = make_graph(
        graph.node, "shapes", inputs, graph.output, small, value_info=graph.value_info
    )
    found = infer_shapes(finished_model(skeleton), data_prop=True).graph
    return {info.name: info for info in (*found.input, *found.value_info, *found.output)}


def _sizes(
    before: onnx.ValueInfoProto | None, after: onnx.ValueInfoProto | None
) -> Sequence[int] | None:
    """Return sizes for Reshape: 0 where one stays as it is, -1 for what else grows with the batch.

    None if they are not known, or could not be told apart.
    """
    old, new = _dims(before), _dims(after)
    if not new or 0 in new:
        return None
    stays = [place < len(old) and old[place] == each for place, each in enumerate(new)]
    sizes = [
        each if isinstance(each, int) else 0 if each and there else -1
        for each, there in zip(new, stays, strict=True)
    ]
    return sizes if sizes.count(-1) <= 1 else None


def _dims(info: onnx.ValueInfoProto | None) -> Sequence[int | str]:
    """Return the sizes of a tensor, or what those that grow with the batch are called."""
    dims = info.type.tensor_type.shape.dim if info is not None else ()
    return [dim.dim_value if dim.HasField("dim_value") else dim.dim_param for dim in dims]


def _is_zero(index: GraphIndex, name: str) -> bool:
    """Whether a tensor is made of nothing but constant zeros."""
    while (maker := index.producer.get(name)) is not None:
        if index.nodes[maker].op_type not in _MOVING:
            return False
        name = index.nodes[maker].input[0]
    return index.is_constant(name) and not np.any(numpy_helper.to_array(index.constants[name]))
