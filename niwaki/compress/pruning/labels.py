"""Labels: for every element of a tensor, the channel it came from."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

FIXED = 0
"""The atom of positions that can never be removed."""


@dataclass(frozen=True, eq=False)
class Label:
    """Atoms along some dimensions of a tensor, the same along all others.

    A tensor carries any number of labels, over disjoint dimensions. An element exists as long as
    none of its atoms is removed. A dimension without a label has a fixed size.

    Attributes:
        dims: Ascending dimensions of the tensor along which the atoms vary.
        atoms: int64, one axis per entry of `dims`.
    """

    dims: tuple[int, ...]
    atoms: Tensor

    def spread(self, shape: Sequence[int]) -> Tensor:
        """Return the atom of every element of a tensor of this shape, as a view."""
        sides = [shape[d] if d in self.dims else 1 for d in range(len(shape))]
        return self.atoms.reshape(sides).expand(*shape)

    def along(self, dim: int) -> Tensor:
        """Return the atoms along `dim`, where the label varies along no other."""
        assert self.dims == (dim,)
        return self.atoms

    def moved(self, mapping: Sequence[int]) -> "Label":
        """Return the label of a tensor whose dimension `mapping[d]` was dimension d of this one."""
        dims = [mapping[d] for d in self.dims]
        order = sorted(range(len(dims)), key=dims.__getitem__)
        return Label(tuple(sorted(dims)), self.atoms.permute(order))


def label_of(ids: Tensor) -> Label:
    """Return the label that gives each element the atom in `ids`; `dims` may come out empty."""
    dims, atoms = [], ids
    for dim in range(ids.ndim):
        first = atoms.narrow(dim, 0, 1)
        varies = (
            atoms.shape[dim] > 1 and atoms.stride(dim) != 0 and bool((atoms != first).any().item())
        )
        if varies:
            dims.append(dim)
        else:
            atoms = first
    return Label(tuple(dims), atoms.reshape([ids.shape[d] for d in dims]))
