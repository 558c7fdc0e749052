"""The integers of a quantized network: the steps of its outputs, the width of its weights."""

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

# Operators that only move values about, so that a step before them is a step after them.
_TRANSPARENT = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
_QUANTIZED = frozenset({"QuantizeLinear", "DequantizeLinear", "QLinearConv", "QLinearMatMul"})


def has_int8(model: onnx.ModelProto) -> bool:
    """Whether any part of the model computes in integers of 8 bits."""
    return any(node.op_type in _QUANTIZED for node in model.graph.node)


def largest_weight(model: onnx.ModelProto) -> int:
    """Return the largest magnitude among weights that are written as int8; 0 if there are none."""
    tensors = model.graph.initializer
    integers = [numpy_helper.to_array(t) for t in tensors if t.data_type == TensorProto.INT8]
    return max((int(np.abs(each.astype(int)).max(initial=0)) for each in integers), default=0)


def output_quanta(model: onnx.ModelProto) -> Mapping[str, float | None]:
    """Return the step of each output that ends in a DequantizeLinear; None for the others."""
    producers = {name: node for node in model.graph.node for name in node.output}
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    return {
        output.name: _quantum(output.name, producers, constants) for output in model.graph.output
    }


def _quantum(
    name: str,
    producers: Mapping[str, onnx.NodeProto],
    constants: Mapping[str, onnx.TensorProto],
) -> float | None:
    node = producers.get(name)
    while node is not None and node.op_type in _TRANSPARENT:
        node = producers.get(node.input[0])
    if node is None or node.op_type != "DequantizeLinear" or node.input[1] not in constants:
        return None
    scale = numpy_helper.to_array(constants[node.input[1]])
    return float(scale.reshape(-1).max())
