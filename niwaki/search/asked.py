"""What was asked already, and how a candidate is found that was not."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Trial
from niwaki.core.randomness import stream
from niwaki.search.base import Problem
from niwaki.spaces.walks import every_candidate

Propose: TypeAlias = Callable[[np.random.Generator], Candidate]

MUTATIONS = 16  # steps away from a proposal that was asked before
SAMPLES = 24  # then uniform draws, before the space is walked through in order
MOST_IN_VAIN = 20_000  # steps of that walk in a row that meet no identity for the first time


class Asked:
    """Remembers every candidate of a search by its identity, and draws new ones.

    Args:
        problem: Its `initial` candidates come first.

    Raises:
        SpaceError: If an initial candidate is not of the space.
    """

    def __init__(self, problem: Problem) -> None:
        for candidate in problem.initial:
            problem.space.validate(candidate)
        self._problem = problem
        self._known: set[str] = set()
        self._waiting: OrderedDict[str, Candidate] = OrderedDict()  # of the initial ones
        for candidate in problem.initial:
            self._waiting.setdefault(problem.identity(candidate), candidate)
        self._n_asked = 0
        self._rest: Iterator[Candidate] | None = None

    def __len__(self) -> int:
        """Return how many candidates were asked for."""
        return self._n_asked

    def __contains__(self, candidate: Candidate) -> bool:
        return self._problem.identity(candidate) in self._known

    @property
    def n_waiting(self) -> int:
        """How many of the problem's initial candidates are not known yet."""
        return len(self._waiting)

    def resume(self, candidates: Sequence[Candidate]) -> None:
        """Take note of candidates that others asked for."""
        for candidate in candidates:
            self._note(candidate)

    def told(self, trials: Sequence[Trial]) -> None:
        """Take note of trials, so that one that came from elsewhere is not asked for again."""
        for trial in trials:
            self._know(trial.candidate)

    def draw(self, n: int, propose: Propose) -> list[Candidate]:
        """Return up to `n` new candidates, noted as asked; fewer only if no more are found.

        Args:
            n: How many are wanted.
            propose: Makes a candidate, called once for each. A known one is mutated, step by step,
                until it is new; if that leads nowhere, samples of the space and at last a walk
                through it provide the candidate.
        """
        drawn: list[Candidate] = []
        while len(drawn) < n and (candidate := self._next(propose)) is not None:
            self._note(candidate)
            drawn.append(candidate)
        return drawn

    def _note(self, candidate: Candidate) -> None:
        self._know(candidate)
        self._n_asked += 1

    def _know(self, candidate: Candidate) -> None:
        identity = self._problem.identity(candidate)
        self._known.add(identity)
        self._waiting.pop(identity, None)

    def _next(self, propose: Propose) -> Candidate | None:
        space = self._problem.space
        if self._waiting:
            return next(iter(self._waiting.values()))
        rng = stream(self._problem.seed, "ask", self._n_asked)
        candidate = propose(rng)
        for _ in range(MUTATIONS):
            if candidate not in self:
                return candidate
            candidate = space.mutate(candidate, rng)
        for _ in range(SAMPLES):
            if (candidate := space.sample(rng)) not in self:
                return candidate
        return self._first_of_rest()

    def _first_of_rest(self) -> Candidate | None:
        # The walk never steps back, and what it passes is known.
        if self._rest is None:
            self._rest = _first_of_each(self._problem)
        return next((candidate for candidate in self._rest if candidate not in self), None)


def _first_of_each(problem: Problem) -> Iterator[Candidate]:
    """Yield the first candidate of each identity that a walk meets.

    Where candidates are one network, or derived in several ways, a walk might pass them without
    end: it is left after so many in a row. What is known has no say in where that is, so that a
    resumed search, which walks from the beginning, goes as far as one that was never stopped.
    """
    met: set[str] = set()
    n_in_vain = 0
    for candidate in every_candidate(problem.space):
        identity = problem.identity(candidate)
        n_in_vain = n_in_vain + 1 if identity in met else 0
        if n_in_vain == MOST_IN_VAIN:
            return
        if not n_in_vain:
            met.add(identity)
            yield candidate
