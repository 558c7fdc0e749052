"""Parts of tensors, by position."""

import operator

import numpy as np
import torch
from torch import fx, nn

from niwaki.evaluation.compression.from_onnx.call import Call, as_torch, operator_named
from niwaki.evaluation.compression.from_onnx.known import Dim

_END = 2**31 - 1


@operator_named("Slice")
def read_slice(call: Call) -> fx.Node:
    """Read a range of positions of some axes; one of several equal parts, as such a part."""
    call.require_given(1, 2, 3, 4)
    changed, cuts = _cuts(call)
    if not cuts:
        return call.data()
    if (part := _part_of_chunks(call, changed, cuts)) is not None:
        return part
    parts = [slice(None)] * (max(cuts) + 1)
    inputs = call.data()
    for axis, (start, end, step) in cuts.items():
        if step < 0:
            inputs, (start, end, step) = _turned(call, inputs, axis, (start, end, step))
        parts[axis] = slice(start, None if end >= _END else end, step)
    return call.function(operator.getitem, inputs, tuple(parts))


def _cuts(call: Call) -> tuple[list[int], dict[int, tuple[int, int, int]]]:
    """Return the axes that change their size, and the start, end and step of each that is cut."""
    before, after = call.shape(), call.result_shape()
    changed = [i for i, (b, a) in enumerate(zip(before, after, strict=True)) if b != a]
    steps = call.integers("steps", 4) or []
    if not changed and all(step == 1 for step in steps):
        return [], {}
    starts, ends = call.integers("starts", 1), call.integers("ends", 2)
    assert starts is not None and ends is not None
    axes = call.integers("axes", 3) or list(range(len(starts)))
    found = zip(axes, starts, ends, steps or [1] * len(starts), strict=True)
    cuts = {axis % call.rank(): (start, end, step) for axis, start, end, step in found}
    return changed, {axis: c for axis, c in cuts.items() if axis in changed or c[2] != 1}


def _part_of_chunks(
    call: Call, changed: list[int], cuts: dict[int, tuple[int, int, int]]
) -> fx.Node | None:
    """Return a range as a part of all that is cut into as many equal ones, as torch.chunk does."""
    source = call.node.input[0]
    if len(cuts) != 1 or changed != list(cuts):
        return None
    (axis,) = changed
    size, length = call.shape()[axis][0], call.result_shape()[axis][0]
    starts: set[int] = set()
    for node in call.known.graph.node:
        if node.op_type == "Slice" and node.input[0] == source:
            other = Call(node, call.known, call.writer)
            also, ranges = _cuts(other)
            if also == changed and list(ranges) == changed and ranges[axis][2] == 1:
                chosen = range(size)[slice(*ranges[axis])]
                starts.update(chosen[:1] if len(chosen) == length else ())
    if not length or starts != set(range(0, size, length)) or size % length:
        return None
    n_parts = size // length
    chunks = call.writer.once(
        (source, axis, n_parts), lambda: call.function(torch.chunk, call.data(), n_parts, axis)
    )
    first = range(size)[slice(*cuts[axis])][0]
    return call.function(operator.getitem, chunks, first // length)


def _turned(
    call: Call, inputs: fx.Node, axis: int, bounds: tuple[int, int, int]
) -> tuple[fx.Node, tuple[int, int, int]]:
    """Return a range that goes backwards as one of the flipped axis that goes forwards."""
    size = call.shape()[axis][0]
    chosen = range(size)[slice(bounds[0], None if bounds[1] < -size else bounds[1], bounds[2])]
    flipped = call.function(torch.flip, inputs, (axis,))
    first = size - 1 - chosen[0] if chosen else size
    return flipped, (first, first + (len(chosen) - 1) * -bounds[2] + 1, -bounds[2])


@operator_named("Gather")
def read_gather(call: Call) -> fx.Node:
    """Read an embedding, or the positions that a constant names."""
    axis = call.axis(0)
    if not call.is_data(0):
        return _embedded(call, axis)
    if call.is_data(1):
        raise call.refusal("it picks positions that depend on the input")
    places, size = call.constant(1), call.shape()[axis]
    if size[0] != size[1]:
        raise call.refusal("it picks items of the batch")
    places = np.where(places < 0, places + size[0], places)
    if places.ndim == 0:
        return call.function(torch.select, call.data(), axis, int(places))
    if places.ndim > 1:
        raise call.refusal(f"its positions have shape {places.shape}")
    if len(places) and np.array_equal(places, np.arange(places[0], places[0] + len(places))):
        return _between(call, axis, size, int(places[0]), len(places))
    chosen = call.writer.attribute(f"{call.node.output[0]}.places", places, trains=False)
    return call.function(torch.index_select, call.data(), axis, chosen)


def _between(call: Call, axis: int, size: Dim, start: int, length: int) -> fx.Node:
    if length == size[0]:
        return call.data()
    part = slice(start, start + length)
    return call.function(operator.getitem, call.data(), (*[slice(None)] * axis, part))


def _embedded(call: Call, axis: int) -> fx.Node:
    table = call.constant(0)
    if axis or table.ndim != 2 or table.dtype.kind != "f":
        raise call.refusal("it picks positions that depend on the input, of no table of vectors")

    def make() -> nn.Module:
        layer = nn.Embedding(*table.shape)
        layer.weight = nn.Parameter(as_torch(table))
        return layer

    return call.layer(make, call.data(1), weight=0)
