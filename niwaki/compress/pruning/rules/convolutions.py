"""Convolutions: plain, grouped, depthwise and transposed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from niwaki.compress.pruning.labels import FIXED, Label
from niwaki.compress.pruning.provenance import Call, CostTerm, Provenance, Role
from niwaki.compress.pruning.rules.products import inner_axis
from niwaki.compress.pruning.sizes import tag_of


@dataclass(frozen=True, eq=False)
class _Ends:
    """Atoms of one convolution.

    Attributes:
        x: (n_in,) of the input.
        inside: Of the weight's input channels.
        outside: Of the weight's output channels.
        bias: (n_out,) or None.
    """

    x: Tensor
    inside: Tensor
    outside: Tensor
    bias: Tensor | None


def convolution(state: Provenance, call: Call) -> None:
    """`conv1d`, `conv2d`, `conv3d` and their transposed forms."""
    x, weight, bias = call.arg(0, "input"), call.arg(1, "weight"), call.arg(2, "bias")
    transposed = "transpose" in call.name
    n_groups = call.arg(6, "groups", 1)
    channel = x.ndim - (weight.ndim - 1)
    why = f"{call.described} slides over positions"
    passing = _each_by_itself(call, weight, x.ndim - channel - 1)
    aside = [label for label in state.labels(x) if set(label.dims) <= passing]
    other = [d for d in range(x.ndim) if d != channel]
    labels = state.hold_all([each for each in state.labels(x) if each not in aside], other, why)
    _keep_kernel(state, call, weight)
    ends = _Ends(
        x=labels[0].atoms if labels else torch.full((x.shape[channel],), FIXED),
        inside=state.along(weight, 0 if transposed else 1, why),
        outside=state.along(weight, 1 if transposed else 0, why),
        bias=None if bias is None else state.along(bias, 0, why),
    )
    if int(n_groups) == 1:
        out = _plain(state, call, ends)
    elif transposed:
        out = _grouped_transposed(state, call, ends, n_groups)
    else:
        out = _grouped(state, call, ends, n_groups)
    if ends.bias is not None:
        state.atoms.unite(ends.bias, out, f"{call.described} adds a bias")
    state.record(call, call.out, [*aside, *([Label((channel,), out)] if len(out) > 1 else [])])
    _note_cost(state, call, ends, aside)
    described = state.origin(weight).described
    state.note_role(described, 1 if transposed else 0, Role.WRITES)
    state.note_role(described, 0 if transposed else 1, Role.READS)


def _each_by_itself(call: Call, weight: Tensor, n_spatial: int) -> set[int]:
    """Return the dimensions along which every position is computed from that position alone."""
    stride, padding = call.arg(3, "stride", 1), call.arg(4, "padding", 0)
    moves = (
        weight.shape[2 + axis] == 1 and _along(stride, axis) == 1 and _along(padding, axis) == 0
        for axis in range(n_spatial)
    )
    first = call.out.ndim - n_spatial
    sizes = (call.arg(0, "input").shape, call.out.shape)
    found = {first + axis for axis, passes in enumerate(moves) if passes}
    return {dim for dim in found if sizes[0][dim] == sizes[1][dim]}


def _along(setting: Any, axis: int) -> int:
    """Return a setting along one dimension: of a number, of a list, or of the name of a padding."""
    if isinstance(setting, str):
        return 0  # 'valid', or 'same' as before, which adds nothing to a kernel of one position
    given = [setting] if isinstance(setting, int) else list(setting)
    return int(given[axis % len(given)])


def _plain(state: Provenance, call: Call, ends: _Ends) -> Tensor:
    known = state.origin(call.arg(0, "input"))
    partner = known.described if not known.labels else "them"
    state.atoms.unite(ends.x, ends.inside, f"{call.described} reads {partner}")
    return ends.outside


def _grouped(state: Provenance, call: Call, ends: _Ends, n_groups: int) -> Tensor:
    x = ends.x.reshape(int(n_groups), -1)  # (groups, inputs of one)
    out = ends.outside.reshape(int(n_groups), -1)
    if _by_position(state, call, x, out):
        why = f"{call.described} has groups of one size"
        state.atoms.unite(x, ends.inside[None, :], why)
        state.atoms.unite(out, out[:1], why)
        return ends.outside
    why = f"{call.described} loses whole groups"
    state.atoms.pin(ends.inside, why)
    groups = _groups(state, call, n_groups)
    state.atoms.unite(x, groups[:, None], why)
    state.atoms.unite(out, groups[:, None], why)
    return ends.outside


def _grouped_transposed(state: Provenance, call: Call, ends: _Ends, n_groups: int) -> Tensor:
    x = ends.x.reshape(int(n_groups), -1)
    inside = ends.inside.reshape(int(n_groups), -1)
    state.atoms.unite(x, inside, f"{call.described} reads them")
    out = ends.outside.repeat(int(n_groups)).reshape(int(n_groups), -1)
    if _by_position(state, call, x, out):
        why = f"{call.described} has groups of one size"
        state.atoms.unite(inside, inside[:1], why)
        return out.reshape(-1)
    why = f"{call.described} loses whole groups"
    state.atoms.pin(ends.outside, why)
    groups = _groups(state, call, n_groups)
    state.atoms.unite(x, groups[:, None], why)
    return groups.repeat_interleave(out.shape[1])


def _by_position(state: Provenance, call: Call, x: Tensor, out: Tensor) -> bool:
    """Whether the same channels of every group go, and not whole groups.

    Depthwise convolutions can only lose whole groups. Of two ways, the one with smaller steps is
    tried first.
    """
    n_groups, smallest = x.shape[0], min(x.shape[1], out.shape[1])
    if smallest == 1:
        return False
    first = smallest > n_groups
    option = state.option(call.site, torch.cat([x.reshape(-1), out.reshape(-1)]), 2)
    return first if option == 0 else not first


def _groups(state: Provenance, call: Call, n_groups: int) -> Tensor:
    groups = inner_axis(state, call, int(n_groups), "groups")
    state.follow(tag_of(n_groups), groups, f"{call.described} has so many groups")
    return groups


def _keep_kernel(state: Provenance, call: Call, weight: Tensor) -> None:
    why = f"{call.described} has a kernel of fixed size"
    for label in state.labels(weight):
        if min(label.dims) > 1:
            state.kernels.add(state.origin(weight).described)
            state.atoms.pin(label.atoms, why)


def _note_cost(state: Provenance, call: Call, ends: _Ends, aside: Sequence[Label]) -> None:
    x, weight = call.arg(0, "input"), call.arg(1, "weight")
    positions = x if "transpose" in call.name else call.out
    n_positions = positions.numel() / positions.shape[x.ndim - (weight.ndim - 1)]
    kernel = weight[0, 0].numel() if weight.ndim > 2 else 1
    passing = tuple(label.atoms.reshape(-1) for label in aside)
    coefficient = n_positions * kernel / math.prod(len(atoms) for atoms in passing)
    factors = (ends.inside, ends.outside, *passing)
    state.costs.append(CostTerm(call.site.module, float(coefficient), factors))
