"""The layers of an ONNX graph that can run in int8."""

import math
from dataclasses import dataclass

import onnx

from niwaki.export.graph.index import RECURRENT, GraphIndex

# onnxruntime has no integer kernel for ConvTranspose: behind Q/DQ it runs in float.
_LAYER_OPS = ("Conv", "Gemm", "MatMul")
_OTHER_OPS = ("ConvTranspose", "Einsum", *RECURRENT)
# What the runtime drops between a layer and a QuantizeLinear whose integers end where it clips.
ABSORBED = ("Relu", "Clip")


@dataclass(frozen=True)
class Layer:
    """A layer with constant weights, and what the runtime fuses with it.

    Attributes:
        path: Name of its node: the qualified path of the module.
        nodes: Positions of its node, and of the activation that is fused with it if there is one.
        input: The tensor it reads.
        output: The tensor that its last node gives.
        gives_integers: Whether its integer kernel must write integers. That of MatMul need not, so
            what follows it, the addition of its bias first of all, goes on in float; unless an
            activation is fused with it, before which the runtime would compute it in float.
        weight: Name of the weight.
        bias: Name of the bias; empty if there is none.
        weight_axis: Axis of the weight that runs over the output channels.
    """

    path: str
    nodes: tuple[int, ...]
    input: str
    output: str
    gives_integers: bool
    weight: str
    bias: str
    weight_axis: int


def quantizable_layers(model: onnx.ModelProto) -> list[str]:
    """Return the paths of the layers that can run in int8, in the order of the graph.

    These are Conv, Gemm, and MatMul with a constant weight. ConvTranspose is not among them:
    onnxruntime runs it in float only.
    """
    return [layer.path for layer in find_layers(GraphIndex(model.graph))]


def layers_in_float(model: onnx.ModelProto) -> dict[str, str]:
    """Return why products and recurrences cannot run in int8, by name of the node."""
    index = GraphIndex(model.graph)
    return {
        node.name: _why_in_float(index, node)
        for i, node in enumerate(index.nodes)
        if node.op_type in (*_LAYER_OPS, *_OTHER_OPS) and not _is_layer(index, i)
    }


def _why_in_float(index: GraphIndex, node: onnx.NodeProto) -> str:
    if node.op_type in _OTHER_OPS:
        return f"the runtime has no integer kernel for {node.op_type}"
    if not any(index.is_constant(name) for name in node.input[:2]):
        return "both of its factors are computed from the input"
    if index.is_constant(node.input[1]) and (kind := _kind(index, node)) != "FLOAT":
        return f"its weights are {kind.lower()}, and integers take the place of float32"
    return f"it is a {node.op_type} of a form that is not quantized"


def without_kernel(model: onnx.ModelProto) -> dict[str, str]:
    """Return the type of weights that the runtime has no kernel for, by name of the node.

    It multiplies matrices in double precision, and convolves in float32 alone.
    """
    index = GraphIndex(model.graph)
    products = [node for node in index.nodes if node.op_type in (*_LAYER_OPS, "ConvTranspose")]
    kinds = {n.name: _kind(index, n) for n in products if index.is_constant(n.input[1])}
    multiplied = {n.name for n in products if n.op_type in ("Gemm", "MatMul")}
    return {
        name: kind.lower()
        for name, kind in kinds.items()
        if kind in ("FLOAT16", "BFLOAT16") or (kind == "DOUBLE" and name not in multiplied)
    }


def find_layers(index: GraphIndex) -> list[Layer]:
    """Return the layers of a float graph that can run in int8, in the order of the graph."""
    return [_layer(index, i) for i in range(len(index.nodes)) if _is_layer(index, i)]


def trailing_activation(index: GraphIndex, tensor: str) -> int | None:
    """Return the Relu or Clip that alone reads a tensor, if there is one and it can be dropped.

    That is one of constant bounds about zero, which is among all integers.
    """
    reader = index.only_consumer(tensor)
    if reader is None or index.nodes[reader].op_type not in ABSORBED:
        return None
    if index.nodes[reader].input[0] != tensor or index.data_inputs(reader) != [tensor]:
        return None
    low, high = clipped_between(index, reader)
    return reader if low <= 0.0 <= high else None


def clipped_between(index: GraphIndex, i: int) -> tuple[float, float]:
    """Return the constants between which a node clips its input; infinite where it does not."""
    node = index.nodes[i]
    if node.op_type == "Relu":
        return 0.0, math.inf
    if node.op_type != "Clip" or index.data_inputs(i) != [node.input[0]]:
        return -math.inf, math.inf
    least, most = [*node.input[1:], "", ""][:2]
    return (
        float(index.values(least).item()) if least else -math.inf,
        float(index.values(most).item()) if most else math.inf,
    )


def _is_layer(index: GraphIndex, i: int) -> bool:
    node = index.nodes[i]
    if node.op_type not in _LAYER_OPS or not node.name:
        return False
    constants = [index.is_constant(name) for name in node.input if name]
    plain = constants[0] is False and all(constants[1:]) and _kind(index, node) == "FLOAT"
    if node.op_type == "MatMul":
        return plain and len(index.constants[node.input[1]].dims) == 2
    if node.op_type == "Gemm":
        return plain and _plain_gemm(index, node)
    return plain


def _kind(index: GraphIndex, node: onnx.NodeProto) -> str:
    """Return the type of a layer's weights, as ONNX calls it."""
    kind: str = onnx.TensorProto.DataType.Name(index.constants[node.input[1]].data_type)
    return kind


def _plain_gemm(index: GraphIndex, node: onnx.NodeProto) -> bool:
    """Whether a Gemm is a fully connected layer: x W + b, unscaled, one bias per output."""
    attributes = {a.name: a for a in node.attribute}
    scaled = any(attributes[a].f != 1.0 for a in ("alpha", "beta") if a in attributes)
    transposed = "transA" in attributes and attributes["transA"].i != 0
    has_bias = len(node.input) > 2 and node.input[2] != ""
    vector = not has_bias or len(index.constants[node.input[2]].dims) == 1
    return vector and not scaled and not transposed


def _layer(index: GraphIndex, i: int) -> Layer:
    node = index.nodes[i]
    nodes, bias, output = [i], node.input[2] if len(node.input) > 2 else "", node.output[0]
    activation = trailing_activation(index, output)
    gives_integers = node.op_type != "MatMul" or activation is not None
    if activation is not None:
        nodes, output = [*nodes, activation], index.nodes[activation].output[0]
    return Layer(
        path=node.name,
        nodes=tuple(nodes),
        input=node.input[0],
        output=output,
        gives_integers=gives_integers,
        weight=node.input[1],
        bias=bias,
        weight_axis=_output_axis(node),
    )


def _output_axis(node: onnx.NodeProto) -> int:
    if node.op_type == "Conv":
        return 0
    if node.op_type == "MatMul":
        return 1
    transposed = any(a.name == "transB" and a.i for a in node.attribute)
    return 0 if transposed else 1
