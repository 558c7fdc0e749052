"""What searchers that learn a model of all trials keep in mind."""

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Trial
from niwaki.search.asked import Asked
from niwaki.search.base import Problem, Searcher
from niwaki.search.surrogate.catalogue import Catalogue
from niwaki.search.surrogate.history import History
from niwaki.search.threads import one_thread


class ModelBased(Searcher):
    """Takes down what was asked and told, so that a subclass has only to propose.

    Args:
        problem: What is searched.
        learns_from_cheap: Whether cheap values are features of candidates.
    """

    def __init__(self, problem: Problem, *, learns_from_cheap: bool = False) -> None:
        self._problem = problem
        self._asked = Asked(problem)
        self._catalogue = Catalogue(problem, learns_from_cheap=learns_from_cheap)
        self._history = History(problem)
        self._told: set[str] = set()
        self._pending: dict[str, Candidate] = {}

    @abstractmethod
    def _propose(self, rng: np.random.Generator) -> Candidate:
        """Return the candidate to ask for next."""

    def ask(self, n: int, pending: Sequence[Candidate] = ()) -> list[Candidate]:  # noqa: ARG002
        found: list[Candidate] = []
        with one_thread():
            while len(found) < n and (drawn := self._asked.draw(1, self._propose)):
                self._wait_for(drawn)
                found += drawn
        return found

    def tell(self, trials: Sequence[Trial]) -> None:
        self._asked.told(trials)
        for trial in trials:
            pool = self._catalogue.pool([trial.candidate])
            self._history.add([trial], pool.features)
            self._told.add(pool.identities[0])
            self._pending.pop(pool.identities[0], None)

    def resume(self, asked: Sequence[Candidate]) -> None:
        self._asked.resume(asked)
        self._wait_for(asked)

    def _wait_for(self, candidates: Sequence[Candidate]) -> None:
        for candidate in candidates:
            name = self._problem.identity(candidate)
            if name not in self._told:
                self._pending[name] = candidate
