"""Weights that are the same as others, or the transpose of others, kept once in the file.

A layer that is called twice, as a twin is or a head on several levels: each call is a layer of the
graph, with integers of its own when it is quantized. An autoencoder that decodes with the weights
of its encoder, a language model whose head is its embedding: the runtime transposes the one
constant when it loads the file.
"""

import hashlib
from collections.abc import Collection

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from niwaki.export.graph.branches import rename_read
from niwaki.export.graph.index import GraphIndex

_LEAST_BYTES = 4096  # of a transposed one: below, a node more takes more than it saves
_Content = tuple[tuple[int, ...], str, str]


def tied(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model in which each weight is one constant.

    Args:
        model: Not changed; returned itself if no weight is there twice.
    """
    index = GraphIndex(model.graph)
    same = same_weights(index)
    transposed = _transposed(index, but=same)
    if not same and not transposed:
        return model
    smaller = onnx.ModelProto()
    smaller.CopyFrom(model)
    graph = smaller.graph
    for node in graph.node:
        rename_read(node, same)
    nodes = [helper.make_node("Transpose", [o], [n], f"{n}.tied") for n, o in transposed.items()]
    kept = [tensor for tensor in graph.initializer if tensor.name not in {*same, *transposed}]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    nodes.extend(graph.node)
    del graph.node[:]
    graph.node.extend(nodes)
    return smaller


def same_weights(index: GraphIndex) -> dict[str, str]:
    """Return the earlier weight that a weight is equal to, by name, where there is one."""
    first: dict[_Content, str] = {}
    found: dict[str, str] = {}
    for name, tensor in index.constants.items():
        if len(tensor.dims) > 1 and name not in index.outputs:
            original = first.setdefault(_content(numpy_helper.to_array(tensor)), name)
            if original != name:
                found[name] = original
    return found


def _transposed(index: GraphIndex, *, but: Collection[str]) -> dict[str, str]:
    """Return the weight that each transposed one is a copy of, both in float."""
    known: dict[_Content, str] = {}
    found: dict[str, str] = {}
    for name, tensor in index.constants.items():
        if tensor.data_type != onnx.TensorProto.FLOAT or len(tensor.dims) != 2 or name in but:
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


def _content(values: NDArray[np.generic]) -> _Content:
    return values.shape, str(values.dtype), hashlib.sha256(values.tobytes()).hexdigest()
