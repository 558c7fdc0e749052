"""A float graph written again with Q/DQ pairs."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from niwaki.compress.quantization.arithmetic import Affine, quantize_weights
from niwaki.export.graph.branches import read_by
from niwaki.export.graph.index import GraphIndex
from niwaki.export.graph.writer import claimed
from niwaki.export.int8.layers import Layer
from niwaki.export.int8.regions import Regions


class QdqWriter:
    """Writes one graph.

    Args:
        index: Of the float graph.
        regions: What runs in int8.
        parameters: Name and numbers of the scale of each quantized tensor.
        weight_limit: Largest integer of a weight.
    """

    def __init__(
        self,
        index: GraphIndex,
        regions: Regions,
        parameters: Mapping[str, tuple[str, Affine]],
        weight_limit: int,
    ) -> None:
        self._index = index
        self._weight_limit = weight_limit
        self._regions = regions
        self._parameters = parameters
        self._layers = {layer.nodes[0]: layer for layer in regions.layers}
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._taken = {name for node in index.nodes for name in (*read_by(node), *node.output)}
        self._taken |= {*index.inputs, *index.outputs, *index.constants}
        self._own: dict[tuple[str, str], str] = {}

    def graph(self, original: onnx.GraphProto) -> onnx.GraphProto:
        """Return the graph with Q/DQ pairs; only the constants that are read are kept."""
        for name in self._index.inputs:
            self._quantize(name, name)
        for i in range(len(self._index.nodes)):
            self._write(i)
        read = {name for node in self._nodes for name in read_by(node)}
        constants = {**self._index.constants, **self._constants}
        kept = [tensor for name, tensor in constants.items() if name in read]
        written = {name for node in self._nodes for name in node.output}
        return helper.make_graph(
            self._nodes,
            original.name,
            original.input,
            original.output,
            kept,
            value_info=[info for info in original.value_info if info.name in written],
        )

    def _write(self, i: int) -> None:
        node = onnx.NodeProto()
        node.CopyFrom(self._index.nodes[i])
        replaced = {name: self._read_as(name, i) for name in node.input}
        if layer := self._layers.get(i):
            replaced |= self._quantize_constants(layer)
        node.input[:] = [replaced[name] for name in node.input]
        outputs = list(node.output)
        node.output[:] = [self._written_as(name) for name in outputs]
        self._nodes.append(node)
        for name, written in zip(outputs, node.output, strict=True):
            self._quantize(name, written)

    def _read_as(self, tensor: str, reader: int) -> str:
        """Return what a node reads for a tensor: integers where they are all there is."""
        produced = tensor in self._regions.produced
        shared = tensor in self._regions.quantized and reader in self._regions.nodes
        return self._dequantized(tensor) if produced or shared else tensor

    def _written_as(self, tensor: str) -> str:
        """Return the name of what a float kernel would have given, before it is quantized."""
        is_integer_output = tensor in self._regions.produced and tensor in self._index.outputs
        return self._named(tensor, "_float") if is_integer_output else tensor

    def _dequantized(self, tensor: str) -> str:
        is_integer_output = tensor in self._regions.produced and tensor in self._index.outputs
        return tensor if is_integer_output else self._named(tensor, "_dequantized")

    def _named(self, whose: str, what: str) -> str:
        """Return the name of something new, the same each time, that nothing of the model has."""
        if (whose, what) not in self._own:
            self._own[whose, what] = claimed(f"{whose}{what}", self._taken)
        return self._own[whose, what]

    def _quantize(self, tensor: str, written: str) -> None:
        """Write the Q/DQ pair of a tensor, if it is quantized."""
        if tensor not in self._regions.quantized:
            return
        name, affine = self._parameters[tensor]
        scale = self._constant(self._named(name, "_scale"), np.array(affine.scale))
        zero_point = np.array(affine.zero_point, affine.dtype)
        zero = self._constant(self._named(name, "_zero_point"), zero_point)
        integers = self._named(tensor, "_quantized")
        self._append("QuantizeLinear", [written, scale, zero], integers)
        self._append("DequantizeLinear", [integers, scale, zero], self._dequantized(tensor))

    def _quantize_constants(self, layer: Layer) -> dict[str, str]:
        """Write the integer weight and bias of a layer, and return what replaces the float ones."""
        path, has_bias = layer.path, bool(layer.bias)
        numbers = quantize_weights(
            self._index.values(layer.weight),
            self._index.values(layer.bias) if has_bias else None,
            axis=layer.weight_axis,
            input_scale=self._parameters[layer.input][1].scale,
            limit=self._weight_limit,
        )
        weight = self._dequantized_constant(
            path, ".weight", numbers.weight, numbers.weight_scale, axis=numbers.axis
        )
        if numbers.bias is None:
            return {layer.weight: weight}
        bias = self._dequantized_constant(path, ".bias", numbers.bias, numbers.bias_scale, axis=0)
        return {layer.weight: weight, layer.bias: bias}

    def _dequantized_constant(
        self,
        path: str,
        what: str,
        integers: NDArray[np.int8] | NDArray[np.int32],
        scale: NDArray[np.float32],
        *,
        axis: int,
    ) -> str:
        zero_points = np.zeros(scale.shape, integers.dtype)
        inputs = [
            self._constant(self._named(path, f"{what}_quantized"), integers),
            self._constant(self._named(path, f"{what}_scale"), scale),
            self._constant(self._named(path, f"{what}_zero_point"), zero_points),
        ]
        output = self._named(path, f"{what}_dequantized")
        self._append("DequantizeLinear", inputs, output, axis=axis)
        return output

    def _constant(self, name: str, values: NDArray[np.generic]) -> str:
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(values, name)
        return name

    def _append(self, op: str, inputs: Sequence[str], output: str, axis: int | None = None) -> None:
        name = f"{output}.{op}"
        self._nodes.append(helper.make_node(op, inputs, [output], name=name, axis=axis))
