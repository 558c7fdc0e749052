"""Sizes that code has found equal stay equal, where that is needed."""

import torch
from torch import Tensor

from niwaki.compress.pruning.atoms import AxisKind
from niwaki.compress.pruning.comparisons import ComparedInt, Comparison
from niwaki.compress.pruning.provenance import Provenance
from niwaki.compress.pruning.sizes import MeasuredInt, Tag, tag_of


def keep_equal(state: Provenance) -> None:
    """Offer to bind sizes that were compared and equal, as in `assert channels == self.width`.

    Often they stay equal by themselves, or nothing comes of it, so this is tried where a proof
    fails.
    """
    counted = {axis.owner for axis in state.atoms.axes if axis.kind is AxisKind.ATTRIBUTE}
    bound: set[tuple[object, object]] = set()
    for comparison in state.comparisons.found:
        sizes = comparison.sizes
        if sizes is None or not any(_is_of_channels(size, counted) for size in sizes):
            continue
        known = (_key(sizes[0]), _key(sizes[1]))
        if known[0] != known[1] and known not in bound:
            bound.add(known)
            _offer(state, comparison, *sizes)


def _is_of_channels(size: ComparedInt, counted: set[str]) -> bool:
    tag = tag_of(size)
    return isinstance(size, MeasuredInt) or (tag is not None and tag.name in counted)


def _key(size: ComparedInt) -> object:
    if isinstance(size, MeasuredInt):
        return size.atoms.sort().values.numpy().tobytes(), size.n_parts
    return tag_of(size)


def _offer(
    state: Provenance, comparison: Comparison, left: ComparedInt, right: ComparedInt
) -> None:
    because = str(comparison)
    measured = [size for size in (left, right) if isinstance(size, MeasuredInt)]
    tags = [tag for size in (left, right) if (tag := tag_of(size)) is not None]
    if len(measured) == 2 and (measured[0].n_parts, measured[1].n_parts) == (1, 1):
        first, second = (size.atoms for size in measured)
        if _is_taken(state, comparison, torch.cat([first, second])):
            state.atoms.unite(first, second, because)
    elif len(measured) == len(tags) == 1 and measured[0].n_parts == 1:
        if _is_taken(state, comparison, measured[0].atoms):
            state.follow(tags[0], measured[0].atoms, because)
    elif len(tags) == 2:
        _offer_attributes(state, comparison, *tags)


def _offer_attributes(state: Provenance, comparison: Comparison, first: Tag, second: Tag) -> None:
    because = str(comparison)
    left, right = state.counted(first, because), state.counted(second, because)
    if _is_taken(state, comparison, torch.cat([left, right])):
        state.atoms.unite(left, right, because)


def _is_taken(state: Provenance, comparison: Comparison, atoms: Tensor) -> bool:
    return bool(state.option(comparison.site, atoms, 2, first=True))
