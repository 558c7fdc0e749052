"""Random search: the searcher that every other one has to beat."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Trial
from niwaki.search.asked import Asked
from niwaki.search.base import Problem, Searcher

TRIES = 64


@dataclass(frozen=True)
class RandomSearchSettings:
    """Random search has nothing to set."""


class RandomSearch(Searcher):
    """Draws candidates uniformly, decision by decision, without repeats.

    References:
        Bergstra and Bengio, JMLR 2012, "Random search for hyper-parameter optimization". Li and
        Talwalkar, UAI 2019, "Random search and reproducibility for neural architecture search".
    """

    def __init__(self, problem: Problem, settings: RandomSearchSettings | None = None) -> None:  # noqa: ARG002
        self._space = problem.space
        self._asked = Asked(problem)

    def ask(self, n: int, pending: Sequence[Candidate] = ()) -> list[Candidate]:  # noqa: ARG002
        return self._asked.draw(n, self._propose)

    def tell(self, trials: Sequence[Trial]) -> None:
        self._asked.told(trials)

    def resume(self, asked: Sequence[Candidate]) -> None:
        self._asked.resume(asked)

    def _propose(self, rng: np.random.Generator) -> Candidate:
        # Drawn anew, not mutated, when known: that is uniform among the new ones.
        candidate = self._space.sample(rng)
        for _ in range(TRIES):
            if candidate not in self._asked:
                break
            candidate = self._space.sample(rng)
        return candidate
