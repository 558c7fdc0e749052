"""One search for several goals: what all gain from is asked for, or each asks in turn."""

from collections.abc import Callable, Sequence

import numpy as np

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Trial
from niwaki.search.base import Problem, Searcher
from niwaki.search.vetting import are_candidates

FAVOURITES = 100  # of each goal, that the next candidate is chosen from


class SeveralGoals(Searcher):
    """A searcher for each goal, over one space and one set of evaluations.

    Every searcher knows every trial as its goal values it, whoever asked for it: what lacks a value
    that the goal is about has failed there, and there alone. The i-th candidate
    is asked for on behalf of goal i modulo their number, by its searcher alone. Where that can say
    what it expects of candidates, the favourites of all that can are looked at instead, and the one
    of the largest sum of expected gains is asked for: what is good for several goals comes first.

    Args:
        problems: One for each goal, alike in all but objectives, bounds and what was learned from
            earlier searches.
        make: Makes a searcher.

    References:
        arXiv 2111.10007 (FBNetV5) searches an architecture for each of several tasks in one run, by
        distributions that learn from samples of each other, reweighted. Here a model of each goal
        learns from all samples, unweighted, and says what it would gain from the next.
    """

    def __init__(self, problems: Sequence[Problem], make: Callable[[Problem], Searcher]) -> None:
        self._searchers = [make(problem) for problem in problems]
        self._wanted = [problem.wanted for problem in problems]
        self._identity = problems[0].identity
        self._n_asked = 0

    @property
    def n_left(self) -> int | None:
        # What is left to one may be left to another, too: nobody knows how many these are.
        return None if any(searcher.n_left != 0 for searcher in self._searchers) else 0

    def ask(self, n: int, pending: Sequence[Candidate] = ()) -> list[Candidate]:
        asked: list[Candidate] = []
        while len(asked) < n:
            answer = self._ask_one([*pending, *asked])
            if not are_candidates(answer):
                return answer  # whoever asked says what is wrong with it
            if not answer:
                break
            asked.extend(answer)
        return asked

    def _ask_one(self, pending: Sequence[Candidate]) -> list[Candidate]:
        """Return what is asked for on behalf of the goal whose turn it is, or else the next one."""
        for turn in range(len(self._searchers)):
            asking = self._searchers[(self._n_asked + turn) % len(self._searchers)]
            answer = self._best_for_all(asking) or asking.ask(1, pending)
            if not are_candidates(answer):
                return answer
            if answer:
                for other in self._searchers:
                    if other is not asking:
                        other.resume(answer)
                self._n_asked += len(answer)
                return answer
        return []

    def _best_for_all(self, asking: Searcher) -> list[Candidate]:
        """Return the candidate that is expected to move all fronts furthest together, as asked.

        None if the searcher whose turn it is cannot tell.
        """
        favourites = list(asking.favourites(FAVOURITES))
        if not favourites:
            return []
        telling = [asking]
        for other in self._searchers:
            if other is not asking and (more := other.favourites(FAVOURITES)):
                telling.append(other)
                favourites.extend(more)
        different: dict[str, Candidate] = {}
        for each in favourites:
            different.setdefault(self._identity(each), each)
        candidates = list(different.values())
        gains = sum(searcher.expected_gains(candidates) for searcher in telling)
        best = [candidates[int(np.argmax(gains))]]
        asking.resume(best)
        return best

    def tell(self, trials: Sequence[Trial]) -> None:
        for searcher, wanted in zip(self._searchers, self._wanted, strict=True):
            searcher.tell([trial.seen_by(wanted) for trial in trials])

    def resume(self, asked: Sequence[Candidate]) -> None:
        for searcher in self._searchers:
            searcher.resume(asked)
        self._n_asked += len(asked)
