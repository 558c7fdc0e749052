"""An ONNX file as it is given, and what of it can be read at all."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import TensorProto, inliner, numpy_helper

from niwaki.core.errors import ConfigError, DataError
from niwaki.core.files import expanded

ENDING = ".onnx"

_QUANTIZED = frozenset({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"})
_PRODUCTS_OF_INTEGERS = frozenset({"ConvInteger", "MatMulInteger"})
_OTHER_FLOATS = frozenset({TensorProto.FLOAT16, TensorProto.DOUBLE})
_LARGEST = 2**31  # bytes: what a protocol buffer, in which models are passed on, can hold
_FIX = "python -m onnxruntime.tools.make_dynamic_shape_fixed"


@dataclass(frozen=True, eq=False)
class OnnxFile:
    """A file with one input, the batch first.

    Attributes:
        path: Absolute.
        typed: What the user wrote.
        given: The model as it is in the file.
    """

    path: Path
    typed: str
    given: onnx.ModelProto

    @classmethod
    def load(cls, typed: str, path: Path | None = None) -> "OnnxFile":
        """Read a file.

        Args:
            typed: As the user wrote it, for messages.
            path: Where it lay, if relative paths have another start by now; on another machine,
                it may lie where relative paths start there.

        Raises:
            ConfigError: If there is none, it is no ONNX file, it is quantized already, it has
                several inputs, or it leaves out its weights.
        """
        places = [each.absolute() for each in (path, expanded(typed)) if each is not None]
        place = next((each for each in places if each.is_file()), None)
        if place is None:
            raise ConfigError(f"there is no file '{typed}' in {Path.cwd()}")
        try:
            given = _loaded(place, typed)
        except (DecodeError, onnx.checker.ValidationError) as error:
            raise ConfigError(f"'{typed}' cannot be read as ONNX: {error}") from error
        except OSError as error:
            raise ConfigError(
                f"'{typed}' cannot be read: {error.strerror}. Weights that are kept in files "
                "beside it must lie there"
            ) from error
        model = inliner.inline_local_functions(given)
        _sort(model.graph)
        found = cls(place, typed, model)
        found._require_float()
        found._require_one_input()
        return found

    @property
    def input_name(self) -> str:
        """Name of the one input."""
        return str(self._inputs[0].name)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs, in order."""
        return tuple(info.name for info in self.given.graph.output)

    @cached_property
    def tasks(self) -> tuple[str, ...]:
        """What outputs are called as tasks, in order: their names, as identifiers."""
        found: list[str] = []
        for name in self.outputs:
            plain = re.sub(r"\W", "_", name)
            plain = plain if plain.isidentifier() else f"output_{plain}"
            copies = (f"{plain}_{number}" for number in range(2, len(self.outputs) + 1))
            taken = {*found, *self.outputs} - {name}
            found.append(next(each for each in (plain, *copies) if each not in taken))
        return tuple(found)

    @property
    def input_type(self) -> "np.dtype[Any]":
        """Of the numbers that the file wants."""
        kind = self._inputs[0].type.tensor_type.elem_type
        return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind))

    @property
    def is_open(self) -> bool:
        """Whether an axis other than the batch may have any size."""
        return not all(self.item_shape)

    def fitted(self, item_shape: Sequence[int]) -> "OnnxFile":
        """Return the same for items of one shape, in the place of sizes that it leaves open.

        Raises:
            DataError: If it takes other items.
        """
        known = self.item_shape
        wanted = tuple(map(int, item_shape))
        if len(wanted) != len(known) or any(
            k not in (0, w) for k, w in zip(known, wanted, strict=True)
        ):
            raise self.other_items(wanted)
        model = onnx.ModelProto()
        model.CopyFrom(self.given)
        del model.graph.value_info[:]
        for info in model.graph.input:
            if info.name == self.input_name:
                for dim, size in zip(info.type.tensor_type.shape.dim[1:], wanted, strict=True):
                    dim.dim_value = size
        for info in model.graph.output:
            info.type.tensor_type.ClearField("shape")
        return OnnxFile(self.path, self.typed, model)

    def other_items(self, item_shape: Sequence[int]) -> DataError:
        """Return the error that data are not of the shape that the file takes."""
        known = str(tuple(size or "any" for size in self.item_shape)).replace("'", "")
        return DataError(
            f"'{self.typed}' takes items of shape {known}, but those of the data are "
            f"{tuple(item_shape)}: give data as the file was made for, or export it for these"
        )

    def require_sizes(self) -> None:
        """Check that all sizes but that of the batch are known.

        Raises:
            ConfigError: If one is not.
        """
        tensor = self._inputs[0].type.tensor_type
        for axis, dim in enumerate(tensor.shape.dim[1:], 1):
            if not dim.dim_value:
                raise ConfigError(
                    f"axis {axis} of the input '{self.input_name}' of '{self.typed}' "
                    f"({dim.dim_param or 'unnamed'}) may have any size, and nothing tells which: "
                    f"fix it, `{_FIX} --dim_param {dim.dim_param or 'NAME'} --dim_value SIZE "
                    f"{self.path.name} fixed{ENDING}`, and give that file"
                )

    @property
    def item_shape(self) -> tuple[int, ...]:
        """Sizes of the axes behind the batch; 0 for any."""
        dims = self._inputs[0].type.tensor_type.shape.dim
        return tuple(dim.dim_value for dim in dims[1:])

    @property
    def fixed_batch(self) -> int | None:
        """The only size of batches that it takes; None if it takes any."""
        return self._inputs[0].type.tensor_type.shape.dim[0].dim_value or None

    @cached_property
    def is_half(self) -> bool:
        """Whether it computes with fewer digits than float32 has."""
        return bool(TensorProto.FLOAT16 in self._kinds)

    @cached_property
    def _kinds(self) -> frozenset[int]:
        return frozenset(tensor.data_type for tensor in _tensors(self.given.graph))

    @property
    def remark(self) -> str:
        """What is done otherwise than the file says; empty if nothing is."""
        said = []
        if self.fixed_batch is not None:
            said.append(f"its batch is fixed at {self.fixed_batch}, and any is taken from now on")
        if self._kinds & _OTHER_FLOATS:
            kind = "half" if self.is_half else "double"
            said.append(f"it is in {kind} precision, and computed in float32")
        named = zip(self.outputs, self.tasks, strict=True)
        renamed = [f"'{name}' is {task}" for name, task in named if name != task]
        if len(self.outputs) > 1 and renamed:
            said.append(
                f"its outputs are called by names that tasks may have: {', '.join(renamed)}"
            )
        return f"'{self.typed}': {'; '.join(said)}" if said else ""

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that follow what is in it, weights in other files included."""
        written = self.given.SerializeToString(deterministic=True)
        return blake2b(written, digest_size=8).hexdigest()

    @cached_property
    def _inputs(self) -> Sequence[onnx.ValueInfoProto]:
        weights = {tensor.name for tensor in self.given.graph.initializer}
        return [info for info in self.given.graph.input if info.name not in weights]

    def _require_float(self) -> None:
        kinds = self._kinds | {info.type.tensor_type.elem_type for info in self._inputs}
        if TensorProto.BFLOAT16 in kinds:
            raise ConfigError(
                f"'{self.typed}' is in bfloat16, in which ONNX Runtime computes little on a CPU: "
                "export the model in float32"
            )
        for node in nodes_of(self.given.graph):
            kind = node.op_type
            is_product = kind in _PRODUCTS_OF_INTEGERS or kind.startswith("QLinear")
            if kind in _QUANTIZED or is_product:
                raise ConfigError(
                    f"'{self.typed}' is quantized already (node '{node.name}', {kind}): give the "
                    "float model that it was made from, which is quantized here, layer by layer"
                )

    def _require_one_input(self) -> None:
        names = [info.name for info in self._inputs]
        if len(names) != 1:
            raise ConfigError(
                f"'{self.typed}' has {len(names)} inputs ({', '.join(names)}), but models here "
                "have one input tensor: export a module that takes one and takes it apart"
            )
        tensor = self._inputs[0].type.tensor_type
        if not tensor.HasField("shape") or not tensor.shape.dim:
            raise ConfigError(
                f"the input '{names[0]}' of '{self.typed}' has no shape: export it with a batch of "
                "items, the batch first"
            )


def _loaded(place: Path, typed: str) -> onnx.ModelProto:
    """Return a model with its weights.

    Raises:
        ConfigError: If that is more than a protocol buffer holds.
    """
    size = place.stat().st_size
    if size < _LARGEST:
        model = onnx.load(place, load_external_data=False)
        notes = (note for tensor in _tensors(model.graph) for note in tensor.external_data)
        size += sum(int(note.value) for note in notes if note.key == "length")
    if size >= _LARGEST:
        raise ConfigError(
            f"'{typed}' has {size / 2**30:.2f} GiB of weights, and less than 2 are read: give the "
            "torch module, my_model.py:build, or a smaller model"
        )
    onnx.load_external_data_for_model(model, str(place.parent))
    return model


def nodes_of(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yield the nodes of a graph, and of graphs in their attributes."""
    for node in graph.node:
        yield node
        for inner in inner_graphs(node):
            yield from nodes_of(inner)


