"""A searcher that measures what is expected to gain the most, and learns from each measurement."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, inf

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.core.limits import require_at_least
from niwaki.core.pareto import first_fronts
from niwaki.core.randomness import stream
from niwaki.predictors.gaussian.layout import UNKNOWN
from niwaki.search.base import Problem
from niwaki.search.ranking import ranking
from niwaki.search.surrogate.catalogue import grow, listed, unlisted
from niwaki.search.surrogate.design import farthest, neighbour
from niwaki.search.surrogate.guessed import Guessed, Told
from niwaki.search.surrogate.history import History
from niwaki.search.surrogate.learning import Lessons, lessons
from niwaki.search.surrogate.model_based import ModelBased
from niwaki.search.surrogate.outlook import Extent, Outlook
from niwaki.search.surrogate.pool import Pool
from niwaki.search.threads import one_thread
from niwaki.spaces.collector import collector_paused

Array = NDArray[np.float64]

GROWTH = 1.1  # of the number of trials, from one learning of hyper-parameters to the next
MOST_TRIALS = 300  # that beliefs are conditioned on
MOST_PARENTS = 64
FEWEST_PARENTS = 4  # of the kin; a front of one objective is a single candidate
EVERY = 4  # of so many candidates one may come from anywhere, the others are kin of known ones
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

    n_initial: int = 6
    pool_size: int = 350
    list_up_to: int = 20_000
    shortlist_size: int = 1_000

    def __post_init__(self) -> None:
        require_at_least(
            self, {"n_initial": 2, "pool_size": 20, "list_up_to": 0, "shortlist_size": 20}
        )


@dataclass(frozen=True)
class _Shortlist:
    """Candidates that looked best, best first, and how far gains may reach."""

    pool: Pool
    extent: Extent


@dataclass(frozen=True)
class _Choice:
    """What the next candidate is chosen from, and how.

    Attributes:
        pool: Candidates, at least one.
        outlook: What is believed.
        extent: Of the front; None if chance made the candidates, where to be far from what is known
            is no merit.
    """

    pool: Pool
    outlook: Outlook
    extent: Extent | None

    def gains(self, pool: Pool) -> Array:
        """Return (n,) expected gains."""
        if self.extent is None:
            return self.outlook.scored(pool, levelled=True)[0]
        return self.outlook.score(pool, self.extent)


@dataclass(frozen=True)
class _Knowledge:
    """What was learned from the first trials, and which candidates looked best then.

    Attributes:
        n_trials: How many there were.
        history: What was learned from: those of them that matter.
        lessons: None if there was too little to learn from.
        shortlists: The best of the space (False), and of the relatives of what was measured
            (True), each from when it is first wanted; None if nothing was left to ask for.
    """

    n_trials: int
    history: History
    lessons: Lessons | None
    shortlists: dict[bool, _Shortlist | None] = field(default_factory=dict)


class Surrogate(ModelBased):
    """Expected hypervolume improvement under Gaussian processes of warped values.

    What it is made of, and where that comes from, is in the README of this folder.
    """

    def __init__(self, problem: Problem, settings: SurrogateSettings | None = None) -> None:
        super().__init__(problem, learns_from_cheap=True)
        self._settings = settings or SurrogateSettings()
        self._knowledge: _Knowledge | None = None
        self._choice: _Choice | None = None  # of the last favourites
        self._everything: Pool | None = None
        # Shared, as a searcher may be made anew often.
        if problem.space.size <= self._settings.list_up_to:
            # Now, so that no ask has to wait for it.
            self._catalogue, self._everything = problem.once(listed)
        else:
            self._catalogue = problem.once(unlisted)
        self._possible = self._not_ruled_out()
        # Most of what a grammar derives does not work. What is far from the known networks is
        # uncertain there, so that gains are expected of it, and bad. A space of which the size is
        # known offers the same decisions everywhere, and little is lost by looking far away.
        self._has_kin = bool(problem.initial) and problem.space.size == inf
        guesses = problem.promises is not None and problem.space.size == inf
        self._guessed = Guessed(self._catalogue) if guesses else None

    def ask(self, n: int, pending: Sequence[Candidate] = ()) -> list[Candidate]:
        found: list[Candidate] = []
        while len(found) < n and self._has_hope and (one := super().ask(1, pending)):
            found += one
        return found

    @property
    def _has_hope(self) -> bool:
        """Whether a listed space has more to ask for that cheap values do not rule out.

        One of which they rule out everything is gone through: it is for others to say that.
        """
        return not self._possible or not self._possible <= self._told | self._pending.keys()

    def _not_ruled_out(self) -> frozenset[str]:
        """Return the identities in a listed space of which cheap values break no bound."""
        if self._everything is None:
            return frozenset()
        possible = np.flatnonzero(self._catalogue.violations(self._everything) == 0.0).tolist()
        return frozenset(self._everything.identities[row] for row in possible)

    def favourites(self, most: int) -> list[Candidate]:
        is_due = any(candidate not in self._asked for candidate in self._problem.initial)
        if is_due or not self._has_hope:
            return []
        with one_thread():
            self._choice = self._latest_choice(stream(self._problem.seed, "ask", len(self._asked)))
            if self._choice is None:
                return []
            best = np.argsort(-self._choice.gains(self._choice.pool), kind="stable")
            return [self._choice.pool.candidates[row] for row in best[:most]]

    def expected_gains(self, candidates: Sequence[Candidate]) -> Array:
        assert self._choice is not None
        with one_thread():
            return self._choice.gains(self._catalogue.pool(candidates))

    def _propose(self, rng: np.random.Generator) -> Candidate:
        choice = self._latest_choice(rng)
        if choice is not None:
            return choice.pool.candidates[int(choice.gains(choice.pool).argmax())]
        if self._guessed is not None and len(pool := self._guesses(self._guessed)):
            return pool.candidates[int(rng.integers(len(pool)))]
        if self._stays_near:
            return neighbour(self._catalogue, self._problem.initial, rng)
        if working := self._working_among_failures():
            return neighbour(self._catalogue, working, rng)
        waiting = self._catalogue.pool(list(self._pending.values()))
        known = np.array([*self._history.features, *waiting.features])
        return farthest(self._catalogue, known, rng, self._asked)

    def _working_among_failures(self) -> list[Candidate]:
        """Return what did not fail, on every other turn while most does; else nothing.

        Where little works at all, what is far from that works least.
        """
        worked = np.isfinite(np.array(self._history.violations))
        is_due = len(self._told) >= 2 * self._settings.n_initial and len(self._asked) % 2 == 1
        if not is_due or 2 * worked.sum() >= len(worked):
            return []
        return [self._history.trials[row].candidate for row in np.flatnonzero(worked)]

    @property
    def _stays_near(self) -> bool:
        """Whether the next candidate has to be kin of known ones."""
        return self._has_kin and len(self._asked) % EVERY != EVERY - 1

    def _guesses(self, guessed: Guessed) -> Pool:
        """Return candidates that promise much: kin of the best, or samples of the space."""
        out, n_asked = self._told | set(self._pending), len(self._asked)
        parents = self._front(self._history, FEWEST_PARENTS) or list(self._problem.initial)
        if parents and self._is_turn_of_kin(guessed, n_asked):
            kin = guessed.kin(parents, n_asked, out)
            if len(kin):
                return kin
        return guessed.anywhere(n_asked, out)

    def _is_turn_of_kin(self, guessed: Guessed, n_asked: int) -> bool:
        trials, known = self._history.trials, self._known_rows()
        costs, violations = np.array(self._history.costs), np.array(self._history.violations)
        ranks = ranking(costs, violations).rank if trials else np.zeros(0, dtype=np.int64)
        found = [trials[row].candidate for row in np.flatnonzero(~known)]
        told = Told(found, ranks[~known], int(ranks[known].min(initial=len(trials))))
        share = guessed.share_of_samples(told, n_asked)
        return bool(stream(self._problem.seed, "turn", n_asked).random() >= share)

    def _known_rows(self) -> NDArray[np.bool_]:
        """Return which trials are of networks that were known before."""
        identity = self._problem.identity
        initial = {identity(candidate) for candidate in self._problem.initial}
        known = [identity(trial.candidate) in initial for trial in self._history.trials]
        return np.array(known, dtype=bool)

    def _latest_choice(self, rng: np.random.Generator) -> _Choice | None:
        """Return what there is to choose from; None if nothing was learned, or nothing is left."""
        waiting = self._catalogue.pool(list(self._pending.values()))
        if len(self._told) + len(waiting) < self._settings.n_initial:
            return None
        knowledge = self._latest_knowledge()
        if knowledge.lessons is None:
            return None
        outlook = knowledge.lessons.outlook(self._history.condensed(MOST_TRIALS), waiting)
        if self._guessed is not None:
            pool = self._guesses(self._guessed)
            return _Choice(pool, outlook, None) if len(pool) else None
        shortlist = self._shortlist(knowledge, near=self._stays_near)
        if shortlist is None:
            return None
        pool = shortlist.pool
        if self._everything is None:
            pool = pool.joined(self._neighbours(pool, rng))
        pool = self._open(pool)
        if len(pool) == 0 and self._everything is not None:
            pool = self._open(self._everything)
        if len(pool) == 0:
            return None
        return _Choice(pool, outlook, shortlist.extent.widened(outlook.front))

    def _open(self, pool: Pool) -> Pool:
        """Return what is left of a pool: neither told nor pending, and not ruled out."""
        return self._catalogue.least_violating(pool.without(self._told | set(self._pending)))

    @collector_paused()
    def _neighbours(self, pool: Pool, rng: np.random.Generator) -> Pool:
        """Return neighbours of the best of the short list and of the front."""
        parents = [*pool.candidates[: NEIGHBOURS // 2], *self._front(self._history)]
        space = self._problem.space
        drawn = [parents[int(rng.integers(len(parents)))] for _ in range(NEIGHBOURS)]
        return self._catalogue.pool([space.mutate(parent, rng) for parent in drawn])

    def _front(self, history: History, fewest: int = 1) -> list[Candidate]:
        """Return the feasible candidates of the front, and of the next ones up to `fewest`."""
        candidates, costs = history.feasible()
        return [candidates[row] for row in first_fronts(costs, fewest)]

    def _latest_knowledge(self) -> _Knowledge:
        """Return what was learned when it was last due: a function of the first trials alone."""
        n_trials = _last_due(len(self._history))
        if self._knowledge is None or self._knowledge.n_trials != n_trials:
            self._knowledge = self._learn(self._history.first(n_trials))
        return self._knowledge

    def _learn(self, history: History) -> _Knowledge:
        n_trials, history = len(history), history.condensed(MOST_TRIALS)
        layout = self._catalogue.layout(len(history.features[0])) if len(history) else UNKNOWN
        learned = lessons(history, self._cheap_names(history), layout)
        return _Knowledge(n_trials, history, learned)

    def _shortlist(self, knowledge: _Knowledge, *, near: bool) -> _Shortlist | None:
        """Return what looked best when it was learned: of the kin of what was measured, or of all.

        In a space that is too large to list, either costs hundreds of new candidates: an ask pays
        for the one that it needs.
        """
        if near not in knowledge.shortlists:
            knowledge.shortlists[near] = self._best_then(knowledge, near=near)
        return knowledge.shortlists[near]

    def _best_then(self, knowledge: _Knowledge, *, near: bool) -> _Shortlist | None:
        assert knowledge.lessons is not None
        history = knowledge.history
        outlook = knowledge.lessons.outlook(history, self._catalogue.pool([]))
        pool = self._everything
        if pool is None:
            rng = stream(self._problem.seed, "kin" if near else "pool", knowledge.n_trials)
            parents = self._front(history, FEWEST_PARENTS if near else 1)
            pool = self._grown(outlook, parents or list(self._problem.initial), rng, roams=not near)
        told = self._history.trials[: knowledge.n_trials]
        pool = pool.without({self._problem.identity(trial.candidate) for trial in told})
        if len(pool) == 0:
            return None
        scores, extent = outlook.scored(pool)
        best = np.argsort(-scores, kind="stable")
        return _Shortlist(pool.at(best[: self._settings.shortlist_size]), extent)

    def _grown(
        self, outlook: Outlook, front: list[Candidate], rng: np.random.Generator, *, roams: bool
    ) -> Pool:
        def score(pool: Pool) -> Array:
            return outlook.scored(pool)[0]

        parents = [front[i] for i in rng.permutation(len(front))[:MOST_PARENTS]]
        size = self._settings.pool_size
        return grow(self._catalogue, parents, rng, size=size, score=score, roams=roams)

    def _cheap_names(self, history: History) -> frozenset[str]:
        """Return the names of values that need not be learned, as every candidate has them."""
        told = self._catalogue.pool([trial.candidate for trial in history.trials])
        pools = [told] if self._everything is None else [told, self._everything]
        known = ({name for name, v in pool.cheap.items() if np.isfinite(v).all()} for pool in pools)
        return frozenset.intersection(*map(frozenset, known))


def _last_due(n_trials: int) -> int:
    """Return the last number of trials, up to `n_trials`, at which to learn anew."""
    due = 0
    while (following := max(due + 1, ceil(due * GROWTH))) <= n_trials:
        due = following
    return due
