"""Which numbers of channels would turn a comparison in the code of a model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from niwaki.compress.pruning.atoms import AxisKind, Ids
from niwaki.compress.pruning.comparisons import Comparison
from niwaki.compress.pruning.groups import ChannelGroup, RuledOut
from niwaki.compress.pruning.provenance import Provenance
from niwaki.compress.pruning.sizes import MeasuredInt, TaggedInt

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Side:
    """One side of a comparison, as it changes with the numbers of units that stay.

    Attributes:
        fixed: What does not change.
        per_unit: What each unit of a group counts, by the number of the group.
        n_parts: By what the sum is divided.
    """

    fixed: float
    per_unit: Mapping[int, float]
    n_parts: int = 1

    def at(self, number: int, kept: Values, n_units: Values) -> Values:
        """Return its values for some kept units of one group, all others whole."""
        others = sum(width * n_units[g] for g, width in self.per_unit.items() if g != number)
        whole: Values = self.fixed + others + self.per_unit.get(number, 0.0) * kept
        return np.floor(whole / self.n_parts)

    def reached(self, n_units: Values) -> Values:
        """Return the values that it takes when any one of its groups is pruned."""
        found = [self.at(g, np.arange(1.0, n_units[g] + 1), n_units) for g in self.per_unit]
        return np.sort(np.concatenate(found))


def with_ruled_out(
    state: Provenance, root: Ids, groups: Sequence[ChannelGroup], roots: Mapping[str, Ids]
) -> list[ChannelGroup]:
    """Return groups that know the numbers of units with which the code would go another way.

    Of two groups that are compared, the one of more channels keeps more than the other ever has. A
    comparison that any smaller number would turn rules nothing out: proofs have met it turned.

    Args:
        state: Of the pass.
        root: (n_atoms,) class of each atom.
        groups: All of them.
        roots: (n_units,) class of each unit, by name of the group.
    """
    n_units = np.array([group.n_units for group in groups], np.float64)
    sides = _Sides(state, root, groups, roots)
    found: list[dict[RuledOut, None]] = [{} for _ in groups]
    for comparison in state.comparisons.found:
        left, right = sides.of(comparison.left), sides.of(comparison.right)
        for number in left.per_unit.keys() | right.per_unit.keys():
            turned = _turned(comparison, left, right, number=number, n_units=n_units)
            if 0 < len(turned) < groups[number].n_units - 1:
                found[number][RuledOut(turned, str(comparison))] = None
    return [
        replace(group, ruled_out=tuple(each)) for group, each in zip(groups, found, strict=True)
    ]


def _turned(
    comparison: Comparison, left: _Side, right: _Side, *, number: int, n_units: Values
) -> tuple[int, ...]:
    """Return the numbers of units of a group with which a comparison turns out otherwise."""
    kept = np.arange(1.0, n_units[number])
    mine, others = (left, right) if number in left.per_unit else (right, left)
    a, b = mine.at(number, kept, n_units), others.at(number, kept, n_units)
    a, b = a[:, None], b[:, None]
    if others.per_unit and not mine.per_unit.keys() & others.per_unit.keys():
        reached = others.reached(n_units)
        if mine.at(number, n_units[number : number + 1], n_units)[0] > reached[-1]:
            b = reached[None, :]
    outcome = comparison.relation(a, b) if mine is left else comparison.relation(b, a)
    return tuple((1 + np.flatnonzero((outcome != comparison.outcome).any(axis=1))).tolist())


class _Sides:
    """Makes the sides of comparisons."""

    def __init__(
        self,
        state: Provenance,
        root: Ids,
        groups: Sequence[ChannelGroup],
        roots: Mapping[str, Ids],
    ) -> None:
        self._n_units = [group.n_units for group in groups]
        group_of = np.full(len(root), -1, np.int64)
        for number, group in enumerate(groups):
            group_of[roots[group.name]] = number
        self._group_of = group_of[root]
        self._attributes = {
            axis.owner: np.arange(axis.start, axis.start + axis.size)
            for axis in state.atoms.axes
            if axis.kind is AxisKind.ATTRIBUTE
        }

    def of(self, value: float) -> _Side:
        """Return what a number, or a size, is made of."""
        if isinstance(value, MeasuredInt):
            return self._counting(value.atoms.reshape(-1).numpy(), value.n_parts)
        if isinstance(value, TaggedInt) and value.tag.name in self._attributes:
            return self._counting(self._attributes[value.tag.name], value.tag.n_parts)
        return _Side(float(value), {})

    def _counting(self, atoms: Ids, n_parts: int) -> _Side:
        groups = self._group_of[atoms]
        numbers, counts = np.unique(groups[groups >= 0], return_counts=True)
        per_unit = {
            int(g): float(n) / self._n_units[g] for g, n in zip(numbers, counts, strict=True)
        }
        return _Side(float((groups < 0).sum()), per_unit, n_parts)
