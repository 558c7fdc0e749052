"""Weights that a file keeps sparse are weights like any others."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from niwaki.evaluation.compression.from_onnx.proof import require_same_answers
from niwaki.evaluation.compression.from_onnx.reading import read_module
from tests.evaluation.compression.from_onnx.files import graph_of, inputs_for, saved


def sparse(indices: list[int] | list[list[int]]) -> onnx.SparseTensorProto:
    values = numpy_helper.from_array(np.array([1.0, 2.0], np.float32), "w")
    places = numpy_helper.from_array(np.array(indices, np.int64), "places")
    return helper.make_sparse_tensor(values, places, [4, 3])


@pytest.mark.parametrize("in_node", [False, True])
def test_a_sparse_weight_is_read(in_node: bool, tmp_path: Path) -> None:
    model = graph_of("y = MatMul(x, w)", item="4")
    if in_node:
        node = helper.make_node("Constant", [], ["w"], sparse_value=sparse([1, 7]))
        model.graph.node.insert(0, node)
    else:
        model.graph.sparse_initializer.append(sparse([[0, 1], [2, 1]]))
    file = saved(model, tmp_path)
    module = read_module(file)
    require_same_answers(module, file, inputs_for(file))
    assert sorted(p.abs().sum().item() for p in module.parameters()) == [3.0]
