"""The reference model: a fixed small network that every measurement is compared with."""

from functools import cache

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from niwaki.core.randomness import stream
from niwaki.targets.base import Feeds

# Any change here makes old and new latencies incomparable: raise `protocol.PROTOCOL_VERSION` too.
_SEED = 20_240
_SIZE = 48
_CHANNELS = 32
_OPSET, _IR_VERSION = 20, 10


@cache
def reference_model() -> bytes:
    """Return the reference network, serialised.

    A stem with stride 2, two 3x3 convolutions, a depthwise and a pointwise one, global pooling and
    a classifier, in fp32: the operations that small vision networks spend their time on, with a
    working set that fits the second-level cache. About 0.4 ms on one core of a 2023 server.
    """
    builder = _Builder()
    x = builder.convolution("x", 3, _CHANNELS, stride=2)  # (1, 32, 24, 24)
    for _ in range(2):
        x = builder.convolution(x, _CHANNELS, _CHANNELS)
    x = builder.convolution(x, _CHANNELS, _CHANNELS, group=_CHANNELS)
    x = builder.convolution(x, _CHANNELS, 2 * _CHANNELS, kernel=1)
    builder.classify(x, 2 * _CHANNELS, 10)
    return builder.serialise()


@cache
def reference_feeds() -> Feeds:
    """Return the input of the reference network: fixed normal noise, (1, 3, 48, 48) float32."""
    image = stream(_SEED, "reference input").standard_normal((1, 3, _SIZE, _SIZE))
    return {"x": image.astype(np.float32)}


class _Builder:
    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def convolution(
        self,
        x: str,
        n_in: int,
        n_out: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        group: int = 1,
    ) -> str:
        shape = (n_out, n_in // group, kernel, kernel)
        index = len(self.nodes)
        weight, bias = self._parameters(index, shape)
        self.nodes += [
            helper.make_node(
                "Conv",
                [x, weight, bias],
                [f"conv{index}"],
                pads=[kernel // 2] * 4,
                strides=[stride] * 2,
                group=group,
            ),
            helper.make_node("Relu", [f"conv{index}"], [f"relu{index}"]),
        ]
        return f"relu{index}"

    def classify(self, x: str, n_in: int, n_classes: int) -> None:
        weight, bias = self._parameters(len(self.nodes), (n_classes, n_in))
        self.nodes += [
            helper.make_node("GlobalAveragePool", [x], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["flat"]),
            helper.make_node("Gemm", ["flat", weight, bias], ["y"], transB=1),
        ]

    def serialise(self) -> bytes:
        graph = helper.make_graph(
            self.nodes,
            "reference",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, _SIZE, _SIZE])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])],
            self.weights,
        )
        opsets = [helper.make_opsetid("", _OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
        return bytes(model.SerializeToString())

    def _parameters(self, index: int, shape: tuple[int, ...]) -> tuple[str, str]:
        rng = stream(_SEED, "reference weights", index)
        scale = np.sqrt(2.0 / np.prod(shape[1:]))  # He et al., 2015: activations keep their size
        values = {
            f"weight{index}": rng.standard_normal(shape) * scale,
            f"bias{index}": rng.standard_normal(shape[0]) * 0.1,
        }
        for name, value in values.items():
            self.weights.append(numpy_helper.from_array(value.astype(np.float32), name))
        return f"weight{index}", f"bias{index}"
