"""What predictors learn from: all that is known of a candidate before it is measured."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

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
    """

    space: Space
    cheap: Callable[[Candidate], Mapping[str, float]]

    @cached_property
    def tallies(self) -> Tallies:
        """How often each value is chosen."""
        return Tallies.of(self.space)

    @cached_property
    def counts(self) -> Counts:
        """The scales of cheap values, by a few candidates, the same ones every time."""
        return Counts.of(self.space, self.cheap)

    def encode(
        self, candidates: Sequence[Candidate], cheap_values: Sequence[Mapping[str, float]]
    ) -> NDArray[np.float64]:
        """Return (n, d) finite features of n candidates of the space, `cheap` of each given."""
        parts = [self.of_decisions(candidates), self.counts.encode(cheap_values)]
        return np.concatenate(parts, axis=1)

    def of_decisions(self, candidates: Sequence[Candidate]) -> NDArray[np.float64]:
        """Return (n, d) features of n candidates without what their cheap values say."""
        parts = [self.space.encode(candidates), self.tallies.encode(candidates)]
        return np.concatenate(parts, axis=1)
