"""Atoms: one number for each index of each dimension that could shrink, and what binds them."""

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from niwaki.compress.pruning.labels import FIXED

Ids = NDArray[np.int64]


class AxisKind(StrEnum):
    """What has indices that atoms stand for."""

    TENSOR = "tensor"  # a dimension of a parameter or buffer
    ATTRIBUTE = "attribute"  # an integer of a module, which counts its indices
    STATISTICS = "statistics"  # positions that a normalisation averages over
    INNER = "inner"  # indices without a name, such as the groups of one functional convolution


@dataclass(frozen=True)
class Axis:
    """A run of atoms.

    Attributes:
        kind: What the axis belongs to.
        owner: Name of the parameter, `module:attribute`, or site of the normalisation.
        dim: Dimension of the parameter; 0 otherwise.
        start: First atom.
        size: Number of atoms.
    """

    kind: AxisKind
    owner: str
    dim: int
    start: int
    size: int


@dataclass(frozen=True)
class Bond:
    """Pairs of atoms that can only be removed together.

    Attributes:
        left: (n,) int64.
        right: (n,) int64.
        because: The operation that needs them together, for people.
    """

    left: Ids
    right: Ids
    because: str


@dataclass(frozen=True)
class Pin:
    """Atoms that cannot be removed, and why."""

    atoms: Ids
    reason: str


@dataclass
class Atoms:
    """Hands out atoms, and collects what binds and pins them. Nothing is solved here."""

    axes: list[Axis] = field(default_factory=list)
    bonds: list[Bond] = field(default_factory=list)
    pins: list[Pin] = field(default_factory=list)
    n_atoms: int = 1  # atom 0 is FIXED
    _known: dict[tuple[AxisKind, str, int, int], Axis] = field(default_factory=dict)

    def axis(self, kind: AxisKind, owner: str, size: int, *, dim: int = 0) -> Tensor:
        """Return the (size,) atoms of an axis, the same ones at every call."""
        key = (kind, owner, dim, size)
        if key not in self._known:
            self._known[key] = Axis(kind, owner, dim, self.n_atoms, size)
            self.axes.append(self._known[key])
            self.n_atoms += size
        start = self._known[key].start
        return torch.arange(start, start + size)

    def unite(self, left: Tensor, right: Tensor, because: str) -> None:
        """Let atoms be removed only together; the shapes broadcast. FIXED pins its partner."""
        shape = np.broadcast_shapes(left.shape, right.shape)
        a, b = left.expand(shape), right.expand(shape)
        for dim in range(a.ndim):  # what is repeated on both sides says nothing new
            if a.stride(dim) == 0 and b.stride(dim) == 0:
                a, b = a.narrow(dim, 0, 1), b.narrow(dim, 0, 1)
        x, y = a.reshape(-1).numpy(), b.reshape(-1).numpy()
        loose = (x != FIXED) & (y != FIXED)
        if not loose.all():
            self._pin(np.concatenate([x[~loose], y[~loose]]), because)
        x, y = x[loose], y[loose]
        differ = x != y
        if differ.any():
            self.bonds.append(Bond(x[differ], y[differ], because))

    def pin(self, atoms: Tensor, reason: str) -> None:
        """Keep atoms for good."""
        self._pin(atoms.reshape(-1).numpy(), reason)

    def _pin(self, atoms: Ids, reason: str) -> None:
        loose = np.unique(atoms[atoms != FIXED])
        if loose.size:
            self.pins.append(Pin(loose, reason))
