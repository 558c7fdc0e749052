"""Normalisations."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from niwaki.compress.pruning.contraction import Operand, contract, operand
from niwaki.compress.pruning.labels import FIXED, Label
from niwaki.compress.pruning.norm_calls import named_arguments
from niwaki.compress.pruning.provenance import Call, Provenance, tensors_in
from niwaki.compress.pruning.rules.products import inner_axis
from niwaki.compress.pruning.sizes import tag_of


def _named(call: Call) -> Call:
    """Return the same call, with all arguments by name."""
    named = named_arguments(call.name, call.function, call.args, call.kwargs)
    return replace(call, args=(), kwargs=named)


def per_channel(state: Provenance, call: Call) -> None:
    """`batch_norm`, `instance_norm`: each channel by itself.

    A batch norm of weights, which standardises them over their inputs, may lose some of these.
    """
    call = _named(call)
    x: Tensor = call.kwargs["input"]
    why = f"{call.described} averages over them"
    other = [d for d in range(x.ndim) if d != 1]
    standardised = _standardised(state, call, x)
    labels = tuple(
        each
        for label in state.labels(x)
        for each in ((label,) if label is standardised else state.hold_all([label], other, why))
    )
    if standardised is not None:
        _over_inputs(state, call, standardised)
    channels = [label.atoms for label in labels if label.dims == (1,)]
    mine = channels[0] if channels else torch.full((x.shape[1],), FIXED)
    for tensor in tensors_in({k: v for k, v in call.kwargs.items() if k != "input"}):
        if tensor.numel() > 1:
            theirs = state.along(tensor, 0, why)
            state.atoms.unite(mine, theirs, f"{call.described} scales them")
    counted = state.counted_by.get(call.site.module)
    if channels and counted is not None and counted.size == len(mine):
        state.follow(counted, mine, f"{call.described} has that many")
    state.record(call, call.out, labels)


def _standardised(state: Provenance, call: Call, x: Tensor) -> Label | None:
    """Return the label of what a batch norm without running statistics averages over."""
    is_plain = call.kwargs.get("running_mean") is None and call.name == "batch_norm"
    found = [label for label in state.labels(x) if len(label.dims) == 1 and label.dims[0] > 1]
    return found[0] if is_plain and len(found) == 1 and x.shape[0] == 1 else None


def _over_inputs(state: Provenance, call: Call, label: Label) -> None:
    sides = tuple(n if d == label.dims[0] else 1 for d, n in enumerate(call.out.shape))
    state.note_statistics(call, label.atoms, 1, sides)


def layer_norm(state: Provenance, call: Call) -> None:
    """`layer_norm`, `rms_norm`: over the last dimensions, which may lose channels."""
    call = _named(call)
    x, shape = call.kwargs["input"], call.kwargs["normalized_shape"]
    first = x.ndim - len(shape)
    known = state.origin(x)
    mine = [_one_side(state, call, label, first) for label in known.labels]
    operands = [
        Operand(tuple(range(x.ndim)), tuple(x.shape), replace(known, labels=tuple(mine))),
        *(
            operand(state, tensor, range(x.ndim - tensor.ndim, x.ndim))
            for tensor in tensors_in({k: v for k, v in call.kwargs.items() if k != "input"})
        ),
    ]
    labels = contract(state, call, operands, range(x.ndim)).kept
    for label in labels:
        if min(label.dims) >= first:
            _over_channels(state, call, label, shape)
    state.record(call, call.out, labels)


def _one_side(state: Provenance, call: Call, label: Label, first: int) -> Label:
    """Keep a label either inside of what is averaged over, or outside: whole heads, if it can."""
    outside = [d for d in label.dims if d < first]
    if not outside or len(outside) == len(label.dims):
        return label
    option = state.option(call.site, label.atoms, 2)
    inside = [d for d in label.dims if d >= first]
    why = f"{call.described} averages over them"
    held = state.hold(label, outside if option else inside, why)
    assert held is not None
    return held


def _over_channels(state: Provenance, call: Call, label: Label, shape: Any) -> None:
    n_dims, first = call.out.ndim, call.out.ndim - len(shape)
    if len(label.dims) > 1:
        state.atoms.pin(label.atoms, f"{call.described} averages over several of their dimensions")
        return
    (dim,) = label.dims
    state.follow(tag_of(shape[dim - first]), label.atoms, f"{call.described} has that many")
    sides = tuple(call.out.shape[d] if d == dim else 1 for d in range(first, n_dims))
    state.note_statistics(call, label.atoms, 1, sides)


def group_norm(state: Provenance, call: Call) -> None:
    """`group_norm`: whole groups go, which leaves the others as they are, or equal parts of all."""
    call = _named(call)
    x, n_groups = call.kwargs["input"], call.kwargs["num_groups"]
    why = f"{call.described} averages over them"
    labels = state.hold_all(state.labels(x), [d for d in range(x.ndim) if d != 1], why)
    mine = labels[0].atoms if labels else torch.full((x.shape[1],), FIXED)
    for tensor in (call.kwargs.get("weight"), call.kwargs.get("bias")):
        if tensor is not None:
            state.atoms.unite(mine, state.along(tensor, 0, why), f"{call.described} scales them")
    if labels:
        _bind_groups(state, call, mine.reshape(int(n_groups), -1), n_groups)
    state.record(call, call.out, labels)


def _bind_groups(state: Provenance, call: Call, channels: Tensor, n_groups: int) -> None:
    whole = channels.shape[0] > 1 and channels.shape[0] >= channels.shape[1]
    if channels.shape[0] > 1 and channels.shape[1] > 1:
        option = state.option(call.site, channels.reshape(-1), 2)
        whole = whole if option == 0 else not whole
    if whole:
        groups = inner_axis(state, call, len(channels), "groups")
        why = f"{call.described} loses whole groups"
        state.atoms.unite(channels, groups[:, None], why)
        state.follow(tag_of(n_groups), groups, why)
        return
    state.atoms.unite(channels, channels[:1], f"{call.described} has groups of one size")
    sides = (channels.numel(), *(1,) * (call.out.ndim - 2))
    state.note_statistics(call, channels.reshape(-1), int(n_groups), sides)


def across_channels(state: Provenance, call: Call) -> None:
    """`local_response_norm`: each channel is divided by its neighbours."""
    x: Tensor = call.arg(0, "input")
    why = f"{call.described} mixes neighbouring channels"
    state.record(call, call.out, state.hold_all(state.labels(x), (1,), why))
