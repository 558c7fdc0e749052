"""Cheap values as features: what a network costs to store and to run says much about the rest."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.core.randomness import stream
from niwaki.spaces.base import Space

N_LOOKED_AT = 20  # candidates that show which cheap values there are, and how large they are


@dataclass(frozen=True)
class Counts:
    """Cheap values, each on a scale that is logarithmic but for the smallest.

    Attributes:
        units: By name, below which the scale is straight: so it holds zero and negative values.
    """

    units: Mapping[str, float]

    @classmethod
    def of(cls, space: Space, cheap: Callable[[Candidate], Mapping[str, float]]) -> "Counts":
        """Look at a few candidates, the same ones in every search of this space."""
        rng = stream(0, "counts")
        units: dict[str, float] = {}
        for _ in range(N_LOOKED_AT):
            for name, value in cheap(space.sample(rng)).items():
                if np.isfinite(value):
                    size = abs(value) or np.inf
                    units[name] = min(units.get(name, np.inf), size)
        return cls({name: unit if np.isfinite(unit) else 1.0 for name, unit in units.items()})

    def encode(self, values: Sequence[Mapping[str, float]]) -> NDArray[np.float64]:
        """Return (n, k) features of n mappings of cheap values; 0 where one is missing."""
        rows = [[each.get(name, 0.0) / self.units[name] for name in self.units] for each in values]
        scaled = np.arcsinh(np.array(rows, dtype=np.float64).reshape(len(values), len(self.units)))
        return np.where(np.isfinite(scaled), scaled, 0.0)
