"""How often each value is chosen, over the decisions that could have it.

What is decided layer by layer, or edge by edge, mostly matters by how often it is: twice as many
convolutions take twice as long, wherever they are. An encoding with columns per decision has to
learn that for each decision anew; with these features beside it, a few measurements are enough.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate, Value
from niwaki.core.randomness import stream
from niwaki.spaces.base import Space

N_LOOKED_AT = 100  # candidates that show which decisions have the same options
MOST_OPTIONS = 16


@dataclass(frozen=True)
class Tallies:
    """Counts of values.

    Attributes:
        columns: For each group of decisions with the same options, a column for each option.
        groups: The group of each path.
    """

    columns: Sequence[tuple[int, Value]]
    groups: dict[str, int]

    @classmethod
    def of(cls, space: Space) -> "Tallies":
        """Find decisions that have the same options."""
        rng = stream(0, "tallies")
        seen: dict[str, dict[Value, None]] = {}
        for _ in range(N_LOOKED_AT):
            for path, value in space.sample(rng).items:
                if not isinstance(value, tuple):
                    seen.setdefault(path, {})[value] = None
        alike: dict[frozenset[tuple[str, Value]], list[str]] = {}
        for path, values in seen.items():
            # True and 1 are equal in Python, yet different values.
            key = frozenset((type(value).__name__, value) for value in values)
            alike.setdefault(key, []).append(path)
        groups: dict[str, int] = {}
        columns: list[tuple[int, Value]] = []
        for number, (key, paths) in enumerate(alike.items()):
            if len(paths) > 1 and 1 < len(key) <= MOST_OPTIONS:
                groups |= dict.fromkeys(paths, number)
                columns += sorted(((number, value) for _, value in key), key=repr)
        return cls(columns, groups)

    def encode(self, candidates: Sequence[Candidate]) -> NDArray[np.float64]:
        """Return (n, k) counts."""
        index = {column: i for i, column in enumerate(self.columns)}
        counts = np.zeros((len(candidates), len(index)))
        for row, candidate in enumerate(candidates):
            for path, value in candidate.items:
                if path in self.groups and (self.groups[path], value) in index:
                    counts[row, index[self.groups[path], value]] += 1.0
        return counts
