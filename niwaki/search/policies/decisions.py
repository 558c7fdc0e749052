"""The decisions of a flat space as columns, one for each option, and distributions over them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate, Value
from niwaki.spaces.choices import ChoiceSpace


class Decisions:
    """Independent categorical distributions, one for each decision of a space.

    A decision that is not active has no part in a candidate's probability, so conditions of the
    space are kept to: the columns of a candidate are those of `ChoiceSpace.encode`, ranks aside.

    Args:
        space: With d options, all decisions taken together.
    """

    def __init__(self, space: ChoiceSpace) -> None:
        self._space = space
        self._sizes = np.array([len(choice.options) for choice in space.choices])
        self._starts = np.cumsum([0, *self._sizes[:-1]])
        self._index_of = {choice.path: index for index, choice in enumerate(space.choices)}
        self.of_column = np.repeat(np.arange(len(self._sizes)), self._sizes)  # (d,) of a decision

    def encode(self, candidates: Sequence[Candidate]) -> NDArray[np.float64]:
        """Return (n, d): 1 for what was decided."""
        return self._space.encode(candidates)[:, : len(self.of_column)]  # ranks are behind

    def active(self, encoded: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return, for (..., d) encoded candidates, 1 in all columns of decisions they took."""
        return self._per_column(np.add.reduceat(encoded, self._starts, axis=-1))

    def log_probabilities(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the (..., d) logarithms of the softmax of each decision's logits."""
        shifted = logits - self._per_column(np.maximum.reduceat(logits, self._starts, axis=-1))
        sums = np.add.reduceat(np.exp(shifted), self._starts, axis=-1)
        return shifted - np.log(self._per_column(sums))

    def sureness(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how much of the entropy of equal odds is gone, (..., n decisions), from 0 to 1.

        Of a decision that has one option only, all is.
        """
        logs = np.log(np.maximum(probabilities, 1e-300))
        entropies = -np.add.reduceat(probabilities * logs, self._starts, axis=-1)
        most = np.log(self._sizes)
        return np.where(most > 0.0, 1.0 - entropies / np.where(most > 0.0, most, 1.0), 1.0)

    def draw(
        self, probabilities: NDArray[np.float64], n: int, rng: np.random.Generator
    ) -> list[Candidate]:
        """Return `n` candidates, each decision drawn with its options' (d,) probabilities."""
        sums = np.cumsum(probabilities)
        heights = sums - self._per_column(sums[self._starts] - probabilities[self._starts])
        drawn = self._per_column(rng.random((n, len(self._sizes))))
        passed = np.add.reduceat((heights <= drawn).astype(int), self._starts, axis=-1)
        return [self._candidate(row) for row in np.minimum(passed, self._sizes - 1)]

    def likeliest(self, probabilities: NDArray[np.float64]) -> Candidate:
        """Return the candidate that takes the likeliest option of every decision."""
        own = np.split(probabilities, self._starts[1:])
        return self._candidate(np.array([int(np.argmax(each)) for each in own]))

    def _candidate(self, picked: NDArray[np.int_]) -> Candidate:
        """Return the candidate that takes these options, one index for each decision."""

        def choose(path: str, options: Sequence[Value]) -> Value:
            return options[int(picked[self._index_of[path]])]

        return self._space.decide(choose)

    def _per_column(self, by_decision: NDArray[np.float64]) -> NDArray[np.float64]:
        return by_decision[..., self.of_column]
