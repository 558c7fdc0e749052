"""What is known of a graph before it sees an input: shapes, and whatever follows from shapes.

Exporters write how sizes are computed: Shape, Gather, Concat, comparisons. Rather than read this
arithmetic, the runtime does it, for two sizes of the batch. What is the same for both is a
constant, what differs goes with the batch.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from niwaki.core.errors import ConfigError, TargetError
from niwaki.evaluation.compression.from_onnx.file import STANDARD, OnnxFile, in_single_precision
from niwaki.evaluation.compression.from_onnx.nested import reads
from niwaki.evaluation.compression.from_onnx.open_batch import OpenedBatch
from niwaki.targets.sessions import Optimisation, SessionSettings, open_session, run_session

BATCHES = (2, 3)
_SHAPE_ONLY = frozenset({"Shape", "Size"})

Dim: TypeAlias = tuple[int, int]
"""A size, for each of the two batches."""


@dataclass(frozen=True, eq=False)
class Known:
    """A graph of any batch, and what its values are.

    Attributes:
        graph: In float32.
        opset: Of the standard operators.
        of_input: Names of the values that are computed from numbers of the input.
        of_weights: Names of the values that are, or are computed from, weights.
        runs: All values, by name, for each of the two batches.
    """

    graph: onnx.GraphProto
    opset: int
    of_input: frozenset[str]
    of_weights: frozenset[str]
    runs: tuple[Mapping[str, NDArray[Any]], Mapping[str, NDArray[Any]]]

    def shape(self, name: str) -> tuple[Dim, ...]:
        """Return the sizes of a value."""
        first, second = (run[name].shape for run in self.runs)
        return tuple(zip(first, second, strict=True))

    def dtype(self, name: str) -> "np.dtype[Any]":
        """Return the type of a value."""
        return self.runs[0][name].dtype

    def values(self, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return what a value that is not of the input is, for each of the two batches."""
        return self.runs[0][name], self.runs[1][name]

    @cached_property
    def consumers(self) -> Mapping[str, int]:
        """Number of the uses of each value; being an output is one."""
        counts: dict[str, int] = {}
        for name in (
            *(name for node in self.graph.node for name in node.input),
            *(info.name for info in self.graph.output),
        ):
            counts[name] = counts.get(name, 0) + 1
        return counts

    def only_consumer(self, name: str) -> onnx.NodeProto | None:
        """Return the node that uses a value, if nothing else does."""
        if self.consumers.get(name) != 1:
            return None
        return next((node for node in self.graph.node if name in node.input), None)

    def needed(self) -> list[onnx.NodeProto]:
        """Return the nodes that outputs depend on and that compute with the input, in order."""
        wanted = {info.name for info in self.graph.output}
        found = []
        for node in reversed(self.graph.node):
            if wanted.isdisjoint(node.output):
                continue
            wanted.update(reads(node))
            if not self.of_input.isdisjoint(node.output):
                found.append(node)
        return found[::-1]


def known_of(file: OnnxFile) -> Known:
    """Return what is known of the graph in a file.

    Raises:
        ConfigError: If the runtime cannot run it, or it cannot take batches of any size.
    """
    model = in_single_precision(file.given)
    of_input = _computed_from(file.inputs.names, model.graph, but=_SHAPE_ONLY)
    if file.fixed_batch is not None:
        values = _Watched(model, file).run(file.fixed_batch)
        OpenedBatch(model.graph, values, of_input, file.fixed_batch).open(file.inputs.names)
    watched = _Watched(model, file)
    try:
        first, second = (watched.run(batch) for batch in BATCHES)
    except ConfigError as error:
        raise ConfigError(f"{error}. {batch_remedy(file)}") from error
    weights = [t.name for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT]
    return Known(
        model.graph,
        next((each.version for each in model.opset_import if each.domain in STANDARD), 1),
        of_input,
        _computed_from(weights, model.graph),
        (first, second),
    )


def batch_remedy(file: OnnxFile) -> str:
    """Return what to do if a file does not take any batch."""
    if file.batches_apart:
        fixed = ", ".join(f"'{name}' ({n})" for name, n in file.batches_apart.items())
        return (
            f"The first axis is fixed in {fixed}, and open in other inputs: it has to count items "
            "in each, so export a module that brings it to the front, and keep what is the same "
            "for all items inside"
        )
    fault = (
        "Its batch may be said to be open, but sizes inside go by one"
        if file.fixed_batch is None
        else f"Its batch is fixed at {file.fixed_batch}, and it cannot be made to follow the data"
    )
    return (
        f"{fault}: export it with an open batch, torch.onnx.export(model, (inputs,), path, "
        "dynamo=True, dynamic_shapes=({0: torch.export.Dim('batch')},))"
    )


def _computed_from(
    names: Iterable[str], graph: onnx.GraphProto, *, but: frozenset[str] = frozenset()
) -> frozenset[str]:
    """Return these names, and those of what is computed from them, but by some operators."""
    found = set(names)
    for node in graph.node:
        if node.op_type not in but and not found.isdisjoint(reads(node)):
            found.update(name for name in node.output if name)
    return frozenset(found)


class _Watched:
    """A model of which all values are outputs.

    Raises:
        ConfigError: If the runtime cannot load it.
    """

    def __init__(self, model: onnx.ModelProto, file: OnnxFile) -> None:
        watched = onnx.ModelProto()
        watched.CopyFrom(model)
        known = {info.name for info in watched.graph.output}
        names = [name for node in model.graph.node for name in node.output if name not in known]
        named = [onnx.helper.make_empty_tensor_value_info(name) for name in names if name]
        watched.graph.output.extend(named)
        self._file = file
        self._weights = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        try:
            settings = SessionSettings(optimisation=Optimisation.NONE)
            self._session = open_session(watched, settings)
        except TargetError as error:
            raise ConfigError(f"'{file.typed}': {error}") from error

    def run(self, batch: int) -> dict[str, NDArray[Any]]:
        """Return all values, weights included, for some inputs of the file's type.

        Raises:
            ConfigError: If the model does not run on so many.
        """
        file = self._file
        shapes = [(batch, *each.shape) for each in file.inputs]
        rng = np.random.default_rng(0)
        feeds = {
            each.name: rng.random(shape, np.float32).astype(each.dtype)  # of tokens, zeros
            for each, shape in zip(file.inputs, shapes, strict=True)
        }
        try:
            found = run_session(self._session, feeds)
        except TargetError as error:
            raise ConfigError(
                f"'{file.typed}' fails on inputs of shape {', '.join(map(str, shapes))}: {error}"
            ) from error
        return {**self._weights, **feeds, **dict(found)}
