"""From bonds, pins and splits to classes of atoms that can only go together."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from niwaki.compress.pruning.atoms import Atoms, AxisKind, Bond, Ids
from niwaki.compress.pruning.call_sites import CallSite
from niwaki.compress.pruning.provenance import BoxEvent, Choice, Provenance

MAX_ROUNDS = 10_000


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


def _kept_axis(
    choices: Mapping[CallSite, int], event: BoxEvent, classes: Ids, axes: list[int]
) -> int:
    def rank(axis: int) -> tuple[bool, int, int]:
        return (axis == event.preferred, classes.shape[axis], axis)

    ranked = sorted(axes, key=rank, reverse=True)
    return ranked[choices.get(event.site, 0) % len(ranked)]


def _varies(classes: Ids, axis: int) -> bool:
    return bool((classes != np.take(classes, [0], axis)).any())


def members_of(atoms: Atoms, solution: Solution) -> dict[int, list[tuple[int, Ids]]]:
    """Return for each class that may go its indices along each axis.

    Returns:
        (number of the axis, indices) pairs by root; only axes of parameters, attributes and
        statistics.
    """
    found: dict[int, list[tuple[int, Ids]]] = defaultdict(list)
    for number, axis in enumerate(atoms.axes):
        if axis.kind is AxisKind.INNER:
            continue
        span = slice(axis.start, axis.start + axis.size)
        roots = np.where(solution.pinned[span], 0, solution.root[span])
        order = np.argsort(roots, kind="stable")
        values, starts = np.unique(roots[order], return_index=True)
        for value, part in zip(values, np.split(order, starts[1:]), strict=True):
            if value:
                found[int(value)].append((number, np.sort(part)))
    return found
