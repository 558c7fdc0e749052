"""Functions that move elements: they are applied to the atoms as they are."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from niwaki.compress.pruning.labels import Label, label_of
from niwaki.compress.pruning.provenance import (
    BoxEvent,
    Call,
    Provenance,
    is_same_set,
    relabelled,
)
from niwaki.compress.pruning.rules.products import inner_axis
from niwaki.compress.pruning.sizes import MeasuredInt, tag_of

Move = Callable[..., Tensor]


def moved_by(function: Move) -> Callable[[Provenance, Call], None]:
    """Return the rule of a function that moves elements and is fit for integers."""

    def rule(state: Provenance, call: Call) -> None:
        source: Tensor = call.arg(0, "input")
        rest = call.args[1:]
        kwargs = {k: v for k, v in call.kwargs.items() if k != "input"}
        ids = [function(label.spread(source.shape), *rest, **kwargs) for label in _of(state, call)]
        state.record(call, call.out, relabelled(state, call, ids))

    return rule


def _of(state: Provenance, call: Call) -> tuple[Label, ...]:
    return state.labels(call.arg(0, "input"))


def transposed(state: Provenance, call: Call) -> None:
    """`.T`, `.mT`, `t()`."""
    source: Tensor = call.args[0]
    axes = list(range(source.ndim))
    if call.name in ("mT", "mH"):
        axes[-2:] = reversed(axes[-2:])
    else:
        axes.reverse()
    mapping = [axes.index(d) for d in range(source.ndim)]
    state.record(call, call.out, [label.moved(mapping) for label in state.labels(source)])


def reshaped(state: Provenance, call: Call) -> None:
    """Everything that keeps the order of the elements: `view`, `flatten`, `squeeze`, ..."""
    source, out = call.arg(0, "input"), call.out
    if call.name == "view" and isinstance(call.arg(1, "dtype"), torch.dtype):
        state.record_fixed(call, f"{call.described} reads the bits as another type")
        return
    known = state.origin(source)
    ids = [label.spread(source.shape).reshape(out.shape) for label in known.labels]
    labels = relabelled(state, call, ids)
    sizes = _asked_sizes(call)
    for label in labels:
        _note_split(state, call, label, sizes)
    elastic: set[int] = set()
    if known.elastic and not labels and known.elastic >= set(range(source.ndim)):
        elastic = set(range(out.ndim))
    state.record(call, out, labels, elastic=elastic)


def _asked_sizes(call: Call) -> list[Any]:
    """Return the sizes as the code gave them, one per dimension of the result, None if unknown."""
    n_dims = call.out.ndim
    if call.name in ("view", "reshape"):
        given = call.args[1:] or (call.kwargs.get("shape", call.kwargs.get("size")),)
        sizes = given[0] if len(given) == 1 and isinstance(given[0], Sequence) else given
        return list(sizes) if len(sizes) == n_dims else [None] * n_dims
    if call.name == "unflatten":
        dim, sizes = call.arg(1, "dim"), call.arg(2, "sizes")
        if not isinstance(dim, int):
            return [None] * n_dims
        before = dim % (n_dims - len(sizes) + 1)
        return [None] * before + list(sizes) + [None] * (n_dims - before - len(sizes))
    return [None] * n_dims


def _note_split(state: Provenance, call: Call, label: Label, sizes: list[Any]) -> None:
    asked = [sizes[d] for d in label.dims]
    tags = tuple(tag_of(size) for size in asked)
    because = f"{call.described} needs the same number in every part"
    if len(label.dims) == 1:
        bind_measured(state, call, label, asked[0])
        state.follow(tags[0], label.atoms, because)
        return
    free = [axis for axis, size in enumerate(asked) if size == -1]
    preferred = free[0] if free else None
    parts = tuple(s if isinstance(s, MeasuredInt) and s.n_parts > 1 else None for s in asked)
    state.events.append(BoxEvent(call.site, label.atoms, preferred, tags, parts, because))


def bind_measured(state: Provenance, call: Call, label: Label, size: Any) -> None:
    """Let the channels of a dimension go with those that its size was read from, if need be.

    `x.reshape(shape_of_the_input)` works as long as both have as many channels. Often that comes by
    itself; where it does not, binding them one to one is the way to prune both.
    """
    if not isinstance(size, MeasuredInt) or size != len(label.atoms):
        return
    if is_same_set(size.atoms, label.atoms):
        return
    both = torch.cat([size.atoms, label.atoms])
    if state.option(call.site, both, 2, first=True):
        state.follow_part(size, label.atoms, f"{call.described} takes its size from them")


def expanded(state: Provenance, call: Call) -> None:
    """`expand`, `broadcast_to`, `repeat` of a dimension of size 1: any size would do."""
    source, out = call.arg(0, "input"), call.out
    shift = out.ndim - source.ndim
    known = state.origin(source)
    grown = {d for d in range(out.ndim) if d < shift or source.shape[d - shift] == 1 < out.shape[d]}
    elastic = grown | {d + shift for d in known.elastic}
    labels = [label.moved(range(shift, out.ndim)) for label in known.labels]
    if call.name == "expand_as":
        like = call.arg(1, "other")
        labels += [label for label in state.labels(like) if set(label.dims) <= grown]
    if call.name in ("repeat", "tile") and labels:
        ids = [
            label.spread(out.shape[:shift] + source.shape).repeat(_n_repeats(out, source, shift))
            for label in labels
        ]
        labels = relabelled(state, call, ids)
    state.record(call, out, labels, elastic=elastic)


def _n_repeats(out: Tensor, source: Tensor, shift: int) -> list[int]:
    return [1] * shift + [out.shape[d + shift] // source.shape[d] for d in range(source.ndim)]


def padded(state: Provenance, call: Call) -> None:
    """`pad`: what is added to a labelled dimension is fixed; to each head, it goes with that."""
    source, out = call.arg(0, "input"), call.out
    pads = list(call.arg(1, "pad"))
    mode = call.arg(2, "mode", "constant")
    changed = {source.ndim - 1 - i // 2 for i, amount in enumerate(pads) if amount}
    labels = []
    for label in state.labels(source):
        inside = changed & set(label.dims)
        if not inside:
            labels.append(label)
        elif mode == "constant" and len(inside) == 1 < len(label.dims) and min(pads) >= 0:
            labels.append(_edged(state, call, label, inside.pop()))
        elif mode == "constant" and min(pads) >= 0:
            ids = functional.pad(label.spread(source.shape), [int(p) for p in pads], value=0)
            narrow = [slice(None) if d in label.dims else slice(0, 1) for d in range(out.ndim)]
            for d in changed - set(label.dims):  # the border of another dimension is as its inside
                narrow[d] = slice(out.shape[d] // 2, out.shape[d] // 2 + 1)
            labels.append(label_of(ids[tuple(narrow)].expand(out.shape)))
        else:
            state.atoms.pin(label.atoms, f"{call.described} pads or crops the channels")
    state.record(call, out, labels)


def _edged(state: Provenance, call: Call, label: Label, dim: int) -> Label:
    """Return a label of several dimensions, padded along one: a border for each of the others.

    The border of a head is there as long as anything that meets it as a whole.
    """
    axis = label.dims.index(dim)
    place = 2 * (call.out.ndim - 1 - dim)
    sides = [int(amount) for amount in call.arg(1, "pad")[place : place + 2]]
    first = label.atoms.narrow(axis, 0, 1)
    border = inner_axis(state, call, first.numel(), f"border of {dim}").reshape(first.shape)
    before, after = (border.repeat_interleave(side, axis) for side in sides)
    return Label(label.dims, torch.cat([before, label.atoms, after], axis))


def rolled(state: Provenance, call: Call) -> None:
    """`roll` by a constant: allowed where the elements rolled are not told apart."""
    source: Tensor = call.arg(0, "input")
    dims = call.arg(2, "dims")
    given = dims if isinstance(dims, Sequence) else () if dims is None else (dims,)
    turned = {d % source.ndim for d in given} or set(range(source.ndim))
    why = f"{call.described} moves channels by a constant number"
    state.record(call, call.out, state.hold_all(state.labels(source), turned, why))


def pixel_shuffled(state: Provenance, call: Call) -> None:
    """`pixel_shuffle`: r*r channels become one, so they go together."""
    source, factor = call.arg(0, "input"), int(call.arg(1, "upscale_factor"))
    why = f"{call.described} makes one channel of {factor**2}"
    labels = []
    for label in state.labels(source):
        ids = torch.pixel_shuffle(label.spread(source.shape).contiguous(), factor)
        labels.append(label_of(ids))
    n_dims = source.ndim
    held = state.hold_all(labels, (n_dims - 2, n_dims - 1), why)
    state.record(call, call.out, held)


def channel_shuffled(state: Provenance, call: Call) -> None:
    """`channel_shuffle`: the same number is taken of each group."""
    source, groups = call.arg(0, "input"), int(call.arg(1, "groups"))
    labels = []
    for label in state.labels(source):
        if 1 in label.dims:
            axis = label.dims.index(1)
            split = in_parts(label.atoms, axis, (groups, -1))
            why = f"{call.described} takes as many of each group"
            state.atoms.unite(split, split.narrow(axis, 0, 1), why)
            mixed = split.transpose(axis, axis + 1).flatten(axis, axis + 1)
            labels.append(Label(label.dims, mixed))
        else:
            labels.append(label)
    state.record(call, call.out, labels)


def unfolded(state: Provenance, call: Call) -> None:
    """`nn.functional.unfold`: each channel gives one column per position of the kernel."""
    source, out = call.arg(0, "input"), call.out
    if (source.ndim, out.ndim) == (4, 3):
        _columns(state, call, out.shape[1] // source.shape[1])
    else:
        _windows(state, call)


def _columns(state: Provenance, call: Call, n_positions: int) -> None:
    why = f"{call.described} moves windows"
    held = state.hold_all(_of(state, call), (0, 2, 3), why)
    labels = [Label((1,), label.atoms.repeat_interleave(n_positions)) for label in held]
    state.record(call, call.out, labels)


def _windows(state: Provenance, call: Call) -> None:
    """`Tensor.unfold`: windows along one dimension, with a new last one."""
    source: Tensor = call.args[0]
    dim = int(call.arg(1, "dimension")) % source.ndim
    held = state.hold_all(state.labels(source), (dim,), f"{call.described} moves windows")
    state.record(call, call.out, held)


def in_parts(atoms: Tensor, axis: int, sides: tuple[int, int]) -> Tensor:
    """Return atoms with one axis split in two."""
    return atoms.reshape(*atoms.shape[:axis], *sides, *atoms.shape[axis + 1 :])


def folded(state: Provenance, call: Call) -> None:
    """`nn.functional.fold`: the columns of one channel go together."""
    source, out = call.arg(0, "input"), call.out
    why = f"{call.described} sums windows"
    labels = []
    for label in state.hold_all(state.labels(source), (0, 2), why):
        columns = label.atoms.reshape(out.shape[1], -1)
        state.atoms.unite(columns, columns[:, :1], why)
        labels.append(Label((1,), columns[:, 0]))
    state.record(call, out, labels)
