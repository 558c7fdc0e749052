"""Lets a searcher that knows nothing of fidelities learn from all of them."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Trial
from niwaki.search.base import Problem, Searcher
from niwaki.search.schedulers.estimates import Corrections, Estimates, at_full
from niwaki.search.vetting import are_candidates

PATIENCE = 0.1  # growth of the number of promotions after which all estimates are made anew


class FullEffortView(Searcher):
    """Tells a searcher one trial of each candidate, at what it is expected to be worth.

    Values of little effort are brought to the scale of the full one, by what candidates that were
    measured at both have shown so far. As more of these come, the estimates of all others change,
    and a searcher cannot unlearn: so it is made anew and told everything again, which is exact, as
    a searcher is a pure function of what it was asked and told. That is done after each of the
    first promotions, and then ever more rarely, so that it costs a constant factor; until then a
    candidate that was promoted is worth what was expected of it before.

    Args:
        problem: What is searched.
        make: Makes the searcher; called each time that it has to learn anew.
    """

    sees_fidelities = True

    def __init__(self, problem: Problem, make: Callable[[Problem], Searcher]) -> None:
        self._problem, self._make = problem, make
        self._searcher = make(problem)
        self._asked: list[Candidate] = []
        self._estimates = Estimates(problem)
        self._told: list[Trial] = []  # what the searcher should know
        # As of the last time that all were made anew.
        self._corrections: Corrections = {}
        self._n_pairs = 0
        self._stale = False

    @property
    def n_left(self) -> int | None:
        return self._searcher.n_left

    def ask(self, n: int, pending: Sequence[Candidate] = ()) -> list[Candidate]:
        proposed = self._up_to_date().ask(n, pending)
        if are_candidates(proposed):  # if not, whoever asked says so
            self._asked.extend(proposed)
        return proposed

    def tell(self, trials: Sequence[Trial]) -> None:
        for trial in trials:
            self._tell(trial)

    def resume(self, asked: Sequence[Candidate]) -> None:
        self._asked.extend(asked)
        if not self._stale:
            self._searcher.resume(asked)

    def _tell(self, trial: Trial) -> None:
        is_known = self._estimates.knows(trial.candidate.key)
        self._estimates.tell([trial])
        if self._estimates.n_pairs > self._n_pairs * (1.0 + PATIENCE):
            self._n_pairs = self._estimates.n_pairs
            self._corrections = self._estimates.corrections
            self._told = self._estimates.all_at_full()
            self._stale = True
            return
        if is_known:
            return
        seen = at_full(trial, self._corrections)
        self._told.append(seen)
        if not self._stale:
            self._searcher.tell([seen])

    def favourites(self, most: int) -> list[Candidate]:
        return self._up_to_date().favourites(most)

    def expected_gains(self, candidates: Sequence[Candidate]) -> NDArray[np.float64]:
        return self._searcher.expected_gains(candidates)

    def _up_to_date(self) -> Searcher:
        if self._stale:
            self._searcher = self._make(self._problem)
            self._searcher.resume(self._asked)
            self._searcher.tell(self._told)
            self._stale = False
        return self._searcher
