"""Small ONNX networks, written by hand."""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from niwaki.core.randomness import stream
from niwaki.targets.base import Feeds

OPSET, IR_VERSION = 20, 10
Info = tuple[str, int, Sequence[int | str] | None]


def conv_net(channels: int, size: int, depth: int, *, seed: int = 0, batch: int | str = 1) -> bytes:
    """3x3 convolutions with ReLU, the first of stride 2, and pooling, on (batch, 3, size, size)."""
    nodes, weights, x, n_in = [], [], "x", 3
    for i in range(depth):
        rng = stream(seed, "conv", i)
        weight = rng.standard_normal((channels, n_in, 3, 3)) * np.sqrt(2 / (9 * n_in))
        bias = rng.standard_normal(channels) * 0.1
        weights += [_constant(f"w{i}", weight), _constant(f"b{i}", bias)]
        strides = [2, 2] if i == 0 else [1, 1]
        operands = [x, f"w{i}", f"b{i}"]
        nodes += [
            helper.make_node("Conv", operands, [f"c{i}"], pads=[1] * 4, strides=strides),
            helper.make_node("Relu", [f"c{i}"], [f"r{i}"]),
        ]
        x, n_in = f"r{i}", channels
    nodes.append(helper.make_node("GlobalAveragePool", [x], ["y"]))
    inputs: list[Info] = [("x", TensorProto.FLOAT, [batch, 3, size, size])]
    outputs: list[Info] = [("y", TensorProto.FLOAT, [batch, channels, 1, 1])]
    return bytes(model(nodes, inputs, outputs, weights).SerializeToString())


def image(size: int, *, n_items: int = 1, seed: int = 0) -> Feeds:
    """Normal noise, (n_items, 3, size, size) float32."""
    noise = stream(seed, "image").standard_normal((n_items, 3, size, size))
    return {"x": noise.astype(np.float32)}


def int8_conv(*, batch: int | str = "batch", classes: int = 4) -> onnx.ModelProto:
    """One int8 convolution (u8 activations, s8 weights per channel), Q/DQ on both sides."""
    rng = stream(0, "int8 conv")
    levels = 64  # 7 bits: with 8, products saturate on processors that add pairs in 16
    weights = [
        numpy_helper.from_array(
            rng.integers(1 - levels, levels, (classes, 3, 3, 3)).astype(np.int8), "w"
        ),
        _constant("w_scale", rng.uniform(0.002, 0.004, classes)),
        numpy_helper.from_array(np.zeros(classes, np.int8), "w_zero"),
        _constant("x_scale", 0.03),
        numpy_helper.from_array(np.array(128, np.uint8), "x_zero"),
        _constant("y_scale", 0.05),
        numpy_helper.from_array(np.array(120, np.uint8), "y_zero"),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "x_scale", "x_zero"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "x_scale", "x_zero"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["wd"], axis=0),
        helper.make_node("Conv", ["xd", "wd"], ["c"], pads=[1] * 4, name="conv"),
        helper.make_node("QuantizeLinear", ["c", "y_scale", "y_zero"], ["yq"]),
        helper.make_node("DequantizeLinear", ["yq", "y_scale", "y_zero"], ["y"]),
    ]
    return model(
        nodes,
        [("x", TensorProto.FLOAT, [batch, 3, 16, 16])],
        [("y", TensorProto.FLOAT, [batch, classes, 16, 16])],
        weights,
    )


def model(
    nodes: list[onnx.NodeProto],
    inputs: Sequence[Info],
    outputs: Sequence[Info],
    weights: list[onnx.TensorProto],
) -> onnx.ModelProto:
    """Close nodes into a model of the opset and IR version that niwaki writes."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(*info) for info in inputs],
        [helper.make_tensor_value_info(*info) for info in outputs],
        weights,
    )
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


def _constant(name: str, values: np.ndarray | float) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(values, np.float32), name)
