"""From bonds, pins and splits to classes of atoms that can only go together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from niwaki.compress.pruning.atoms import Atoms, AxisKind, Bond, Ids
from niwaki.compress.pruning.call_sites import CallSite
from niwaki.compress.pruning.provenance import BoxEvent, Choice, Provenance, is_same_set


@dataclass(frozen=True, eq=False)
class Solution:
    """Classes of atoms.

    Attributes:
        root: (n_atoms,) the smallest atom of the class of each atom.
        pinned: (n_atoms,) whether the class of each atom must stay.
        choices: Splits that were resolved one way, and how many ways there were.
    """

    root: Ids
    pinned: NDArray[np.bool_]
    choices: tuple[Choice, ...]


def connected(n_atoms: int, bonds: Sequence[Bond]) -> Ids:
    """Return the smallest atom of the class of each atom."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    left = np.concatenate([bond.left for bond in bonds] or [np.zeros(0, np.int64)])
    right = np.concatenate([bond.right for bond in bonds] or [np.zeros(0, np.int64)])
    graph = coo_array((np.ones(len(left), np.int8), (left, right)), shape=(n_atoms, n_atoms))
    _, component = connected_components(graph, directed=False)
    first = np.full(component.max() + 1, n_atoms, np.int64)
    np.minimum.at(first, component, np.arange(n_atoms))
    roots: Ids = first[component]
    return roots


def solve(state: Provenance) -> Solution:
    """Resolve every split, then return the classes.

    A split dimension leaves a label that varies along several dimensions; what is removed must be
    the same in all but one of them. Which one is decided by what other operations ask for, then by
    the dimension that follows by itself, then by the longest.
    """
    atoms = state.atoms
    root = connected(atoms.n_atoms, atoms.bonds)
    resolved: list[Choice] = []
    n_bonds = len(atoms.bonds)
    for event in state.events:
        _resolve(state, event, root, resolved)
        if len(atoms.bonds) > n_bonds:
            fresh = [_rooted(bond, root) for bond in atoms.bonds[n_bonds:]]
            merged = connected(atoms.n_atoms, fresh) if fresh else root
            grown = len(root)
            if atoms.n_atoms > grown:
                root = np.concatenate([root, np.arange(grown, atoms.n_atoms)])
            root = merged[root]
            n_bonds = len(atoms.bonds)
    pinned = np.zeros(atoms.n_atoms, bool)
    for pin in atoms.pins:
        pinned[root[pin.atoms]] = True
    pinned[0] = True
    return Solution(root, pinned[root], tuple(resolved))


def _rooted(bond: Bond, root: Ids) -> Bond:
    size = max(int(bond.left.max()), int(bond.right.max())) + 1
    if size > len(root):
        root = np.concatenate([root, np.arange(len(root), size)])
    return Bond(root[bond.left], root[bond.right], bond.because)


def _resolve(state: Provenance, event: BoxEvent, root: Ids, resolved: list[Choice]) -> None:
    classes = root[event.atoms.numpy()]
    axes = [a for a in range(classes.ndim) if _varies(classes, a)]
    if not axes:
        return
    kept = axes[0]
    if len(axes) > 1:
        kept = _kept_axis(state.choices, event, classes, axes)
        resolved.append(Choice(event.site, event.atoms, len(axes)))
        for axis in axes:
            if axis != kept:
                state.atoms.unite(event.atoms, event.atoms.narrow(axis, 0, 1), event.because)
    along = event.atoms.movedim(kept, 0).reshape(event.atoms.shape[kept], -1)[:, 0]
    state.follow(event.tags[kept], along, event.because)
    part = event.measured[kept]
    if part is not None and not is_same_set(part.atoms, event.atoms):
        state.follow_part(part, along, event.because)


def _kept_axis(
    choices: Mapping[CallSite, int], event: BoxEvent, classes: Ids, axes: list[int]
) -> int:
    def rank(axis: int) -> tuple[bool, int, int]:
        return (axis == event.preferred, classes.shape[axis], axis)

    ranked = sorted(axes, key=rank, reverse=True)
    return ranked[choices.get(event.site, 0) % len(ranked)]


def _varies(classes: Ids, axis: int) -> bool:
    return bool((classes != np.take(classes, [0], axis)).any())


@dataclass(frozen=True, eq=False)
class Family:
    """Classes that have the same number of indices along the same axes.

    Attributes:
        signature: (number of the axis, indices of one class) pairs, ascending.
        roots: (n_classes,).
        indices: For each axis of the signature, (n_classes, indices of one class).
    """

    signature: tuple[tuple[int, int], ...]
    roots: Ids
    indices: tuple[Ids, ...]


def families(atoms: Atoms, solution: Solution) -> list[Family]:
    """Return the classes that may go, by what they consist of, in the order of their atoms.

    Axes without a name are left out.
    """
    axes = [(i, a) for i, a in enumerate(atoms.axes) if a.kind is not AxisKind.INNER]
    if not axes:
        return []
    atom = np.concatenate([np.arange(a.start, a.start + a.size) for _, a in axes])
    axis = np.repeat([i for i, _ in axes], [a.size for _, a in axes])
    start = np.repeat([a.start for _, a in axes], [a.size for _, a in axes])
    loose = ~solution.pinned[atom]
    atom, axis, start = atom[loose], axis[loose], start[loose]
    root = solution.root[atom]
    order = np.lexsort((atom, axis, root))
    index, axis, root = (atom - start)[order], axis[order], root[order]
    return _by_signature(_Runs.of(root, axis), index)


@dataclass(frozen=True, eq=False)
class _Runs:
    """Stretches of equal root and axis in sorted arrays; all of shape (n_runs,)."""

    root: Ids
    axis: Ids
    start: Ids
    length: Ids

    @classmethod
    def of(cls, root: Ids, axis: Ids) -> "_Runs":
        changes = (np.diff(root) != 0) | (np.diff(axis) != 0)
        start = np.concatenate([[0], np.flatnonzero(changes) + 1])[: len(root)]
        return cls(root[start], axis[start], start, np.diff(np.append(start, len(root))))


def _by_signature(runs: _Runs, index: Ids) -> list[Family]:
    """Collect classes whose runs are alike.

    Runs of one class follow each other, so classes of as many runs form a table, in which equal
    rows are one family.
    """
    _, first, n_runs = np.unique(runs.root, return_index=True, return_counts=True)
    found: list[Family] = []
    for n in np.unique(n_runs):
        rows = first[n_runs == n][:, None] + np.arange(n)  # (n_classes, n)
        table = np.concatenate([runs.axis[rows], runs.length[rows]], axis=1)
        kinds, family = _unique_rows(table)
        for number, kind in enumerate(kinds):
            mine = rows[family == number]
            starts, lengths = runs.start[mine], kind[n:]
            parts = tuple(index[starts[:, j, None] + np.arange(lengths[j])] for j in range(int(n)))
            signature = tuple(
                (int(a), int(length)) for a, length in zip(kind[:n], lengths, strict=True)
            )
            found.append(Family(signature, runs.root[mine[:, 0]], parts))
    return sorted(found, key=lambda family: int(family.roots[0]))


def _unique_rows(table: Ids) -> tuple[Ids, Ids]:
    """Return the different rows, and which of them each row is; `np.unique` takes far longer."""
    order = np.lexsort(table.T)
    is_new = (np.diff(table[order], axis=0) != 0).any(axis=1)
    number = np.empty(len(table), np.int64)
    number[order] = np.concatenate([[0], np.cumsum(is_new)])
    return table[order[np.concatenate([[0], np.flatnonzero(is_new) + 1])]], number
