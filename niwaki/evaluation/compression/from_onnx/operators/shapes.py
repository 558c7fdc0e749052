"""Other shapes, orders of axes and paddings."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import mul
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import fx, nn

from niwaki.evaluation.compression.from_onnx.call import Call, operator_named
from niwaki.evaluation.compression.from_onnx.known import Dim
from niwaki.evaluation.compression.from_onnx.operators.windows import torch_pads
from niwaki.evaluation.compression.from_onnx.operators.written_out import read_group_norm

_FOLLOWS = -1  # in the place of a size: it is what the others leave


@dataclass(frozen=True)
class Part:
    """Axes before, and the axes that the same values have after.

    Attributes:
        before: Numbers of the axes.
        n_after: How many axes they become.
    """

    before: tuple[int, ...]
    n_after: int


class Reshape(nn.Module):
    """Another shape; axes that stay, or are put together, are as large as they come.

    Args:
        parts: Which axes become which, in order.
        sizes: Of all axes after; where axes are taken apart, numbers that pruning may change.
    """

    def __init__(self, parts: Sequence[Part], sizes: Sequence[int]) -> None:
        super().__init__()
        self._parts, self.sizes = tuple(parts), tuple(sizes)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the same values in the other shape."""
        target: list[Any] = []
        for part in self._parts:
            sizes = self.sizes[len(target) : len(target) + part.n_after]
            target += _sizes_after(inputs, part, sizes)
        return inputs.reshape(target)


def _sizes_after(inputs: torch.Tensor, part: Part, sizes: Sequence[int]) -> list[Any]:
    if _FOLLOWS not in sizes:
        return list(sizes)
    whole: Any = reduce(mul, (inputs.shape[axis] for axis in part.before)) if part.before else 1
    known = math.prod(size for size in sizes if size != _FOLLOWS)
    rest = whole if known == 1 else whole // known
    return [rest if size == _FOLLOWS else size for size in sizes]


@operator_named("Reshape", "Flatten", "Squeeze", "Unsqueeze")
def read_reshape(call: Call) -> fx.Node:
    """Read another shape, by what it is before and after."""
    call.require_given(1)
    before, after = call.shape(), call.result_shape()
    read_group_norm(call)
    parts = _parts(before, after)
    if parts is None:
        raise call.refusal("its shape goes by the size of the batch in a way not known")
    if before == after:
        return call.data()
    if (span := _joined(parts)) is not None:
        return call.function(torch.flatten, call.data(), *span)
    sizes: list[int] = []
    for part in parts:
        dims = after[len(sizes) : len(sizes) + part.n_after]
        found = _sizes(dims)
        if found is None:
            raise call.refusal("several of its axes grow with the batch")
        sizes += found
    return call.layer(lambda: Reshape(parts, sizes), call.data())


def _parts(before: Sequence[Dim], after: Sequence[Dim]) -> list[Part] | None:
    """Return the smallest runs of axes that hold the same values before and after."""
    found: list[Part] = []
    i = j = 0
    while i < len(before) or j < len(after):
        start, n_after = i, 0
        left, right = (1, 1), (1, 1)
        while True:
            if left == right and (i > start or n_after):
                break
            takes_left = i < len(before) and (left <= right or j + n_after == len(after))
            if takes_left:
                left, i = _times(left, before[i]), i + 1
            elif j + n_after < len(after):
                right, n_after = _times(right, after[j + n_after]), n_after + 1
            else:
                return None
            if takes_left and i - start == 1 and n_after == 0 and j < len(after):
                right, n_after = _times(right, after[j]), 1
        j += n_after
        found.append(Part(tuple(range(start, i)), n_after))
    return found


def _times(product: Dim, dim: Dim) -> Dim:
    return product[0] * dim[0], product[1] * dim[1]


def _joined(parts: Sequence[Part]) -> tuple[int, int] | None:
    """Return the first and last of the axes that are put together, if nothing else happens."""
    several = [part for part in parts if len(part.before) != 1]
    if len(several) != 1 or any(part.n_after != 1 for part in parts) or not several[0].before:
        return None
    return several[0].before[0], several[0].before[-1]


def _sizes(dims: Sequence[Dim]) -> list[int] | None:
    """Return the sizes of axes that come of the same ones; None if they cannot be told."""
    growing = [i for i, dim in enumerate(dims) if dim[0] != dim[1]]
    larger = [i for i, dim in enumerate(dims) if dim != (1, 1)]
    if len(growing) > 1:
        return None
    sizes = [dim[0] for dim in dims]
    follows = growing or (larger if len(larger) == 1 else [])
    for i in follows:
        sizes[i] = _FOLLOWS
    return sizes


@operator_named("Transpose")
def read_transpose(call: Call) -> fx.Node:
    """Read another order of axes."""
    order = list(call.attribute("perm", reversed(range(call.rank()))))
    return call.function(torch.permute, call.data(), tuple(order))


@operator_named("Expand")
def read_expand(call: Call) -> fx.Node:
    """Read values repeated along axes of size 1."""
    call.require_given(1)
    after = call.result_shape()
    before = ((1, 1),) * (len(after) - call.rank()) + call.shape()
    if any(b != a and a[0] != a[1] for b, a in zip(before, after, strict=True)):
        raise call.refusal("it repeats values for each item of the batch")
    sizes = [-1 if b == a else a[0] for b, a in zip(before, after, strict=True)]
    if all(size == -1 for size in sizes):
        return call.data()
    return call.method("expand", call.data(), *sizes)


@operator_named("Tile")
def read_tile(call: Call) -> fx.Node:
    """Read values repeated as a whole."""
    repeats = [int(n) for n in call.constant(1)]
    return call.method("repeat", call.data(), *repeats) if set(repeats) != {1} else call.data()


@operator_named("Pad")
def read_pad(call: Call) -> fx.Node:
    """Read values added at the ends of axes."""
    pads = call.integers("pads", 1) or [0] * 2 * call.rank()
    axes = [axis % call.rank() for axis in call.integers("axes", 3) or range(call.rank())]
    before, after = [0] * call.rank(), [0] * call.rank()
    for place, axis in enumerate(axes):
        before[axis], after[axis] = pads[place], pads[place + len(axes)]
    first = next((i for i in range(call.rank()) if before[i] or after[i]), None)
    if first is None:
        return call.data()
    if first == 0:
        raise call.refusal("it pads the batch")
    mode = call.attribute("mode", "constant")
    names = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}
    if mode == "constant":
        given = call.optional(2)
        value = call.attribute("value", 0.0) if given is None else given.item()
        sizes = torch_pads(before[first:], after[first:])
        return call.function(F.pad, call.data(), sizes, value=value)
    if first < 2:
        raise call.refusal(f"it pads channels by '{mode}'")
    return call.function(F.pad, call.data(), torch_pads(before[2:], after[2:]), mode=names[mode])
