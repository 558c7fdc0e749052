"""Parts of tensors, by slices, by places, and by tensors of places."""

import operator
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from niwaki.export.fast_path.operators.arithmetic import Operand
from niwaki.export.fast_path.operators.choices import write_choice
from niwaki.export.fast_path.operators.filled import repeated_like
from niwaki.export.fast_path.operators.reshaping import write_reshape
from niwaki.export.fast_path.operators.table import (
    Call,
    as_tensor,
    function_converter,
    gives_views,
    in_type,
)
from niwaki.export.graph.writer import Shape, Tensor

_END = 2**31 - 1


class Cut(NamedTuple):
    """Which places of an axis are taken, as in a slice."""

    axis: int
    start: int
    end: int
    step: int

    @property
    def is_all(self) -> bool:
        """Whether all are taken, as they are."""
        return self[1:] == (0, _END, 1)

    def n_taken(self, size: int) -> int:
        """Return how many of so many places are taken."""
        return len(range(size)[self.start : self.end : self.step])


@function_converter(operator.getitem, "__getitem__")
@gives_views
def convert_index(call: Call, input: Tensor, index: object) -> Tensor:
    """Write Slice for slices, Gather for a tensor or list of places, and Reshape for the rest."""
    places = _places(input, index)
    picked = [axis for axis, place in enumerate(places) if isinstance(place, Tensor | list)]
    if len(picked) > 1:
        return _picked_together(call, input, places)
    plain = [slice(None) if axis in picked else place for axis, place in enumerate(places)]
    cuts = _cuts(call, plain)
    for cut, place in zip(cuts, plain, strict=True):
        few = [cut.n_taken(n_items) for n_items in (1, 2, 3)]
        if (
            input.shape[cut.axis] is None
            and isinstance(place, slice)
            and few[0] != few[1] == few[2]
        ):
            raise call.unsupported(f"it keeps {few[1]} of the batch, or fewer where it is smaller")
    taken = write_slice(call, input, cuts)
    for axis in picked:
        taken = _picked(call, taken, axis, places[axis])
    return taken if taken.shape == call.shape else write_reshape(call, taken)


def _places(x: Tensor, index: object) -> list[object]:
    """Return what an index takes of each of the first axes; None adds axes, and takes nothing."""
    parts = list(index) if isinstance(index, tuple) else [index]
    places = [part for part in parts if part is not None]
    dots = [i for i, place in enumerate(places) if place is Ellipsis]
    for at in dots:
        places[at : at + 1] = [slice(None)] * (x.rank - len(places) + 1)
    return places


def _picked_together(call: Call, x: Tensor, places: Sequence[object]) -> Tensor:
    """Write GatherND: for each item, a place along each of the first axes."""
    if not all(isinstance(place, Tensor) and _is_integers(place) for place in places):
        raise call.unsupported("indexing with several tensors among others")
    tensors = [in_type(call, place, "int64") for place in places if isinstance(place, Tensor)]
    common = call.shape[: len(call.shape) - (x.rank - len(tensors))]
    writer, path = call.writer, call.path
    zero = writer.scalar(f"{path}.zero", 0, "int64")
    total = tensors[0]
    for other in tensors[1:]:
        total = writer.node("Add", [total, other], common, name=f"{path}.shape")
    zeros = writer.node("Mul", [total, zero], common, name=f"{path}.zeros")
    last = writer.integers(f"{path}.last", [-1])
    parts = []
    for each in tensors:
        spread = writer.node("Add", [each, zeros], common, name=f"{path}.spread")
        parts.append(
            writer.node("Unsqueeze", [spread, last], (*common, 1), name=f"{path}.coordinate")
        )
    shape = (*common, len(parts))
    where = writer.node("Concat", parts, shape, name=f"{path}.places", axis=len(common))
    return writer.node("GatherND", [x, where], call.shape, name=path)


def _is_integers(x: Tensor) -> bool:
    return x.dtype in ("int64", "int32")


@function_converter(torch.gather, "gather")
def convert_gather(
    call: Call,
    input: Tensor,
    dim: int,
    index: Tensor,
    sparse_grad: bool = False,  # noqa: ARG001  (of gradients)
) -> Tensor:
    """Write GatherElements."""
    axis = dim % input.rank
    return call.writer.node("GatherElements", [input, index], call.shape, name=call.path, axis=axis)


