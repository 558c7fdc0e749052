"""Weights of which a file has no more than what is not zero, written out."""

import numpy as np
import onnx
from onnx import numpy_helper

from niwaki.export.graph.branches import branches


def make_dense(graph: onnx.GraphProto) -> None:
    """Write sparse weights and constants as any others, in place: no operator takes them apart."""
    graph.initializer.extend(_dense(tensor) for tensor in graph.sparse_initializer)
    del graph.sparse_initializer[:]
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.SPARSE_TENSOR:
                tensor = _dense(attribute.sparse_tensor)
                attribute.CopyFrom(onnx.helper.make_attribute("value", tensor))
        for inner in branches(node):
            make_dense(inner)


def _dense(tensor: onnx.SparseTensorProto) -> onnx.TensorProto:
    values, places = (numpy_helper.to_array(each) for each in (tensor.values, tensor.indices))
    found = np.zeros(list(tensor.dims), values.dtype)
    if places.ndim == 1:
        found.reshape(-1)[places] = values
    else:
        found[tuple(places.T)] = values
    return numpy_helper.from_array(found, tensor.values.name)
