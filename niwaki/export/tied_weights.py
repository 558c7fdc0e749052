"""Weights that are the transpose of others, kept once in the file.

An autoencoder that decodes with the weights of its encoder, a language model whose head is its
embedding: what was one parameter is one constant. The runtime transposes it when it loads the file.
"""

import hashlib

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from niwaki.export.graph_index import GraphIndex

_LEAST_BYTES = 4096  # below, a node more takes more than it saves


def tied(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model in which a weight that is the transpose of another is computed from it.

    Args:
        model: Not changed; returned itself if there is no such weight.
    """
    copies = _copies(GraphIndex(model.graph))
    if not copies:
        return model
    smaller = onnx.ModelProto()
    smaller.CopyFrom(model)
    graph = smaller.graph
    nodes = [helper.make_node("Transpose", [copies[n]], [n], f"{n}.tied") for n in copies]
    kept = [tensor for tensor in graph.initializer if tensor.name not in copies]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    nodes.extend(graph.node)
    del graph.node[:]
    graph.node.extend(nodes)
    return smaller


def _copies(index: GraphIndex) -> dict[str, str]:
    """Return the weight that each transposed one is a copy of."""
    known: dict[tuple[tuple[int, ...], str], str] = {}
    found: dict[str, str] = {}
    for name, tensor in index.constants.items():
        if tensor.data_type != onnx.TensorProto.FLOAT or len(tensor.dims) != 2:
            continue
        values = index.values(name)
        if values.nbytes < _LEAST_BYTES:
            continue
        original = known.get(_content(values.T))
        if original is None:
            known.setdefault(_content(values), name)
        else:
            found[name] = original
    return found


def _content(values: NDArray[np.float32]) -> tuple[tuple[int, ...], str]:
    return values.shape, hashlib.sha256(values.tobytes()).hexdigest()
