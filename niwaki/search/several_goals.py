"""One search for several goals: each asks in turn, and all learn from everything that is told."""

from collections.abc import Callable, Sequence

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Trial
from niwaki.search.base import Problem, Searcher
from niwaki.search.vetting import are_candidates


class SeveralGoals(Searcher):
    """A searcher for each goal, over one space and one set of evaluations.

    The i-th candidate is asked for on behalf of goal i modulo their number, by a searcher that
    knows every trial as that goal values it. So an evaluation counts for all goals, whoever asked
    for it, as long as it gives the values that they want.

    Args:
        problems: One for each goal, alike in all but objectives, bounds and what was learned from
            earlier searches.
        make: Makes a searcher.

    References:
        arXiv 2111.10007 (FBNetV5) searches an architecture for each of several tasks in one run, by
        distributions that learn from samples of each other, reweighted. Here a model of each goal
        learns from all samples, unweighted.
    """

    def __init__(self, problems: Sequence[Problem], make: Callable[[Problem], Searcher]) -> None:
        self._searchers = [make(problem) for problem in problems]
        self._n_asked = 0

    @property
    def n_left(self) -> int | None:
        left = [searcher.n_left for searcher in self._searchers]
        known = [n for n in left if n is not None]
        return max(known) if len(known) == len(left) else None

    def ask(self, n: int, pending: Sequence[Candidate] = ()) -> list[Candidate]:
        asked: list[Candidate] = []
        while len(asked) < n:
            answer = self._ask_one([*pending, *asked])
            if not answer:
                break
            asked.extend(answer)
        return asked

    def _ask_one(self, pending: Sequence[Candidate]) -> list[Candidate]:
        """Return what the goal whose turn it is asks for, or else the next one that has more."""
        for turn in range(len(self._searchers)):
            asking = self._searchers[(self._n_asked + turn) % len(self._searchers)]
            answer = asking.ask(1, pending)
            if not are_candidates(answer):
                return answer  # whoever asked says what is wrong with it
            if answer:
                for other in self._searchers:
                    if other is not asking:
                        other.resume(answer)
                self._n_asked += len(answer)
                return answer
        return []

    def tell(self, trials: Sequence[Trial]) -> None:
        for searcher in self._searchers:
            searcher.tell(trials)

    def resume(self, asked: Sequence[Candidate]) -> None:
        for searcher in self._searchers:
            searcher.resume(asked)
        self._n_asked += len(asked)
