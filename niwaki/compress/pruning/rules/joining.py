"""Concatenation and its inverses: `cat`, `stack`, `chunk`, `split`, `unbind`, `glu`."""

from collections.abc import Sequence

import torch
from torch import Tensor

from niwaki.compress.pruning.contraction import Operand, contract
from niwaki.compress.pruning.labels import FIXED, Label, label_of
from niwaki.compress.pruning.provenance import (
    Call,
    Origin,
    Provenance,
    relabelled,
    tensors_in,
)
from niwaki.compress.pruning.rules.shapes import bind_measured
from niwaki.compress.pruning.sizes import MeasuredInt, RemainingInt, tag_of


def concatenated(state: Provenance, call: Call) -> None:
    """`cat`: channels side by side; along the other dimensions the tensors must agree."""
    tensors = [t for t in tensors_in(call.args[:1] or call.kwargs) if t.numel()]
    if not tensors:
        state.record_fixed(call, f"{call.described} joins nothing")
        return
    dim = int(call.arg(1, "dim", call.kwargs.get("axis", 0))) % tensors[0].ndim
    labels = _joined_sides(state, call, tensors, dim)
    ids = [_ids_along(state, tensor, dim) for tensor in tensors]
    if any(each is not None for each in ids):
        parts = [
            torch.full((1,) * t.ndim, FIXED).expand(t.shape) if each is None else each
            for t, each in zip(tensors, ids, strict=True)
        ]
        labels.append(label_of(_concatenated_ids(parts, dim)))
    state.record(call, call.out, labels)


def _concatenated_ids(parts: list[Tensor], dim: int) -> Tensor:
    """Concatenate, without writing out what is repeated in every part."""
    shape = list(parts[0].shape)
    for d in range(len(shape)):
        if d != dim and all(part.stride(d) == 0 or part.shape[d] == 1 for part in parts):
            parts = [part.narrow(d, 0, 1) for part in parts]
    joined = torch.cat(parts, dim)
    shape[dim] = joined.shape[dim]
    return joined.expand(shape)


def _ids_along(state: Provenance, tensor: Tensor, dim: int) -> Tensor | None:
    for label in state.labels(tensor):
        if dim in label.dims:
            return label.spread(tensor.shape)
    return None


def _joined_sides(state: Provenance, call: Call, tensors: list[Tensor], dim: int) -> list[Label]:
    operands = []
    for tensor in tensors:
        known = state.origin(tensor)
        through = {d for label in known.labels if dim in label.dims for d in label.dims}
        side = tuple(label for label in known.labels if dim not in label.dims)
        elastic = known.elastic | through | {dim}
        origin = Origin(side, frozenset(elastic), known.node, known.described)
        operands.append(Operand(tuple(range(tensor.ndim)), tuple(tensor.shape), origin))
    return list(contract(state, call, operands, range(tensors[0].ndim)).kept)


def stacked(state: Provenance, call: Call) -> None:
    """`stack`: the tensors must agree in everything."""
    tensors = tensors_in(call.args[:1] or call.kwargs)
    dim = int(call.arg(1, "dim", 0)) % (tensors[0].ndim + 1)
    operands = [Operand(tuple(range(t.ndim)), tuple(t.shape), state.origin(t)) for t in tensors]
    kept = contract(state, call, operands, range(tensors[0].ndim)).kept
    mapping = [d + (d >= dim) for d in range(tensors[0].ndim)]
    state.record(call, call.out, [label.moved(mapping) for label in kept])


def separated(state: Provenance, call: Call) -> None:
    """`chunk`, `split`, `unbind` and their kin."""
    source: Tensor = call.arg(0, "input", call.kwargs.get("self"))
    position = 1 if call.name == "unbind" else 2
    dim = int(call.arg(position, "dim", 0)) % source.ndim
    parts = tensors_in(call.out)
    per_part: list[list[Label]] = [[] for _ in parts]
    for label in state.labels(source):
        if dim not in label.dims:
            shift = [d - (call.name == "unbind" and d > dim) for d in range(source.ndim)]
            for labels in per_part:
                labels.append(label.moved(shift))
            continue
        pieces = _pieces(label, source, dim, parts)
        _balance(state, call, pieces, dim)
        _follow_whole(state, call, label, len(parts))
        for labels, piece in zip(per_part, pieces, strict=True):
            ids = piece.squeeze(dim) if call.name == "unbind" else piece
            labels.extend(relabelled(state, call, [ids]))
    for part, labels in zip(parts, per_part, strict=True):
        state.record(call, part, labels)


def _pieces(label: Label, source: Tensor, dim: int, parts: list[Tensor]) -> list[Tensor]:
    sizes = [part.shape[dim] if part.ndim == source.ndim else 1 for part in parts]
    return list(torch.split(label.spread(source.shape), sizes, dim))


def _balance(state: Provenance, call: Call, pieces: list[Tensor], dim: int) -> None:
    """Take as much from each part as from the first, unless their sizes are numbers of the model.

    A size that is an attribute follows the part by itself, so that parts may differ. A part as
    large as another tensor loses the channels that this one loses.
    """
    because = f"{call.described} makes parts of one size"
    known: dict[object, Tensor] = {}
    for piece, size in zip(pieces, _sizes(call, len(pieces)), strict=True):
        tag = tag_of(size)
        key = (piece.shape, tag)
        if key in known:
            state.atoms.unite(known[key], piece, because)
        known.setdefault(key, piece)
        if tag is None and not isinstance(size, MeasuredInt):
            continue
        label = label_of(piece)
        held = state.hold(label, set(label.dims) - {dim}, because)
        if held is None or held.dims != (dim,):
            continue
        state.follow(tag, held.atoms, because)
        bind_measured(state, call, held, size)


def _follow_whole(state: Provenance, call: Call, label: Label, n_parts: int) -> None:
    """Let an attribute count all channels where one part is asked for as what is left of it."""
    sizes = _sizes(call, n_parts)
    rest = [size.whole for size in sizes if isinstance(size, RemainingInt)]
    if len(label.dims) > 1 or len(rest) != 1 or rest[0].size // rest[0].n_parts != len(label.atoms):
        return
    if all(tag_of(size) is not None for size in sizes if not isinstance(size, RemainingInt)):
        state.follow(rest[0], label.atoms, f"{call.described} takes what is left of so many")


def _sizes(call: Call, n_parts: int) -> list[object]:
    """Return the size of each part as it was asked for; None where it was not."""
    asked = call.arg(1, "split_size_or_sections", call.kwargs.get("split_size"))
    sizes = list(asked) if isinstance(asked, Sequence) else [asked] * n_parts
    if not call.name.startswith("split") or len(sizes) != n_parts:
        return [None] * n_parts
    return sizes


def gated(state: Provenance, call: Call) -> None:
    """`glu`: the second half gates the first."""
    source, dim = call.arg(0, "input"), int(call.arg(1, "dim", -1))
    labels = []
    for label in state.labels(source):
        if dim % source.ndim in label.dims:
            first, second = label.spread(source.shape).chunk(2, dim)
            state.atoms.unite(first, second, f"{call.described} gates one half by the other")
            labels.append(label_of(first))
        else:
            labels.append(label)
    state.record(call, call.out, labels)
