"""Models that take one size of batches, made to take any.

Exporters that are told nothing of a batch write its size, mostly 1, into sizes of reshapes, states
and constants. Here the place of the batch is followed from the input on, and what speaks of it is
made to follow it. What is not seen here shows when answers are compared with those of the original.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

MARGIN = 0.002  # of a pixel: the runtime cuts scaled sizes, and in float32 they may fall short
_RECURRENT = frozenset({"LSTM", "GRU", "RNN"})
_REDUCING = ("Reduce", "Arg")


@dataclass(frozen=True)
class Place:
    """Where in the values of a tensor the batch is.

    Attributes:
        axis: That counts its items, perhaps among other things.
        outer: Of what that axis counts, how many are outside of the batch.
    """

    axis: int
    outer: int = 1


@dataclass(eq=False)
class OpenedBatch:
    """Opens the batch of a graph, in place.

    Args:
        graph: Whose batch is fixed.
        values: All values, as they are with that batch.
        of_input: Names of the values that are computed from the inputs.
        batch: Its size.
    """

    graph: onnx.GraphProto
    values: Mapping[str, NDArray[Any]]
    of_input: frozenset[str]
    batch: int

    def __post_init__(self) -> None:
        self._places: dict[str, Place] = {}
        self._added: list[onnx.NodeProto] = []

    def open(self, inputs: Sequence[str]) -> None:
        """Let the first axis of each of the inputs have any size."""
        for info in self.graph.input:
            if info.name in inputs:
                info.type.tensor_type.shape.dim[0].dim_param = "batch"
        for info in self.graph.output:
            info.type.tensor_type.ClearField("shape")
        del self.graph.value_info[:]
        self._places.update(dict.fromkeys(inputs, Place(0)))
        nodes = list(self.graph.node)
        for node in nodes:
            if not self.of_input.isdisjoint(node.output):
                self._open(node)
        del self.graph.node[:]
        self.graph.node.extend([*self._counting(inputs[0]), *self._added, *nodes])

    def _open(self, node: onnx.NodeProto) -> None:
        source = next((name for name in node.input if name in self._places), None)
        if source is None or not node.output[0]:
            return
        before, after = self._shape(source), self._shape(node.output[0])
        place: Place | None = self._places[source]
        assert place is not None
        match node.op_type:
            case "Reshape":
                place = _reshaped(before, after, place, self.batch)
                if place is not None and node.input[1] not in self.of_input:
                    sizes = [-1 if i == place.axis else size for i, size in enumerate(after)]
                    node.input[1] = self._constant(node, np.array(sizes, np.int64))
            case "Flatten" | "Squeeze" | "Unsqueeze":
                place = _reshaped(before, after, place, self.batch)
            case "Expand":
                place = Place(place.axis + len(after) - len(before), place.outer)
                sizes = [1 if i == place.axis else size for i, size in enumerate(after)]
                node.input[1] = self._constant(node, np.array(sizes, np.int64))
            case "Resize" if len(node.input) > 3 and node.input[3]:
                self._scale(node, before, after)
            case "Concat":
                self._repeat_constants(node, place.axis)
            case "Transpose":
                order = _attribute(node, "perm") or list(reversed(range(len(before))))
                place = Place(list(order).index(place.axis), place.outer)
            case kind if kind in _RECURRENT:
                self._without_zeros(node)
                self._places.update({name: Place(1) for name in node.output[1:] if name})
                place = Place(2)
            case _:
                place = self._shifted(node, before, after, place)
        if place is not None:
            self._places.update({name: place for name in node.output if name not in self._places})

    def _shifted(
        self, node: onnx.NodeProto, before: Sequence[int], after: Sequence[int], place: Place
    ) -> Place | None:
        """Return where the batch is after an operator that drops or adds axes, or none."""
        lost = len(before) - len(after)
        if node.op_type == "Gather":
            axis = (_attribute(node, "axis") or 0) % max(len(before), 1)
            return Place(place.axis - (lost if axis < place.axis else 0), place.outer)
        if lost > 0 and node.op_type.startswith(_REDUCING):
            axes = _attribute(node, "axes")
            if axes is None and len(node.input) > 1:
                axes = self.values[node.input[1]].tolist()
            axes = [_attribute(node, "axis") or 0] if axes is None else axes
            n_before = sum(axis % len(before) < place.axis for axis in axes)
            return Place(place.axis - n_before, place.outer)
        return Place(place.axis - lost, place.outer) if lost < 0 else place

    def _scale(self, node: onnx.NodeProto, before: Sequence[int], after: Sequence[int]) -> None:
        """Resize by scales, in which nothing is said of the batch."""
        scales = [1.0 if a == b else (b + MARGIN) / a for a, b in zip(before, after, strict=True)]
        node.input[2] = self._constant(node, np.array(scales, np.float32))
        node.input[3] = ""
        kept = [a for a in node.attribute if a.name not in ("axes", "keep_aspect_ratio_policy")]
        del node.attribute[:]
        node.attribute.extend(kept)

    def _repeat_constants(self, node: onnx.NodeProto, axis: int) -> None:
        """Give each item of the batch the constant that is joined to one, such as a class token."""
        for number, name in enumerate(node.input):
            values = self.values[name]
            if name in self.of_input or axis == (_attribute(node, "axis") or 0) % values.ndim:
                continue
            one = values.take([0], axis)
            if np.array_equal(np.broadcast_to(one, values.shape), values):
                ones = [np.ones(n, np.int64) for n in (axis, values.ndim - axis - 1)]
                names = [self._constant(node, each) for each in ones]
                kept = self._constant(node, one) if self.batch > 1 else name
                sizes, repeated = f"{node.output[0]}/sizes{number}", f"{node.output[0]}/of{number}"
                joined = [names[0], _COUNT, names[1]]
                make = onnx.helper.make_node
                self._added.append(make("Concat", joined, [sizes], axis=0))
                self._added.append(make("Expand", [kept, sizes], [repeated]))
                node.input[number] = repeated

    def _without_zeros(self, node: onnx.NodeProto) -> None:
        """Let a recurrence start from zeros by itself."""
        for number in (5, 6):
            name = node.input[number] if number < len(node.input) else ""
            if name and name not in self.of_input and not self.values[name].any():
                node.input[number] = ""

    def _counting(self, input_name: str) -> list[onnx.NodeProto]:
        """Return nodes that count the items of the batch."""
        first = numpy_helper.from_array(np.array([0], np.int64), f"{_COUNT}/first")
        self.graph.initializer.append(first)
        make = onnx.helper.make_node
        return [
            make("Shape", [input_name], [f"{_COUNT}/shape"]),
            make("Gather", [f"{_COUNT}/shape", first.name], [_COUNT], axis=0),
        ]

    def _shape(self, name: str) -> tuple[int, ...]:
        return self.values[name].shape

    def _constant(self, node: onnx.NodeProto, values: NDArray[Any]) -> str:
        name = f"{node.output[0]}/of_any_batch{len(self.graph.initializer)}"
        self.graph.initializer.append(numpy_helper.from_array(values, name))
        return name


_COUNT = "niwaki/count"


def _reshaped(
    before: Sequence[int], after: Sequence[int], place: Place, batch: int
) -> Place | None:
    """Return where the batch is in another shape of the same values; None if it is not told."""
    outside = math.prod(before[: place.axis]) * place.outer
    starts = [math.prod(after[:axis]) for axis in range(len(after) + 1)]
    alone = [i for i, size in enumerate(after) if starts[i] == outside and size == batch]
    if alone:
        return Place(place.axis if place.axis in alone else alone[0])
    first = [i for i in range(len(after)) if starts[i] == outside]
    last = [i for i in range(len(after)) if starts[i + 1] == outside * batch]
    if last and (len(after) < len(before) or not first) and outside > 1:
        return Place(last[0], outside // starts[last[0]])
    return Place(first[0]) if first else None


def _attribute(node: onnx.NodeProto, name: str) -> Any:
    found = [each for each in node.attribute if each.name == name]
    return onnx.helper.get_attribute_value(found[0]) if found else None