def _picked(call: Call, x: Tensor, axis: int, places: object) -> Tensor:
    """Write Gather along an axis."""
    if not isinstance(places, Tensor):
        values = np.asarray(places)
        where = call.writer.constant(f"{call.path}.places", values.astype(np.int64))
        places = Tensor(where, values.shape, "int64")
    if not _is_integers(places):
        raise call.unsupported(f"indexing with {places.dtype}")
    shape = (*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])
    return call.writer.node("Gather", [x, places], shape, name=call.path, axis=axis)


@function_converter(torch.index_select, "index_select")
def convert_selection(call: Call, input: Tensor, dim: int, index: Tensor) -> Tensor:
    """Write Gather."""
    return _picked(call, input, dim % input.rank, index)


@function_converter(torch.select, "select")
@gives_views
def convert_pick(call: Call, input: Tensor, dim: int, index: int) -> Tensor:
    """Write Slice and Reshape."""
    places: list[object] = [slice(None)] * input.rank
    places[dim] = index
    return convert_index(call, input, tuple(places))


@function_converter(torch.narrow, "narrow")
@gives_views
def convert_part(call: Call, input: Tensor, dim: int, start: object, length: object) -> Tensor:
    """Write Slice."""
    places: list[object] = [slice(None)] * input.rank
    if not isinstance(start, int) or not isinstance(length, int):
        raise call.unsupported("where it begins, or how long it is, depends on the batch")
    end = start + length
    places[dim] = slice(start, None if start < 0 and not end else end)
    return convert_index(call, input, tuple(places))


@function_converter(torch.flip, "flip")
def convert_flip(
    call: Call, input: Tensor, *positions: int | Sequence[int], dims: int | Sequence[int] = ()
) -> Tensor:
    """Write Slice, backwards."""
    given = [d for each in positions or [dims] for d in _listed(each)]
    axes = [d % input.rank for d in given]
    return write_slice(call, input, [Cut(axis, -1, -_END, -1) for axis in axes])


