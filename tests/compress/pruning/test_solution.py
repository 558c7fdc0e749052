"""Labels and classes, against brute force."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from niwaki.compress.pruning.atoms import Atoms, AxisKind, Bond
from niwaki.compress.pruning.labels import Label, label_of
from niwaki.compress.pruning.provenance import Provenance
from niwaki.compress.pruning.solution import connected, families, solve

N_ATOMS = 12
PAIRS = st.lists(st.tuples(st.integers(1, N_ATOMS - 1), st.integers(1, N_ATOMS - 1)), max_size=15)


def _brute_force(pairs: list[tuple[int, int]]) -> list[int]:
    root = list(range(N_ATOMS))
    for _ in range(N_ATOMS):
        for left, right in pairs:
            root[left] = root[right] = min(root[left], root[right])
    return root


@given(PAIRS)
def test_classes_are_those_of_brute_force(pairs: list[tuple[int, int]]) -> None:
    bonds = [Bond(np.array([left]), np.array([right]), "") for left, right in pairs]
    assert connected(N_ATOMS, bonds).tolist() == _brute_force(pairs)


@given(PAIRS, st.lists(st.integers(1, N_ATOMS - 1), max_size=3))
def test_families_hold_every_loose_atom_once(
    pairs: list[tuple[int, int]], pinned: list[int]
) -> None:
    state = Provenance({})
    atoms = torch.cat(
        [state.atoms.axis(AxisKind.TENSOR, name, n) for name, n in (("a", 5), ("b", 6))]
    )
    assert atoms.tolist() == list(range(1, N_ATOMS))
    for left, right in pairs:
        state.atoms.unite(torch.tensor([left]), torch.tensor([right]), "")
    state.atoms.pin(torch.tensor(pinned, dtype=torch.int64), "")
    root = _brute_force(pairs)
    stay = {root[atom] for atom in pinned}
    expected = sorted(atom for atom in range(1, N_ATOMS) if root[atom] not in stay)
    starts = [axis.start for axis in state.atoms.axes]
    found = []
    for family in families(state.atoms, solve(state)):
        for (axis, length), indices in zip(family.signature, family.indices, strict=True):
            assert indices.shape == (len(family.roots), length)
            found += [
                (starts[axis] + index, root_of)
                for row, root_of in zip(indices.tolist(), family.roots.tolist(), strict=True)
                for index in row
            ]
    assert sorted(atom for atom, _ in found) == expected
    assert all(root[atom] == root_of for atom, root_of in found)


def test_uniting_with_a_fixed_atom_pins() -> None:
    atoms = Atoms()
    axis = atoms.axis(AxisKind.TENSOR, "a", 3)
    atoms.unite(axis, torch.tensor([0, 2, 3]), "meets zeros")
    assert [(pin.atoms.tolist(), pin.reason) for pin in atoms.pins] == [([1], "meets zeros")]
    assert not atoms.bonds


@given(st.permutations([0, 1, 2]), st.booleans())
def test_a_label_survives_being_spread_and_read_again(order: list[int], flip: bool) -> None:
    label = Label((0, 2), torch.arange(1, 7).reshape(2, 3))
    ids = label.spread((2, 4, 3)).permute(order)
    ids = ids.flip(0) if flip else ids
    again = label_of(ids)
    assert again.dims == tuple(sorted(order.index(d) for d in (0, 2)))
    assert torch.equal(again.spread(ids.shape), ids)
