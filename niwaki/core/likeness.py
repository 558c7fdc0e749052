"""Whether two processes have the same numbers, rounding aside: threads add up in another order."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from niwaki.core.randomness import stream

_N_SUMS = 4
_TOLERANCE = 1e-4  # of the norm of all values; one label of many thousands that differs is seen
_VALUES_AT_ONCE = 2**20


@dataclass(frozen=True)
class Likeness:
    """What little tells an array from others, wherever their values differ.

    Attributes:
        shape: Of the array.
        sums: Its values weighted at random, the same way for all arrays of a shape.
        norm: Root of the sum of the squares of its values.
    """

    shape: tuple[int, ...]
    sums: tuple[float, ...]
    norm: float

    @classmethod
    def of(cls, array: NDArray[Any]) -> "Likeness":
        """Look at an array of real numbers; what is not finite counts as 0."""
        rows = array.reshape(len(array), -1) if array.ndim and array.size else array.reshape(1, -1)
        by_row = stream(0, "likeness", "rows").normal(size=(len(rows), _N_SUMS))
        by_column = stream(0, "likeness", "columns").normal(size=(rows.shape[1], _N_SUMS))
        sums, square = np.zeros(_N_SUMS), 0.0
        step = max(1, _VALUES_AT_ONCE // max(1, rows.shape[1]))
        for start in range(0, len(rows), step):
            part = np.nan_to_num(rows[start : start + step].astype(float), posinf=0.0, neginf=0.0)
            sums += (by_row[start : start + step] * (part @ by_column)).sum(axis=0)
            square += float((part**2).sum())
        return cls(array.shape, tuple(sums.tolist()), square**0.5)

    def is_like(self, other: "Likeness") -> bool:
        """Whether the other array has the same values, but for rounding."""
        off = np.abs(np.subtract(self.sums, other.sums)).max()
        return self.shape == other.shape and bool(off <= _TOLERANCE * max(self.norm, other.norm))


def unlike(known: Mapping[str, Likeness], found: Mapping[str, Likeness]) -> list[str]:
    """Return the names of arrays that are only in one, or have other values."""
    names = sorted(known.keys() | found.keys())
    return [n for n in names if n not in known or n not in found or not known[n].is_like(found[n])]
