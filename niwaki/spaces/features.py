"""What predictors learn from: all that is known of a candidate before it is measured."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.spaces.base import Space
from niwaki.spaces.counts import Counts
from niwaki.spaces.tallies import Tallies


@dataclass(frozen=True)
class Features:
    """The encoding of a space, tallies of its decisions, and cheap values.

    Attributes:
        space: Of the candidates.
        cheap: Gives the values of a candidate that cost nothing.
        tallies: How often each value is chosen.
        counts: The scales of cheap values.
    """

    space: Space
    cheap: Callable[[Candidate], Mapping[str, float]]
    tallies: Tallies
    counts: Counts

    @classmethod
    def of(cls, space: Space, cheap: Callable[[Candidate], Mapping[str, float]]) -> "Features":
        """Look at a few candidates, the same ones every time."""
        return cls(space, cheap, Tallies.of(space), Counts.of(space, cheap))

    def encode(self, candidates: Sequence[Candidate]) -> NDArray[np.float64]:
        """Return (n, d) finite features of n candidates of the space."""
        parts = [self.space.encode(candidates), self.tallies.encode(candidates)]
        if self.counts.units:
            parts.append(self.counts.encode([self.cheap(candidate) for candidate in candidates]))
        return np.concatenate(parts, axis=1)
