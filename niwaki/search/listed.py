"""No search at all: the candidates that a problem begins with, and then none."""

from collections.abc import Sequence

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Trial
from niwaki.search.asked import Asked
from niwaki.search.base import Problem, Searcher


class Listed(Searcher):
    """Asks for `Problem.initial` alone, in order: for evaluators that already know what is good."""

    def __init__(self, problem: Problem) -> None:
        self._asked = Asked(problem)

    def ask(self, n: int, pending: Sequence[Candidate] = ()) -> list[Candidate]:  # noqa: ARG002
        # As long as one of them is left, none is proposed.
        return self._asked.draw(min(n, self.n_left), lambda rng: _nothing())  # noqa: ARG005

    def tell(self, trials: Sequence[Trial]) -> None:
        self._asked.told(trials)

    def resume(self, asked: Sequence[Candidate]) -> None:
        self._asked.resume(asked)

    @property
    def n_left(self) -> int:
        return self._asked.n_waiting


def _nothing() -> Candidate:
    raise AssertionError("a listed search never proposes")
