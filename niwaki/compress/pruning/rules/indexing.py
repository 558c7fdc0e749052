"""Indexing: whole dimensions pass, channels picked by number stay."""

from typing import Any

import torch
from torch import Tensor

from niwaki.compress.pruning.labels import Label
from niwaki.compress.pruning.provenance import Call, Provenance, relabelled, tensors_in
from niwaki.compress.pruning.rules.shapes import in_parts
from niwaki.compress.pruning.sizes import Tag, tag_of


def indexed(state: Provenance, call: Call) -> None:
    """`x[...]`."""
    source: Tensor = call.args[0]
    given = call.args[1] if isinstance(call.args[1], tuple) else (call.args[1],)
    _take(state, call, source, given)


def narrowed(state: Provenance, call: Call) -> None:
    """`narrow(dim, start, length)`."""
    source: Tensor = call.arg(0, "input")
    dim, start, length = (
        int(call.arg(i, n)) for i, n in enumerate(("", "dim", "start", "length")) if i
    )
    index = [slice(None)] * source.ndim
    index[dim % source.ndim] = slice(start, start + length)
    _take(state, call, source, tuple(index))


def selected(state: Provenance, call: Call) -> None:
    """`select(dim, index)`."""
    source: Tensor = call.arg(0, "input")
    index: list[Any] = [slice(None)] * source.ndim
    index[int(call.arg(1, "dim")) % source.ndim] = int(call.arg(2, "index"))
    _take(state, call, source, tuple(index))


def index_selected(state: Provenance, call: Call) -> None:
    """`index_select(dim, index)`."""
    source: Tensor = call.arg(0, "input")
    index: list[Any] = [slice(None)] * source.ndim
    index[int(call.arg(1, "dim")) % source.ndim] = call.arg(2, "index")
    _take(state, call, source, tuple(index))


def _take(state: Provenance, call: Call, source: Tensor, given: tuple[Any, ...]) -> None:
    for tensor in tensors_in(list(given)):
        for label in state.labels(tensor):
            state.atoms.pin(label.atoms, f"{call.described} picks by them")
    labels = list(state.labels(source))
    if not labels:
        state.record(call, call.out)
        return
    for dim, index in _by_dim(given, source.ndim):
        labels = [
            kept for label in labels if (kept := _check(state, call, label, dim, index)) is not None
        ]
    plain = tuple(_plain(item) for item in given)
    ids = [label.spread(source.shape)[plain] for label in labels]
    state.record(call, call.out, relabelled(state, call, ids))


def _plain(index: Any) -> Any:
    if isinstance(index, slice):
        return slice(
            *(None if v is None else int(v) for v in (index.start, index.stop, index.step))
        )
    return index.cpu() if isinstance(index, Tensor) else index


def _by_dim(given: tuple[Any, ...], n_dims: int) -> list[tuple[int, Any]]:
    """Return which index falls on which dimension of the source."""
    taken = sum(_n_taken(index) for index in given if index is not Ellipsis)
    found: list[tuple[int, Any]] = []
    dim = 0
    for index in given:
        if index is Ellipsis:
            dim += n_dims - taken
        elif index is not None and not isinstance(index, bool):
            n_taken = _n_taken(index)
            found.extend((dim + i, index) for i in range(n_taken))
            dim += n_taken
    return found


def _n_taken(index: Any) -> int:
    if index is None or isinstance(index, bool):
        return 0
    if isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8):
        return index.ndim
    return 1


def _check(state: Provenance, call: Call, label: Label, dim: int, index: Any) -> Label | None:
    """Bind or pin what an index on `dim` asks of a label; None if nothing is left of it."""
    if dim not in label.dims:
        return label
    if isinstance(index, slice):
        return _sliced(state, call, label, label.dims.index(dim), index)
    return state.hold(label, (dim,), f"{call.described} picks channels by number")


def _sliced(state: Provenance, call: Call, label: Label, axis: int, index: slice) -> Label | None:
    size = label.atoms.shape[axis]
    start, stop, step = index.indices(size)
    if (start, step) == (0, 1) and stop == size:
        if tag_of(index.stop) and len(label.dims) == 1:
            state.follow(tag_of(index.stop), label.atoms, f"{call.described} takes so many")
        return label
    why = f"{call.described} takes channels by number"
    length = len(range(start, stop, step))
    tags = (tag_of(index.start), tag_of(index.stop))
    if step > 1 and size % step == 0 and length == size // step:
        parts = in_parts(label.atoms, axis, (length, step))
        state.atoms.unite(parts, parts.narrow(axis + 1, 0, 1), why)
        return label
    if len(label.dims) == 1 and step == 1 and any(tags):
        return _follow_bounds(state, label, (start, stop), tags)
    if step == 1 and 0 < length < size and size % length == 0 and start % length == 0:
        parts = in_parts(label.atoms, axis, (size // length, length))
        state.atoms.unite(parts, parts.narrow(axis, 0, 1), why)
        return label
    state.atoms.pin(label.atoms, why)
    return None


def _follow_bounds(
    state: Provenance,
    label: Label,
    bounds: tuple[int, int],
    tags: tuple[Tag | None, Tag | None],
) -> Label:
    """Let bounds that are attributes of a module count the channels before them."""
    for bound, tag in zip(bounds, tags, strict=True):
        if tag is not None and 0 < bound <= len(label.atoms):
            state.follow(tag, label.atoms[:bound], "a slice ends there")
    return label


def assigned(state: Provenance, call: Call) -> None:
    """`x[...] = y`: nothing is known of the parts of x."""
    target, value = call.args[0], call.args[2]
    reason = f"{call.described} writes channels by number"
    for tensor in (target, value):
        for label in state.labels(tensor) if isinstance(tensor, Tensor) else ():
            state.atoms.pin(label.atoms, reason)
    state.record(call, target)
