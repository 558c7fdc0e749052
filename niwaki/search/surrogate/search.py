"""A searcher that measures what is expected to gain the most, and learns from each measurement."""

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.core.limits import require_at_least
from niwaki.core.pareto import non_dominated
from niwaki.core.randomness import stream
from niwaki.search.base import Problem
from niwaki.search.surrogate.design import farthest
from niwaki.search.surrogate.history import History
from niwaki.search.surrogate.learning import Lessons, lessons
from niwaki.search.surrogate.model_based import ModelBased
from niwaki.search.surrogate.outlook import Extent
from niwaki.search.surrogate.pool import Pool, grow

Array = NDArray[np.float64]

GROWTH = 1.1  # of the number of trials, from one learning of hyper-parameters to the next
MOST_TRIALS = 300  # that beliefs are conditioned on
MOST_PARENTS = 64
NEIGHBOURS = 32  # looked at beside the short list, in spaces too large to list


@dataclass(frozen=True)
class SurrogateSettings:
    """Settings of `Surrogate`.

    Attributes:
        n_initial: How many candidates are spread over the space before anything is learned.
        pool_size: How many candidates are looked at when hyper-parameters were learned, in spaces
            that are too large to list.
        list_up_to: Spaces of at most so many candidates are listed.
        shortlist_size: How many of the best are looked at again for each candidate, until
            hyper-parameters are learned next.

    Raises:
        ConfigError: On a number out of its range.
    """

    n_initial: int = 10
    pool_size: int = 500
    list_up_to: int = 20_000
    shortlist_size: int = 1_000

    def __post_init__(self) -> None:
        require_at_least(
            self, {"n_initial": 2, "pool_size": 20, "list_up_to": 0, "shortlist_size": 20}
        )


@dataclass(frozen=True)
class _Knowledge:
    """What was learned from the first trials, and which candidates looked best then."""

    n_trials: int
    lessons: Lessons | None
    shortlist: Pool
    extent: Extent | None


class Surrogate(ModelBased):
    """Expected hypervolume improvement under Gaussian processes of warped values.

    What it is made of, and where that comes from, is in the README of this folder.
    """

    def __init__(self, problem: Problem, settings: SurrogateSettings | None = None) -> None:
        super().__init__(problem, learns_from_cheap=True)
        self._settings = settings or SurrogateSettings()
        self._knowledge: _Knowledge | None = None
        # Listed now, so that no ask has to wait for it.
        small = problem.space.size <= self._settings.list_up_to
        self._everything = self._catalogue.everything() if small else None

    def _propose(self, rng: np.random.Generator) -> Candidate:
        waiting = self._catalogue.pool(list(self._pending.values()))
        if len(self._told) + len(waiting) >= self._settings.n_initial:
            knowledge = self._latest_knowledge()
            if knowledge.lessons and (best := self._best(knowledge, waiting, rng)):
                return best
        known = np.array([*self._history.features, *waiting.features])
        return farthest(self._catalogue, known, rng, self._asked)

    def _best(
        self, knowledge: _Knowledge, waiting: Pool, rng: np.random.Generator
    ) -> Candidate | None:
        """Return the new candidate of the largest expected gain; None if there is no new one."""
        assert knowledge.lessons is not None
        assert knowledge.extent is not None
        history = self._history.condensed(MOST_TRIALS)
        outlook = knowledge.lessons.outlook(history, waiting)
        pool = knowledge.shortlist
        if self._everything is None:
            pool = pool.joined(self._neighbours(pool, rng))
        pool = self._open(pool)
        if len(pool) == 0 and self._everything is not None:
            pool = self._open(self._everything)
        if len(pool) == 0:
            return None
        scores = outlook.score(pool, knowledge.extent.widened(outlook.front))
        return pool.candidates[int(scores.argmax())]

    def _open(self, pool: Pool) -> Pool:
        """Return what is left of a pool: neither told nor pending, and not ruled out."""
        left = pool.without(self._told | set(self._pending))
        if len(left) == 0:
            return left
        violations = self._catalogue.violations(left)
        return left.at(np.flatnonzero(violations == violations.min()))

    def _neighbours(self, pool: Pool, rng: np.random.Generator) -> Pool:
        """Return neighbours of the best of the short list and of the front."""
        parents = [*pool.candidates[: NEIGHBOURS // 2], *self._front(self._history)]
        space = self._problem.space
        drawn = [parents[int(rng.integers(len(parents)))] for _ in range(NEIGHBOURS)]
        return self._catalogue.pool([space.mutate(parent, rng) for parent in drawn])

    def _front(self, history: History) -> list[Candidate]:
        candidates, costs = history.feasible()
        return [candidates[row] for row in np.flatnonzero(non_dominated(costs))]

    def _latest_knowledge(self) -> _Knowledge:
        """Return what was learned when it was last due: a function of the first trials alone."""
        n_trials = _last_due(len(self._history))
        if self._knowledge is None or self._knowledge.n_trials != n_trials:
            self._knowledge = self._learn(self._history.first(n_trials))
        return self._knowledge

    def _learn(self, history: History) -> _Knowledge:
        n_trials, history = len(history), history.condensed(MOST_TRIALS)
        everything = self._everything
        nothing = self._catalogue.pool([])
        cheap = self._cheap_names(history)
        learned = lessons(history, cheap)
        if learned is None:
            return _Knowledge(n_trials, None, nothing, None)
        outlook = learned.outlook(history, nothing)

        def score(pool: Pool) -> Array:
            return outlook.scored(pool)[0]

        if everything is None:
            rng = stream(self._problem.seed, "pool", n_trials)
            front = self._front(history)
            parents = [front[i] for i in rng.permutation(len(front))[:MOST_PARENTS]]
            size = self._settings.pool_size
            pool = grow(self._catalogue, parents, rng, size=size, score=score)
        else:
            pool = everything
        told = {self._problem.identity(trial.candidate) for trial in history.trials}
        pool = pool.without(told)
        scores, extent = outlook.scored(pool)
        best = np.argsort(-scores, kind="stable")
        return _Knowledge(n_trials, learned, pool.at(best[: self._settings.shortlist_size]), extent)

    def _cheap_names(self, history: History) -> frozenset[str]:
        told = self._catalogue.pool([trial.candidate for trial in history.trials])
        return frozenset(name for name, v in told.cheap.items() if np.isfinite(v).all())


def _last_due(n_trials: int) -> int:
    """Return the last number of trials, up to `n_trials`, at which to learn anew."""
    due = 0
    while (following := max(due + 1, ceil(due * GROWTH))) <= n_trials:
        due = following
    return due
