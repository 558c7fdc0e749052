"""Values that say that a candidate is bad, and no more, and what a search makes of them."""

from collections.abc import Callable

import numpy as np
import pytest

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Measurement, Status, Trial
from niwaki.core.randomness import stream
from niwaki.search import Problem
from niwaki.search.base import Searcher
from niwaki.search.botorch_searcher import BotorchSearcher, BotorchSettings
from niwaki.search.linas import Linas, LinasSettings
from niwaki.search.surrogate import Surrogate
from niwaki.search.surrogate.far_out import far_out
from niwaki.search.surrogate.history import History
from tests.search.test_surrogate import LAYERS, OBJECTIVES, values

NOWHERE = -np.inf


def test_what_nature_gives_is_not_far_out() -> None:
    rng = stream(0, "costs")
    latencies = rng.lognormal(0.0, 1.0, 500)
    accuracies = -np.append(rng.normal(65.0, 3.0, 480), rng.uniform(30.0, 45.0, 20))
    doubling = np.repeat([1.0, 2.0, 4.0, 8.0, 16.0], 3)
    levels = np.repeat([1.0, 2.0, 3.0], 3)
    few = np.array([1.0, 1.1, 1.2, 30.0, 40.0, 50.0])  # three may be alike by chance
    one = np.array([2.0])
    for costs in (latencies, accuracies, doubling, levels, few, np.full(9, 3.0), one):
        assert not far_out(costs, NOWHERE).any()


@pytest.mark.parametrize("shift", [0.0, -20.0])
@pytest.mark.parametrize("penalty", [1e4, 1e30])
def test_a_penalty_is_far_out(shift: float, penalty: float) -> None:
    costs = np.append(stream(1, "costs").uniform(8.0, 13.0, 30) + shift, penalty)
    assert np.flatnonzero(far_out(costs, NOWHERE)).tolist() == [30]


@pytest.mark.parametrize("bad", [[0.0, 0.0], [-10.0, -10.2, -9.9]])
def test_what_learned_nothing_is_far_out_once_two_are_alike(bad: list[float]) -> None:
    good = stream(2, "costs").uniform(-72.0, -55.0, 8)
    assert not far_out(np.append(good, bad[:1]), NOWHERE).any()
    assert not far_out(np.append(good[:5], bad), NOWHERE).any()
    assert np.flatnonzero(far_out(np.append(good, bad), NOWHERE)).tolist() == [
        *range(8, 8 + len(bad))
    ]


def test_a_front_may_end_behind_a_gap() -> None:
    costs = np.array([8.0, 9.0, 10.0, 11.0, 12.0, 500.0, 1e6])
    assert far_out(costs, 12.0).tolist() == [*[False] * 5, True, True]
    assert not far_out(costs, 1e6).any()


def small_linas(problem: Problem) -> Searcher:
    return Linas(problem, LinasSettings(population_size=12, inner_evaluations=200, n_grid=2))


def asked(make: Callable[[Problem], Searcher], penalty: float | None) -> list[Candidate]:
    """Return what is asked for where networks whose first layer is small get a penalty, or fail."""
    rng = stream(4, "candidates")
    known = list({candidate: None for candidate in (LAYERS.sample(rng) for _ in range(40))})[:24]
    searcher = make(Problem(LAYERS, OBJECTIVES, seed=1))
    searcher.resume(known)
    for number, candidate in enumerate(known):
        measured = {name: 1.0 + value for name, value in values(candidate).items()}
        status = Status.COMPLETE
        if candidate.decisions["layer0"] == "small":
            if penalty is None:
                measured, status = {}, Status.FAILED
            else:
                measured = dict.fromkeys(measured, penalty)
        measurement = Measurement(candidate.key, measured, status=status)
        searcher.tell([Trial(number, candidate, measurement)])
    return searcher.ask(3)


@pytest.mark.parametrize("make", [Surrogate, small_linas])
def test_penalties_are_taken_for_failures(make: Callable[[Problem], Searcher]) -> None:
    assert asked(make, 1e6) == asked(make, 1e12) == asked(make, None)


def test_botorch_takes_penalties_for_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("botorch")
    # Fits are stopped early: what they are given is the question.
    monkeypatch.setattr("niwaki.search.botorch_model.N_STEPS", 2)
    settings = BotorchSettings(n_initial=12, pool_size=20, n_samples=8)

    def small_botorch(problem: Problem) -> Searcher:
        return BotorchSearcher(problem, settings)

    assert asked(small_botorch, 1e6) == asked(small_botorch, None)


def test_a_penalty_for_one_value_says_nothing_against_the_others() -> None:
    history = History(Problem(LAYERS, OBJECTIVES))
    rng = stream(3, "candidates")
    for number in range(10):
        candidate = LAYERS.sample(rng)
        measured = {name: 10.0 + value for name, value in values(candidate).items()}
        if number == 7:
            measured[OBJECTIVES[1].name] = 1e6 * OBJECTIVES[1].sign
        trial = Trial(number, candidate, Measurement(candidate.key, measured))
        history.add([trial], LAYERS.encode([candidate]))
    judged = history.without_penalties([objective.name for objective in OBJECTIVES])
    one, other = (judged.column(objective.name) for objective in OBJECTIVES)
    assert np.isfinite(one).all()
    assert np.flatnonzero(np.isnan(other)).tolist() == [7]
    assert judged.outcomes()[1].tolist() == [*[1.0] * 7, 0.0, 1.0, 1.0]
    assert np.isfinite(history.violations).all()
