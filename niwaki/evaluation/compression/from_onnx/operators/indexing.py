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
    """Read a range of positions of some axes."""
    before, after = call.shape(), call.result_shape()
    changed = [i for i, (b, a) in enumerate(zip(before, after, strict=True)) if b != a]
    steps = call.integers("steps", 4) or []
    if not changed and all(step == 1 for step in steps):
        return call.data()
    starts, ends = call.integers("starts", 1), call.integers("ends", 2)
    assert starts is not None and ends is not None
    axes = call.integers("axes", 3) or list(range(len(starts)))
    steps = steps or [1] * len(starts)
    parts = [slice(None)] * call.rank()
    inputs = call.data()
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        place = axis % call.rank()
        if place not in changed and step == 1:
            continue
        if step < 0:
            inputs, (start, end, step) = _turned(call, inputs, place, (start, end, step))
        parts[place] = slice(start, None if end >= _END else end, step)
    if all(part == slice(None) for part in parts):
        return inputs
    last = max(i for i, part in enumerate(parts) if part != slice(None))
    return call.function(operator.getitem, inputs, tuple(parts[: last + 1]))


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
