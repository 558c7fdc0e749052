"""Searchers that know nothing of fidelities, told as if all effort had been full."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Status, Trial
from niwaki.search.base import Problem, Searcher
from niwaki.search.nsga2 import NSGA2
from niwaki.search.schedulers.full_effort_view import FullEffortView
from niwaki.testing.scheduler_contract import TOY, measure


class Notebook(Searcher):
    """Writes down what it is told, since it was made."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.told: list[Trial] = []
        self.n_asked = 0

    def ask(self, n: int, pending: Sequence[Candidate] = ()) -> list[Candidate]:
        self.n_asked += n
        return []

    def tell(self, trials: Sequence[Trial]) -> None:
        self.told += trials

    def resume(self, asked: Sequence[Candidate]) -> None:
        self.n_asked += len(asked)


def trial(number: int, fidelity: float) -> Trial:
    """Return the toy's measurement of the candidate of a number."""
    candidate = TOY.space.sample(np.random.default_rng(number))
    return Trial(number, candidate, measure(candidate, fidelity))


def latest() -> tuple[FullEffortView, list[Notebook]]:
    """Return a view, and every notebook that it makes."""
    made: list[Notebook] = []

    def make(problem: Problem) -> Searcher:
        made.append(Notebook(problem))
        return made[-1]

    return FullEffortView(TOY.problem(seed=0), make), made


def test_full_trials_are_told_as_they_are() -> None:
    view, made = latest()
    trials = [trial(number, 1.0) for number in range(5)]
    view.tell(trials)
    assert len(made) == 1
    assert made[0].told == trials


def test_each_candidate_is_told_once_with_its_highest_fidelity() -> None:
    view, made = latest()
    low = [trial(number, 0.1) for number in range(10)]
    high = [trial(number, 1.0) for number in range(3)]
    view.tell([*low, *high])
    view.ask(1)
    told = made[-1].told
    assert [t.candidate for t in told] == [t.candidate for t in low]
    assert told[:3] == high
    assert {t.measurement.fidelity for t in told[3:]} == {0.1}


def test_no_candidate_is_told_twice_between_two_times_of_learning_anew() -> None:
    view, made = latest()
    view.tell([trial(number, 0.1) for number in range(60)])
    for number in range(40):
        view.tell([trial(number, 1.0)])
        view.ask(1)
        told = [t.candidate for t in made[-1].told]
        assert len(set(told)) == len(told) == 60


def test_low_values_are_brought_to_the_scale_of_high_ones() -> None:
    view, made = latest()
    low = [trial(number, 0.1) for number in range(60)]
    view.tell([*low, *(trial(number, 1.0) for number in range(20))])
    view.ask(1)
    truths = np.array([TOY.truth(t.candidate).values["accuracy"] for t in low[20:]])
    told = np.array([t.measurement.values["accuracy"] for t in made[-1].told[20:]])
    raw = np.array([t.measurement.values["accuracy"] for t in low[20:]])
    assert abs((raw - truths).mean()) > 2.0
    assert abs((told - truths).mean()) < 0.5
    assert [t.measurement.values["cost"] for t in made[-1].told] == [
        TOY.truth(t.candidate).values["cost"] for t in low
    ]


def test_a_candidate_that_failed_later_has_failed() -> None:
    view, made = latest()
    first = trial(0, 0.1)
    failed = replace(first.measurement, values={}, status=Status.FAILED, fidelity=1.0)
    view.tell([first, replace(first, measurement=failed)])
    view.ask(1)
    assert [t.measurement.status for t in made[-1].told] == [Status.FAILED]


def test_learning_anew_becomes_rare() -> None:
    view, made = latest()
    for number in range(300):
        view.tell([trial(number, 0.1), trial(number, 1.0)])
        view.ask(1)
    assert 10 < len(made) < 80


@pytest.mark.parametrize("n_before", [3, 25, 59])
def test_resuming_is_going_on(n_before: int) -> None:
    whole = FullEffortView(TOY.problem(seed=0), NSGA2)
    asked: list[Candidate] = []
    told: list[Trial] = []
    n_told_before: list[int] = []
    for number in range(60):
        n_told_before.append(len(told))
        asked += whole.ask(1)
        new = [Trial(number, asked[-1], measure(asked[-1], 0.1))]
        if number % 3 == 2:
            new.append(Trial(number, asked[-2], measure(asked[-2], 1.0)))
        whole.tell(new)
        told += new
    resumed = FullEffortView(TOY.problem(seed=0), NSGA2)
    resumed.resume(asked[:n_before])
    resumed.tell(told[: n_told_before[n_before]])
    assert resumed.ask(1) == [asked[n_before]]
