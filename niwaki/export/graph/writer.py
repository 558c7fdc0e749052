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
from niwaki.export.graph.index import RECURRENT, WEIGHTED

OPSET = 20
IR_VERSION = 10
BATCH = "batch"
_SMALL_BYTES = 64
# Each keeps a node of its own, which its path names.
_LAYERS = (*WEIGHTED, *RECURRENT)

Attribute = int | float | str | Sequence[int] | Sequence[float] | Sequence[str]
# One dimension: its size, or None where it grows with the batch.
Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Tensor:
    """A tensor of the graph.

    Attributes:
        name: Its name in the graph.
        shape: Its dimensions; None where a dimension grows with the batch.
    """

    name: str
    shape: Shape

    @property
    def rank(self) -> int:
        """Number of dimensions."""
        return len(self.shape)


class GraphWriter:
    """Collects nodes and constants, keeps names unique, and closes the graph into a model.

    What is computed twice in the same way, such as one feature map upsampled for two decoders, is
    written once.

    Args:
        inputs: The graph's inputs; float32.
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
        self._shapes: dict[str, Shape] = {}
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
        outputs = [
            Tensor(claimed(stem, self._tensor_names, but=kept_free), shape)
            for stem, shape in zip(stems, shapes, strict=True)
        ]
        self._shapes.update((tensor.name, tensor.shape) for tensor in outputs)
        self._nodes.append(
            helper.make_node(
                op,
                inputs,
                [tensor.name for tensor in outputs],
                name=claimed(name, self._node_names, but=kept_free),
                **cast(dict[str, Any], attributes),
            )
        )
        return outputs

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
        return tensor.name

    def scalar(self, name: str, value: float) -> str:
        """Add a float32 scalar and return its name."""
        return self.constant(name, np.array(value, np.float32))

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
        read = {name for node in self._nodes for name in node.input}
        graph = helper.make_graph(
            self._nodes,
            "niwaki",
            [_float_info(tensor.name, tensor.shape) for tensor in self._inputs],
            [_float_info(name, tensor.shape) for name, tensor in outputs.items()],
            [tensor for name, tensor in self._constants.items() if name in read],
            value_info=[_float_info(name, shape) for name, shape in self._shapes.items()],
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
        self._shapes.pop(old, None)


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


def _float_info(name: str, shape: Shape) -> onnx.ValueInfoProto:
    dims: list[int | str | None] = list(shape)
    if shape and shape[0] is None:
        dims[0] = BATCH
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, dims)
