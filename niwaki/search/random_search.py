"""Random search: the searcher that every other one has to beat."""

from collections.abc import Sequence
from dataclasses import dataclass

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Trial
from niwaki.search.asked import Asked
from niwaki.search.base import Problem, Searcher


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
        return self._asked.draw(n, self._space.sample)

    def tell(self, trials: Sequence[Trial]) -> None:
        self._asked.told(trials)

    def resume(self, asked: Sequence[Candidate]) -> None:
        self._asked.resume(asked)