@function_converter("unfold")
def convert_windows(call: Call, input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Write Gather of windows along an axis, and Transpose of what is in them to the end."""
    axis = dimension % input.rank
    length = input.shape[axis]
    if length is None:
        raise call.unsupported("it takes windows of the batch")
    places = [list(range(at, at + size)) for at in range(0, length - size + 1, step)]
    apart = _picked(call, input, axis, places)
    order = [i for i in range(apart.rank) if i != axis + 1] + [axis + 1]
    return call.writer.node("Transpose", [apart], call.shape, name=call.path, perm=order)


@function_converter(torch.roll, "roll")
def convert_roll(
    call: Call,
    input: Tensor,
    shifts: int | Sequence[int],
    dims: int | Sequence[int] | None = None,
) -> Tensor:
    """Write Slice of the two parts along each axis, and Concat the other way round."""
    if dims is None or dims == ():
        raise call.unsupported("it rolls the batch: name the dimensions")
    for shift, dim in zip(_listed(shifts), _listed(dims), strict=True):
        axis = dim % input.rank
        size = input.shape[axis]
        if size is None:
            raise call.unsupported("it rolls the batch")
        at = -shift % size
        if at:
            parts = [
                write_slice(call, input, [Cut(axis, at, size, 1)]),
                write_slice(call, input, [Cut(axis, 0, at, 1)]),
            ]
            input = call.writer.node("Concat", parts, input.shape, name=call.path, axis=axis)
    return input


def _listed(value: int | Sequence[int]) -> list[int]:
    return [value] if isinstance(value, int) else list(value)


def assigned(x: Any, index: Any, value: Any) -> Any:
    """Assign to a part of a tensor, and return the tensor."""
    x[index] = value
    return x


@function_converter(assigned)
def convert_assignment(call: Call, x: Tensor, index: object, value: Operand) -> Tensor:
    """Write Where for a mask of the tensor's shape; else Slice of what stays, and Concat."""
    if isinstance(index, Tensor) and index.dtype == "bool" and index.shape == x.shape:
        if isinstance(value, Tensor) and value.rank:
            raise call.unsupported("a tensor is assigned to what a mask picks")
        return write_choice(call, index, value, x)
    if None in (index if isinstance(index, tuple) else (index,)):
        raise call.unsupported("an assignment to a new axis")
    places = _places(x, index)
    cuts = _cuts(call, places)
    for cut in cuts:
        if not cut.is_all and (cut.step != 1 or x.shape[cut.axis] is None):
            raise call.unsupported("an assignment to every other place, or to some of the batch")
    new = as_tensor(call, value, x.dtype)
    if new.rank:
        new = _aligned(call, x, new, [i for i, place in enumerate(places) if type(place) is int])
    return _with_part(call, x, new, [cut for cut in cuts if not cut.is_all])


def _aligned(call: Call, x: Tensor, value: Tensor, single: Sequence[int]) -> Tensor:
    """Give what is assigned axes of size 1 where one place of an axis is assigned to."""
    others = [axis for axis in range(x.rank) if axis not in single]
    if value.rank > len(others):
        raise call.unsupported("a tensor of more axes is assigned")
    own = others[-value.rank :]
    axes = sorted((*own, *(axis for axis in single if axis > own[0])))
    added = [i for i, axis in enumerate(axes) if axis in single]
    if not added:
        return value
    given = iter(value.shape)
    sizes = tuple(1 if i in added else next(given) for i in range(len(axes)))
    name = call.writer.integers(f"{call.path}.axes", added)
    return call.writer.node("Unsqueeze", [value, name], sizes, name=f"{call.path}.value")


def _with_part(call: Call, x: Tensor, value: Tensor, cuts: Sequence[Cut]) -> Tensor:
    """Write a tensor of which a part is something else: axis by axis, around that part."""
    if not cuts:
        return value if value.shape == x.shape else repeated_like(call, value, x, x.shape)
    cut, *others = cuts
    size = x.shape[cut.axis]
    assert size is not None
    taken = range(size)[cut.start : cut.end]
    if not taken:
        return x
    ends = [(0, taken.start), (taken.start, taken.stop), (taken.stop, size)]
    before, middle, behind = (
        write_slice(call, x, [Cut(cut.axis, start, end, 1)]) if start < end else None
        for start, end in ends
    )
    assert middle is not None
    parts = [before, _with_part(call, middle, value, others), behind]
    kept = [part for part in parts if part is not None]
    if len(kept) == 1:
        return kept[0]
    return call.writer.node("Concat", kept, x.shape, name=call.path, axis=cut.axis)


def _cuts(call: Call, places: Iterable[object]) -> list[Cut]:
    return [_cut(call, axis, place) for axis, place in enumerate(places)]


def _cut(call: Call, axis: int, place: object) -> Cut:
    match place:
        case bool():
            pass
        case int(i):
            return Cut(axis, i, (i + 1 or _END), 1)
        case slice(start=start, stop=stop, step=step):
            bounds = (start or 0, _END if stop is None else stop, step or 1)
            if all(isinstance(bound, int) for bound in bounds):
                return Cut(axis, *bounds)
    raise call.unsupported(f"indexing with {place!r}")


def write_slice(call: Call, x: Tensor, cuts: Iterable[Cut]) -> Tensor:
    """Write Slice, or nothing where all is taken."""
    cuts = [cut for cut in cuts if not cut.is_all]
    if not cuts:
        return x
    axes, starts, ends, steps = zip(*cuts, strict=True)
    names = [
        call.writer.integers(f"{call.path}.{name}", values)
        for name, values in (("starts", starts), ("ends", ends), ("axes", axes), ("steps", steps))
    ]
    return call.writer.node("Slice", [x, *names], _shape_of(x.shape, cuts), name=call.path)


@function_converter(torch.diff, "diff")
def convert_difference(
    call: Call,
    input: Tensor,
    n: int = 1,
    dim: int = -1,
    prepend: Tensor | None = None,
    append: Tensor | None = None,
) -> Tensor:
    """Write Slice twice and Sub for each time; what is put around it by Concat."""
    axis = dim % input.rank
    if input.shape[axis] is None:
        raise call.unsupported("it compares the items of a batch")
    parts = [
        in_type(call, part, call.dtype) for part in (prepend, input, append) if part is not None
    ]
    x = parts[0]
    if len(parts) > 1:
        sizes = [part.shape[axis] for part in parts]
        whole = None if None in sizes else sum(size for size in sizes if size is not None)
        shape = (*input.shape[:axis], whole, *input.shape[axis + 1 :])
        x = call.writer.node("Concat", parts, shape, name=f"{call.path}.joined", axis=axis)
    for _ in range(n):
        behind = write_slice(call, x, [Cut(axis, 1, _END, 1)])
        before = write_slice(call, x, [Cut(axis, 0, -1, 1)])
        x = call.writer.node("Sub", [behind, before], behind.shape, name=call.path)
    return x


def _shape_of(shape: Shape, cuts: Sequence[Cut]) -> Shape:
    sizes = list(shape)
    for cut in cuts:
        size = sizes[cut.axis]
        sizes[cut.axis] = None if size is None else cut.n_taken(size)
    return tuple(sizes)
