"""The candidates that a searcher looks at, with everything about them that costs nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate

Array = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Pool:
    """n candidates, no two of one identity.

    Attributes:
        candidates: The first spelling met of each network.
        identities: Their names.
        features: (n, d) of these spellings; the mean over all if the space is listed.
        cheap: (n,) values that cost nothing, by name; NaN where there is none.
    """

    candidates: Sequence[Candidate]
    identities: Sequence[str]
    features: Array
    cheap: Mapping[str, Array]

    def __len__(self) -> int:
        return len(self.candidates)

    def at(self, rows: Rows) -> "Pool":
        """Return some of the candidates as a pool."""
        return Pool(
            [self.candidates[row] for row in rows],
            [self.identities[row] for row in rows],
            self.features[rows],
            {name: values[rows] for name, values in self.cheap.items()},
        )

    def joined(self, other: "Pool") -> "Pool":
        """Return both, without the identities of `other` that are here already."""
        here = set(self.identities)
        rows = [row for row, name in enumerate(other.identities) if name not in here]
        new = other.at(np.array(rows, dtype=np.int64))
        names = {**self.cheap, **new.cheap}
        return Pool(
            [*self.candidates, *new.candidates],
            [*self.identities, *new.identities],
            np.concatenate([self.features, new.features]),
            {name: np.append(_column(self, name), _column(new, name)) for name in names},
        )

    def without(self, identities: "set[str]") -> "Pool":
        """Return the pool without some candidates."""
        rows = [row for row, name in enumerate(self.identities) if name not in identities]
        return self.at(np.array(rows, dtype=np.int64)) if len(rows) < len(self) else self


def _column(pool: Pool, name: str) -> Array:
    return pool.cheap.get(name, np.full(len(pool), np.nan))
