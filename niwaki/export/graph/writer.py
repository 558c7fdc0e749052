"""An ONNX graph being written: nodes, constants and names, in the order of the calls."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from niwaki._version import __version__
from niwaki.core.errors import ExportError
from niwaki.export.graph.index import RECURRENT, WEIGHTED, needed

OPSET = 20
IR_VERSION = 10
BATCH = "batch"
FLOAT = "float32"
_SMALL_BYTES = 64
# Each keeps a node of its own, which its path names.
_LAYERS = (*WEIGHTED, *RECURRENT)

Attribute = int | float | str | Sequence[int] | Sequence[float] | Sequence[str]
# One dimension: its size, or None where it grows with the batch.
Shape = tuple[int | None, ...]
# Operators of which the results are of another type than what they compute with.
_TO_TYPES = {
    **dict.fromkeys(("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"), "bool"),
    **dict.fromkeys(("And", "Or", "Not", "IsNaN"), "bool"),
    **dict.fromkeys(("Shape", "ArgMax", "ArgMin"), "int64"),
}
# Operators for numbers of any type, and others that the runtime has for more than reals.
_MOVING = (
    *("Cast", "Concat", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity"),
    *("Range", "Reshape", "Shape", "Slice", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"),
)
_COUNTING = (
    *("Abs", "Add", "Clip", "CumSum", "Div", "MatMul", "Max", "Min", "Mul", "Neg", "Pow", "Sign"),
    "Sub",
    *("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Where"),
    *("ArgMax", "ArgMin", "ReduceMax", "ReduceMin", "ReduceSum", "Pad", "Trilu"),
)
_JUDGING = ("And", "Equal", "Not", "Or", "Pad", "Trilu")
_OPERATORS = {"int32": _COUNTING, "int64": _COUNTING, "bool": _JUDGING}


@dataclass(frozen=True)
class Varying:
    """Stands for what depends on the batch, such as `x.size(0)`.

    Attributes:
        times: How many times the batch it is; None if it is anything else.
    """

    times: int | None = None

    def __repr__(self) -> str:
        return "batch-dependent"


@dataclass(frozen=True)
class TensorType:
    """What is known of a tensor before it is computed.

    Attributes:
        dims: Its size along each axis; None where that grows with the batch.
        dtype: Type of its numbers, as torch calls it.
    """

    dims: Shape
    dtype: str


@dataclass(frozen=True)
class Tensor:
    """A tensor of the graph.

    Attributes:
        name: Its name in the graph.
        shape: Its dimensions; None where a dimension grows with the batch.
        dtype: Type of its numbers, as numpy calls it.
    """

    name: str
    shape: Shape
    dtype: str = FLOAT

    @property
    def rank(self) -> int:
        """Number of dimensions."""
        return len(self.shape)


class GraphWriter:
    """Collects nodes and constants, keeps names unique, and closes the graph into a model.

    What is computed twice in the same way, such as one feature map upsampled for two decoders, is
    written once.

    Args:
        inputs: The graph's inputs.
        output_names: Names kept free for the graph's outputs.
        layer_names: Names kept free for layers, which have constant weights.
    """

    def __init__(
        self,
        inputs: Sequence[Tensor],
        output_names: Sequence[str] = (),
        layer_names: Collection[str] = (),
    ) -> None:
        self._inputs = list(inputs)
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._given: dict[str, Tensor] = {}
        self._makers: dict[str, onnx.NodeProto] = {}
        self._types = {tensor.name: tensor.dtype for tensor in inputs}
        self._tensor_names = {tensor.name for tensor in inputs} | set(output_names)
        self._node_names: set[str] = set()
        self._layer_names = frozenset(layer_names)
        self._written: dict[object, list[Tensor]] = {}

    def node(
        self,
        op: str,
        inputs: Sequence[Tensor | str],
        shape: Shape,
        *,
        name: str,
        **attributes: Attribute,
    ) -> Tensor:
        """Append a node with one output, and return that output.

        Args:
            op: ONNX operator, of the default domain.
            inputs: Tensors, or names of constants; an empty name skips an optional input.
            shape: Shape of the output.
            name: Name of the node and of its output; a second use of it gets a number.
            **attributes: Of the ONNX operator, by the operator's own names.

        Raises:
            ExportError: If the runtime does not have it for numbers of that type.
        """
        return self.node_with_outputs(op, inputs, [shape], name=name, **attributes)[0]

    def node_with_outputs(
        self,
        op: str,
        inputs: Sequence[Tensor | str],
        shapes: Sequence[Shape],
        *,
        name: str,
        **attributes: Attribute,
    ) -> list[Tensor]:
        """Append a node with several outputs, numbered if more than one, and return them."""
        names = [tensor.name if isinstance(tensor, Tensor) else tensor for tensor in inputs]
        key = (op, tuple(map(self._identity, names)), repr(sorted(attributes.items())))
        if key not in self._written or op in _LAYERS:
            self._written[key] = self._append(op, names, shapes, name, attributes)
        return self._written[key]

    def _append(
        self,
        op: str,
        inputs: Sequence[str],
        shapes: Sequence[Shape],
        name: str,
        attributes: Mapping[str, Attribute],
    ) -> list[Tensor]:
        is_layer = op in RECURRENT or (op in WEIGHTED and inputs[1] in self._constants)
        kept_free = frozenset() if is_layer else self._layer_names
        stems = [name] if len(shapes) == 1 else [f"{name}.{i}" for i in range(len(shapes))]
        dtype = self._type_given(op, inputs, attributes, name)
        outputs = [
            Tensor(claimed(stem, self._tensor_names, but=kept_free), shape, dtype)
            for stem, shape in zip(stems, shapes, strict=True)
        ]
        self._given.update((tensor.name, tensor) for tensor in outputs)
        self._types.update(dict.fromkeys((tensor.name for tensor in outputs), dtype))
        node = helper.make_node(
            op,
            inputs,
            [tensor.name for tensor in outputs],
            name=claimed(name, self._node_names, but=kept_free),
            **cast(dict[str, Any], attributes),
        )
        self._nodes.append(node)
        self._makers.update(dict.fromkeys(node.output, node))
        return outputs

    def _type_given(
        self, op: str, inputs: Sequence[str], attributes: Mapping[str, Attribute], name: str
    ) -> str:
        """Return the type of what an operator gives."""
        data = self._types[inputs[1 if op == "Where" else 0]]
        if data != FLOAT and op not in _MOVING and op not in _OPERATORS.get(data, ()):
            raise ExportError(
                f"layer '{name}' cannot be written by the fast path: the runtime has no {op} of "
                f"{data}. Use export_module, or replace the operation"
            )
        if op == "Cast":
            return str(helper.tensor_dtype_to_np_dtype(cast(int, attributes["to"])))
        return _TO_TYPES.get(op, data)

    def _identity(self, name: str) -> str | bytes:
        """Return what tells a tensor from others: its name, or the values of a small constant."""
        constant = self._constants.get(name)
        if constant is None or len(constant.raw_data) > _SMALL_BYTES:
            return name
        return repr((constant.data_type, list(constant.dims))).encode() + constant.raw_data

    def constant(self, name: str, values: NDArray[np.generic]) -> str:
        """Add a constant and return its name; equal values under one name are stored once."""
        tensor = numpy_helper.from_array(np.ascontiguousarray(values), name)
        known = self._constants.get(name)
        if known is not None and known.SerializeToString() == tensor.SerializeToString():
            return name
        tensor.name = claimed(name, self._tensor_names)
        self._constants[tensor.name] = tensor
        self._types[tensor.name] = str(values.dtype)
        return tensor.name

    def values(self, constant: str) -> NDArray[Any]:
        """Return the values of a constant."""
        return numpy_helper.to_array(self._constants[constant])

    def is_constant(self, tensor: str) -> bool:
        """Whether a name is that of a constant."""
        return tensor in self._constants

    def read_by_maker(self, tensor: Tensor, op: str) -> list[Tensor] | None:
        """Return what the node read that gives a tensor, if it is of that operator; else None."""
        node = self._makers.get(tensor.name)
        if node is None or node.op_type != op:
            return None
        given = {each.name: each for each in self._inputs} | self._given
        return [given.get(name) or self._constant_tensor(name) for name in node.input]

    def _constant_tensor(self, name: str) -> Tensor:
        values = self.values(name)
        return Tensor(name, values.shape, str(values.dtype))

    def batch_size(self, name: str) -> Tensor:
        """Return the size of the batch, (1,) int64."""
        return self.node("Shape", [self._inputs[0]], (1,), name=name, start=0, end=1)

    def scalar(self, name: str, value: float, dtype: str = FLOAT) -> str:
        """Add a scalar and return its name.

        Raises:
            ExportError: If no number of that type is this one.
        """
        try:
            return self.constant(name, np.array(value, dtype))
        except OverflowError as error:
            raise ExportError(
                f"'{name}' cannot be written by the fast path: {value} is no {dtype}. "
                "Use export_module"
            ) from error

    def integers(self, name: str, values: Sequence[int]) -> str:
        """Add a vector of int64 and return its name."""
        return self.constant(name, np.array(values, np.int64))

    def model(self, outputs: Mapping[str, Tensor]) -> onnx.ModelProto:
        """Close the graph.

        Args:
            outputs: The graph's outputs by the names they shall have.
        """
        for name, tensor in self._output_sources(outputs).items():
            self._rename(tensor.name, name)
        nodes = needed(self._nodes, set(outputs))
        read = {name for node in nodes for name in node.input}
        given = {name for node in nodes for name in node.output}
        graph = helper.make_graph(
            nodes,
            "niwaki",
            [_info(tensor.name, tensor) for tensor in self._inputs],
            [_info(name, tensor) for name, tensor in outputs.items()],
            [tensor for name, tensor in self._constants.items() if name in read],
            # How many times the batch what grows with it is, only the runtime knows.
            value_info=[
                helper.make_tensor_value_info(name, _type_number(each), list(each.shape))
                for name, each in self._given.items()
                if name in given
            ],
        )
        return finished_model(graph)

    def _output_sources(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensor to rename for each output; a copy where it is an output already."""
        taken = {tensor.name for tensor in self._inputs} | set(self._constants)
        sources: dict[str, Tensor] = {}
        for name, tensor in outputs.items():
            source = tensor
            if tensor.name in taken:
                copies = self._append("Identity", [tensor.name], [tensor.shape], f"{name}.copy", {})
                source = copies[0]
            taken.add(source.name)
            sources[name] = source
        return sources

    def _rename(self, old: str, new: str) -> None:
        for node in self._nodes:
            for names in (node.input, node.output):
                for i, name in enumerate(names):
                    if name == old:
                        names[i] = new
        self._given.pop(old, None)


def finished_model(graph: onnx.GraphProto) -> onnx.ModelProto:
    """Wrap a graph as a model with the opset, IR version and producer of every niwaki model."""
    return helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="niwaki",
        producer_version=__version__,
    )


def require_apart(inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Check that no output has the name of an input.

    Raises:
        ExportError: If one has: a graph has one tensor of a name.
    """
    if both := sorted(set(inputs) & set(outputs)):
        raise ExportError(
            f"'{both[0]}' is the name of an input and of an output, and a graph has one tensor of "
            "a name: give another in `input_names` or `output_names`"
        )


def claimed(name: str, taken: set[str], *, but: Collection[str] = ()) -> str:
    """Return `name`, numbered from 2 if it is taken or one of `but`, and take it."""
    free, number = name, 2
    while free in taken or free in but:
        free, number = f"{name}:{number}", number + 1
    taken.add(free)
    return free


def _info(name: str, tensor: Tensor) -> onnx.ValueInfoProto:
    dims: list[int | str | None] = list(tensor.shape)
    if dims and dims[0] is None:
        dims[0] = BATCH
    return helper.make_tensor_value_info(name, _type_number(tensor), dims)


def _type_number(tensor: Tensor) -> int:
    return helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype))