def reads(node: onnx.NodeProto) -> set[str]:
    """Return the names of the values that a node may use, also inside of branches and bodies."""
    inner = (
        name for graph in inner_graphs(node) for each in nodes_of(graph) for name in each.input
    )
    return {name for name in (*node.input, *inner) if name}


def _sort(graph: onnx.GraphProto) -> None:
    """Bring nodes into an order of execution: the runtime finds one by itself, and so tools err."""
    nodes = list(graph.node)
    makers = {name: i for i, node in enumerate(nodes) for name in node.output if name}
    needs = {
        i: sorted({makers[name] for name in reads(node) if name in makers})
        for i, node in enumerate(nodes)
    }
    if any(need >= i for i, found in needs.items() for need in found):
        del graph.node[:]
        graph.node.extend(nodes[i] for i in TopologicalSorter(needs).static_order())


def inner_graphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """Yield the graphs that a node may run: branches, and bodies of loops."""
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def in_single_precision(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy that computes in float32 throughout."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    _to_single(copy.graph)
    return copy


def _to_single(graph: onnx.GraphProto) -> None:
    del graph.value_info[:]
    for info in (*graph.input, *graph.output):
        if info.type.tensor_type.elem_type in _OTHER_FLOATS:
            info.type.tensor_type.elem_type = TensorProto.FLOAT
    for tensor in list(_tensors(graph)):
        if tensor.data_type in _OTHER_FLOATS:
            values = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    for node in graph.node:
        for attribute in node.attribute:
            is_type = attribute.name in ("to", "dtype") and attribute.i in _OTHER_FLOATS
            if is_type and attribute.type == onnx.AttributeProto.INT:
                attribute.i = TensorProto.FLOAT
        for inner in inner_graphs(node):
            _to_single(inner)


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                yield attribute.t


def as_fed(file: OnnxFile, inputs: NDArray[np.float32]) -> Mapping[str, NDArray[np.generic]]:
    """Return inputs in the type that the file wants, by name."""
    return {file.input_name: inputs.astype(file.input_type)}
