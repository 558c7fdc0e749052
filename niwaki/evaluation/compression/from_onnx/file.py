"""An ONNX file as it is given, and what of it can be read at all."""

import re
from collections.abc import Collection, Iterator, Sequence
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

from niwaki.core.errors import ConfigError, DataError, TargetError
from niwaki.core.files import expanded
from niwaki.evaluation.compression.from_onnx.dense import make_dense
from niwaki.evaluation.compression.from_onnx.nested import nodes_of, reads
from niwaki.evaluation.compression.from_onnx.rearranged import has_layouts, rearranged
from niwaki.export.graph.branches import branches
from niwaki.tasks.model_inputs import FLOAT, ModelInput, ModelInputs

ENDING = ".onnx"
STANDARD = ("", "ai.onnx")

_QUANTIZED = frozenset({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"})
_PRODUCTS_OF_INTEGERS = frozenset({"ConvInteger", "MatMulInteger"})
_OTHER_FLOATS = frozenset({TensorProto.FLOAT16, TensorProto.DOUBLE})
_LARGEST = 2**31  # bytes: what a protocol buffer, in which models are passed on, can hold
_FIX = "python -m onnxruntime.tools.make_dynamic_shape_fixed"


@dataclass(frozen=True, eq=False)
class OnnxFile:
    """A file whose inputs, as many as it has, are batches of items.

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
            ConfigError: If there is none, it is no ONNX file, it is quantized already, or it leaves
                out its weights or the shape of an input.
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
        _import_operators(given)
        model = inliner.inline_local_functions(given)
        make_dense(model.graph)
        _open_unknown(model.graph)
        _sort(model.graph)
        found = cls(place, typed, model)
        found._require_float()
        found._require_shapes()
        return found

    @cached_property
    def inputs(self) -> ModelInputs:
        """What it takes, in order; a size of 0 is open. Reals of any kind come in float32."""
        return ModelInputs(
            tuple(
                ModelInput(
                    info.name,
                    tuple(dim.dim_value for dim in info.type.tensor_type.shape.dim[1:]),
                    FLOAT if kind.kind == "f" else kind.name,
                )
                for info, kind in zip(self._inputs, self._types, strict=True)
            )
        )

    @property
    def _types(self) -> "list[np.dtype[Any]]":
        kinds = (info.type.tensor_type.elem_type for info in self._inputs)
        return [np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind)) for kind in kinds]

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
    def is_open(self) -> bool:
        """Whether an axis other than the batch may have any size."""
        return not all(size for each in self.inputs for size in each.shape)

    @cached_property
    def rearranged(self) -> "OnnxFile":
        """The same in float32, without transposes around convolutions that can be avoided.

        Raises:
            ConfigError: If the runtime cannot load it.
        """
        if not has_layouts(self.given.graph):
            return self
        single = in_single_precision(self.given)
        try:
            found = rearranged(single)
        except TargetError as error:
            raise ConfigError(f"'{self.typed}': {error}") from error
        return self if found is single else OnnxFile(self.path, self.typed, found)

    @cached_property
    def unread(self) -> tuple[str, ...]:
        """Names of inputs that nothing reads, as some exporters leave them."""
        graph = self.given.graph
        read = {info.name for info in graph.output}.union(*map(reads, graph.node))
        return tuple(info.name for info in self._inputs if info.name not in read)

    def without(self, inputs: Collection[str]) -> "OnnxFile":
        """Return the same without some inputs that nothing reads."""
        model = onnx.ModelProto()
        model.CopyFrom(self.given)
        kept = [info for info in model.graph.input if info.name not in inputs]
        del model.graph.input[:]
        model.graph.input.extend(kept)
        return OnnxFile(self.path, self.typed, model)

    def fitted(self, item_shapes: Sequence[Sequence[int]]) -> "OnnxFile":
        """Return the same for items of one shape each, in the place of sizes that it leaves open.

        Raises:
            DataError: If it takes other items.
        """
        self.require_items(item_shapes)
        model = onnx.ModelProto()
        model.CopyFrom(self.given)
        del model.graph.value_info[:]
        wanted = dict(zip(self.inputs.names, item_shapes, strict=True))
        for info in model.graph.input:
            if info.name in wanted:
                sizes = map(int, wanted[info.name])
                for dim, size in zip(info.type.tensor_type.shape.dim[1:], sizes, strict=True):
                    dim.dim_value = size
        for info in model.graph.output:
            info.type.tensor_type.ClearField("shape")
        return OnnxFile(self.path, self.typed, model)

    def require_items(self, item_shapes: Sequence[Sequence[int]]) -> None:
        """Check that items of these shapes are what it takes, where it leaves them no choice.

        Raises:
            DataError: If they are not.
        """
        if len(item_shapes) != len(self.inputs):
            raise DataError(
                f"'{self.typed}' takes {len(self.inputs)} inputs ({', '.join(self.inputs.names)}), "
                f"but the data have {len(item_shapes)}: give a mapping by these names, or as many "
                "in their order"
            )
        for each, shape in zip(self.inputs, item_shapes, strict=True):
            given = tuple(map(int, shape))
            pairs = zip(each.shape, given, strict=False)
            if len(given) == len(each.shape) and all(known in (0, size) for known, size in pairs):
                continue
            known = str(tuple(size or "any" for size in each.shape)).replace("'", "")
            of = f" of '{each.name}'" if len(self.inputs) > 1 else ""
            raise DataError(
                f"'{self.typed}' takes items{of} of shape {known}, but those of the data are "
                f"{given}: give data as the file was made for, or export it for these"
            )

    def require_sizes(self) -> None:
        """Check that all sizes but that of the batch are known.

        Raises:
            ConfigError: If one is not.
        """
        for info in self._inputs:
            for axis, dim in enumerate(info.type.tensor_type.shape.dim[1:], 1):
                if not dim.dim_value:
                    raise ConfigError(
                        f"axis {axis} of the input '{info.name}' of '{self.typed}' "
                        f"({dim.dim_param or 'unnamed'}) may have any size, and nothing tells "
                        f"which: fix it, `{_FIX} --dim_param {dim.dim_param or 'NAME'} "
                        f"--dim_value SIZE {self.path.name} fixed{ENDING}`, and give that file"
                    )

    @property
    def fixed_batch(self) -> int | None:
        """The only size of batches that it takes; None if it takes any."""
        firsts = (info.type.tensor_type.shape.dim[0].dim_value for info in self._inputs)
        return next((size for size in firsts if size), None)

    @property
    def batches_apart(self) -> dict[str, int]:
        """Fixed first axes by name of the input, where those of other inputs are open."""
        firsts = {i.name: i.type.tensor_type.shape.dim[0].dim_value for i in self._inputs}
        return {name: size for name, size in firsts.items() if size and not all(firsts.values())}

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

    def _require_shapes(self) -> None:
        if not self._inputs:
            raise ConfigError(f"'{self.typed}' has no input: there is nothing that it answers to")
        for info in self._inputs:
            tensor = info.type.tensor_type
            if tensor.elem_type == TensorProto.STRING:
                raise ConfigError(
                    f"the input '{info.name}' of '{self.typed}' is text, but models here take "
                    "numbers: export the network behind what turns text into numbers"
                )
            if not tensor.HasField("shape") or not tensor.shape.dim:
                raise ConfigError(
                    f"the input '{info.name}' of '{self.typed}' has no shape: export it with a "
                    "batch of items, the batch first, in each input"
                )
        read = [info for info in self._inputs if info.name not in self.unread]
        sizes = {info.type.tensor_type.shape.dim[0].dim_value for info in read} - {0}
        if len(sizes) > 1:
            raise ConfigError(
                f"the first axes of the inputs of '{self.typed}' have sizes "
                f"{', '.join(map(str, sorted(sizes)))}, but it is the batch in each: keep what is "
                "the same for all items in the model, as a buffer"
            )


def _loaded(place: Path, typed: str) -> onnx.ModelProto:
    """Return a model with its weights.

    Raises:
        ConfigError: If that is more than a protocol buffer holds, or weights are cut short.
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
    try:
        onnx.load_external_data_for_model(model, str(place.parent))
    except ValueError as error:  # of onnx: a file beside it is shorter than the model says
        raise ConfigError(
            f"'{typed}' cannot be read: {error}. A file of weights beside it has been cut short: "
            "copy or export it anew"
        ) from error
    return model


def _import_operators(model: onnx.ModelProto) -> None:
    """Import the operators of functions where the graph uses none of its own, and says nothing."""
    if any(each.domain in STANDARD for each in model.opset_import):
        return
    imported = (each for function in model.functions for each in function.opset_import)
    if (found := next((each for each in imported if each.domain in STANDARD), None)) is not None:
        model.opset_import.append(found)


def _open_unknown(graph: onnx.GraphProto) -> None:
    """Leave sizes open that are said to be -1, as some exporters write what they do not know."""
    for info in (*graph.input, *graph.output, *graph.value_info):
        for dim in info.type.tensor_type.shape.dim:
            if dim.dim_value < 0:
                dim.ClearField("dim_value")


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
        for inner in branches(node):
            _to_single(inner)


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                yield attribute.t


def as_fed(file: OnnxFile, inputs: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """Return inputs in the types that the file wants, by name.

    Args:
        file: That takes them.
        inputs: (n, ...), of several side by side.
    """
    parts = zip(file.inputs.names, file.inputs.apart(inputs), file._types, strict=True)
    return {name: np.ascontiguousarray(part, kind) for name, part, kind in parts}
