"""The Ray Tune adapter by itself: what it asks, what it tells, and what it saves."""

import json
import math
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pytest

pytest.importorskip("ray")

from ray.tune.search import ConcurrencyLimiter
from ray.tune.search import Searcher as TuneSearcher

from niwaki.core.candidate import Candidate
from niwaki.core.constraints import Bound
from niwaki.core.errors import ConfigError, SpaceError, StudyError
from niwaki.core.measurement import Status, Trial
from niwaki.core.objectives import Direction, Objective
from niwaki.search.base import Problem, Searcher
from niwaki.search.nsga2 import NSGA2, NSGA2Settings
from niwaki.search.random_search import RandomSearch
from niwaki.search.ray_tune_searcher import FIDELITY, RayTuneSearcher, candidate_of
from niwaki.spaces import Choice, ChoiceSpace, Condition

SPACE = ChoiceSpace(
    (
        Choice("kind", ("plain", "wide")),
        Choice("width", (8, 16, 32), when=(Condition("kind", ("wide",)),)),
        *(Choice(f"x{i}", tuple(range(4))) for i in range(4)),
    )
)
GAIN = Objective("gain", Direction.MAXIMIZE)
PRICE = Objective("price", Direction.MINIMIZE)
TWO = Problem(SPACE, (GAIN, PRICE), (Bound("weight", 1.0, 9.0),))


def evolution(problem: Problem) -> NSGA2:
    return NSGA2(problem, NSGA2Settings(population_size=6))


class Listener(RandomSearch):
    """Keeps what it was told."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.told: list[Trial] = []

    def tell(self, trials: Sequence[Trial]) -> None:
        super().tell(trials)
        self.told.extend(trials)


class Listeners(list[Listener]):
    """Every listener that was made; the last one is asked and told."""

    def __call__(self, problem: Problem) -> Searcher:
        self.append(Listener(problem))
        return self[-1]


def told(result: dict[str, object] | None, *, error: bool = False, max_t: int = 27) -> Trial:
    """Return what a searcher is told when a trial ends with `result`."""
    listeners = Listeners()
    adapter = RayTuneSearcher(listeners, TWO, max_t=max_t)
    adapter.suggest("a")
    adapter.on_trial_complete("a", result, error)
    adapter.suggest("b")
    [trial] = listeners[-1].told
    return trial


def result(gain: float | None, iteration: int) -> dict[str, object]:
    return {"gain": gain, "price": 1.0, "weight": 1.0, "training_iteration": iteration}


def results(candidate: Candidate) -> dict[str, float]:
    levels = [float(str(candidate.decisions[f"x{i}"])) for i in range(4)]
    weight = sum(levels) + (candidate.decisions["kind"] == "wide")
    price = sum((3 - level) ** 2 for level in levels)
    return {"gain": -price, "price": sum(levels), "weight": weight, "training_iteration": 27}


def drive(
    adapter: TuneSearcher, numbers: range, running: list[tuple[str, Candidate]]
) -> list[object]:
    """Start these trials as Tune would, three at a time; returns what was suggested.

    Args:
        adapter: Asked and told.
        numbers: Names of the trials.
        running: What runs already, and afterwards what still does.
    """
    suggested: list[object] = []
    for number in numbers:
        config = adapter.suggest(str(number))
        assert isinstance(config, dict)
        suggested.append(config)
        running.append((str(number), candidate_of(config, SPACE)))
        if len(running) == 3:
            name, candidate = running.pop(1)
            end(adapter, name, results(candidate))
    return suggested


def end(adapter: TuneSearcher, name: str, last: dict[str, float]) -> None:
    """End a trial: one that gains little has been stopped by then, paused or not."""
    reached = 27 if last["gain"] > -16 else 3 + 6 * (int(name) % 2)
    for iteration in (1, 3, 9, 27):
        part = {**last, "gain": last["gain"] - 27 / iteration, "training_iteration": iteration}
        if iteration < reached or (iteration == reached == 9):
            adapter.on_trial_result(name, part)
        if iteration == reached:
            adapter.on_trial_complete(name, None if reached == 9 else part)


def test_a_suggestion_is_the_decisions_of_a_valid_candidate() -> None:
    config = RayTuneSearcher(evolution, TWO).suggest("a")
    candidate = candidate_of({**config, "batch_size": 32, "loader": object()}, SPACE)
    assert dict(candidate.decisions) == config
    SPACE.validate(candidate)


def test_lists_of_a_configuration_that_was_json_are_tuples_again() -> None:
    space = ChoiceSpace((Choice("shape", ((1, (2, 3)), (4,))),))
    config = json.loads(json.dumps({"shape": (1, (2, 3))}))
    assert candidate_of(config, space).decisions["shape"] == (1, (2, 3))


def test_a_configuration_without_a_decision_is_refused() -> None:
    with pytest.raises(SpaceError, match="'kind' is missing"):
        candidate_of({"x0": 1}, SPACE)


def test_metrics_and_modes_are_those_of_the_problem() -> None:
    adapter = RayTuneSearcher(evolution, TWO)
    assert list(adapter.metric) == ["gain", "price"]
    assert list(adapter.mode) == ["max", "min"]
    single = RayTuneSearcher(evolution, Problem(SPACE, (PRICE,)))
    assert (single.metric, single.mode) == ("price", "min")


def test_a_finished_trial_is_told_with_its_values() -> None:
    trial = told({"gain": 1, "price": np.float32(2), "weight": 3.0, "training_iteration": 27})
    assert trial.measurement.complete
    assert dict(trial.measurement.values) == {"gain": 1.0, "price": 2.0, "weight": 3.0}
    assert (trial.measurement.fidelity, dict(trial.measurement.details)) == (1.0, {})


def test_a_trial_that_was_stopped_early_is_told_as_such() -> None:
    trial = told({"gain": 1.0, "price": 2.0, "weight": 3.0, "training_iteration": 9})
    assert trial.measurement.complete
    assert trial.measurement.fidelity == pytest.approx(1 / 3)
    assert trial.measurement.details["stopped_early"] is True


def test_a_result_may_say_its_fidelity_itself() -> None:
    trial = told(
        {"gain": 1.0, "price": 2.0, "weight": 3.0, "training_iteration": 27, "fidelity": 0.25}
    )
    assert trial.measurement.fidelity == 0.25


@pytest.mark.parametrize(
    ("result", "error", "reason"),
    [
        (None, True, "the trial failed"),
        (None, False, "without a result"),
        ({"gain": 1.0, "weight": 1.0, "training_iteration": 27}, False, "no finite 'price'"),
        (
            {"gain": math.nan, "price": 1.0, "weight": 1.0, "training_iteration": 27},
            False,
            "no finite 'gain'",
        ),
        (result(None, 27), False, "no finite 'gain'"),
        ({**result(1.0, 27), "price": "cheap"}, False, "no finite 'price'"),
        ({"gain": 1.0, "price": 1.0, "training_iteration": 27}, False, "no finite 'weight'"),
    ],
)
def test_a_trial_without_what_is_wanted_has_failed(
    result: dict[str, object] | None, error: bool, reason: str
) -> None:
    measurement = told(result, error=error).measurement
    assert measurement.status is Status.FAILED
    assert reason in measurement.reason


def test_a_trial_that_was_stopped_while_it_was_paused_is_told_with_its_last_result() -> None:
    listeners = Listeners()
    adapter = RayTuneSearcher(listeners, TWO, max_t=27)
    adapter.suggest("a")
    for iteration in range(1, 10):
        adapter.on_trial_result("a", result(float(iteration), iteration))
    adapter.on_trial_complete("a")  # as `HyperBandScheduler` ends it
    adapter.suggest("b")
    [trial] = listeners[-1].told
    assert (trial.measurement.status, trial.measurement.values["gain"]) == (Status.COMPLETE, 9.0)
    assert trial.measurement.fidelity == pytest.approx(1 / 3)


@pytest.mark.parametrize("stopped_first", [True, False])
def test_values_of_little_effort_are_told_on_the_scale_of_the_full_one(stopped_first: bool) -> None:
    listeners = Listeners()
    adapter = RayTuneSearcher(listeners, TWO, max_t=27)
    names = "abcd"
    for name in names:
        adapter.suggest(name)
    for name in reversed(names) if stopped_first else names:
        for iteration in range(1, 9):
            adapter.on_trial_result(name, result(1.0, iteration))
        if name == "d":  # stopped where the others had gained as much
            adapter.on_trial_complete(name, result(5.0, 9))
            continue
        adapter.on_trial_result(name, result(5.0, 9))
        adapter.on_trial_complete(name, result(20.0, 27))
    adapter.suggest("e")
    assert len(listeners[-1].told) == 4
    assert [trial.measurement.values["gain"] for trial in listeners[-1].told] == pytest.approx(
        [20] * 4
    )


def test_few_results_of_a_long_trial_are_kept(tmp_path: Path) -> None:
    adapter = RayTuneSearcher(RandomSearch, TWO, max_t=1000)
    adapter.suggest("a")
    for iteration in range(1, 1000):
        adapter.on_trial_result("a", result(1.0, iteration))
    adapter.save(str(tmp_path / "state"))
    seen = json.loads((tmp_path / "state").read_text())["seen"]["a"]
    assert 10 < len(seen) < 100
    assert seen[-1]["fidelity"] == 0.999


def weight_of(candidate: Candidate) -> dict[str, float]:
    return {"weight": results(candidate)["weight"]}


def test_what_costs_nothing_is_computed_and_turns_candidates_away(tmp_path: Path) -> None:
    listeners = Listeners()
    problem = Problem(SPACE, (GAIN, PRICE), (Bound("weight", 1.0, 5.0),), cheap=weight_of)
    adapter = RayTuneSearcher(listeners, problem, max_t=27)
    for number in range(40):
        candidate = candidate_of(adapter.suggest(str(number)), SPACE)
        assert results(candidate)["weight"] <= 5.0
        adapter.on_trial_complete(str(number), {"gain": 1.0, "price": 1.0, FIDELITY: 1.0})
    heard = [trial.measurement for trial in listeners[-1].told]
    assert sum(each.complete for each in heard) == 40
    away = [each for each in heard if each.status is Status.INFEASIBLE]
    assert away
    assert all(each.values["weight"] > 5.0 for each in away)
    adapter.save(str(tmp_path / "saved"))
    again = RayTuneSearcher(listeners, problem, max_t=27)
    again.restore(str(tmp_path / "saved"))
    assert again.suggest("next") == adapter.suggest("next")
    assert [each.measurement for each in listeners[-1].told[: len(heard)]] == heard


def test_what_costs_nothing_is_computed_once_per_trial() -> None:
    counted: list[Candidate] = []

    def weight(candidate: Candidate) -> dict[str, float]:
        counted.append(candidate)
        return weight_of(candidate)

    problem = Problem(SPACE, (GAIN,), (Bound("weight", 1.0, 99.0),), cheap=weight)
    adapter = RayTuneSearcher(RandomSearch, problem, max_t=27)
    for name in "ab":
        candidate = candidate_of(adapter.suggest(name), SPACE)
        for iteration in range(1, 28):
            adapter.on_trial_result(name, {"gain": 1.0, "training_iteration": iteration})
        adapter.on_trial_complete(name, {"gain": 1.0, "training_iteration": 27})
        assert counted.count(candidate) == 1


def test_where_every_candidate_breaks_a_bound_the_run_is_over() -> None:
    bounds = (Bound("weight", 1.0, -1.0),)
    adapter = RayTuneSearcher(Listeners(), Problem(SPACE, (GAIN,), bounds, cheap=weight_of))
    assert adapter.suggest("a") == TuneSearcher.FINISHED


def test_results_without_the_time_attribute_are_an_error() -> None:
    with pytest.raises(ConfigError, match="'training_iteration', which `time_attr` names"):
        told({"gain": 1.0, "price": 2.0, "weight": 3.0})


def test_a_space_without_more_candidates_finishes_the_run() -> None:
    space = ChoiceSpace((Choice("x", (0, 1)),))
    adapter = RayTuneSearcher(RandomSearch, Problem(space, (GAIN,)))
    suggested = [adapter.suggest(name) for name in "abc"]
    assert [s["x"] for s in sorted(suggested[:2], key=str)] == [0, 1]
    assert suggested[2] == TuneSearcher.FINISHED


def test_no_more_run_at_once_than_tune_allows() -> None:
    limited = ConcurrencyLimiter(RayTuneSearcher(evolution, TWO), max_concurrent=2)
    assert limited.suggest("a") and limited.suggest("b")
    assert limited.suggest("c") is None
    limited.on_trial_complete("a", {"gain": 1.0, "price": 1.0, "weight": 1.0})
    assert limited.suggest("c")


def test_a_trial_that_the_scheduler_of_bohb_pauses_is_on_its_way_still() -> None:
    listeners = Listeners()
    limited = ConcurrencyLimiter(RayTuneSearcher(listeners, TWO, max_t=27), max_concurrent=2)
    limited.suggest("a")
    limited.on_trial_result("a", result(1.0, 9))
    limited.on_pause("a")
    limited.on_unpause("a")
    assert not listeners[-1].told
    limited.on_trial_complete("a", result(2.0, 27))
    limited.suggest("b")
    assert [trial.measurement.values["gain"] for trial in listeners[-1].told] == [2.0]


def restored(adapter: RayTuneSearcher, path: Path) -> RayTuneSearcher:
    adapter.save(str(path))
    another = RayTuneSearcher(evolution, TWO, max_t=27)
    another.restore(str(path))
    return another


def pickled(adapter: RayTuneSearcher, path: Path) -> RayTuneSearcher:
    path.write_bytes(pickle.dumps(adapter))
    loaded: RayTuneSearcher = pickle.loads(path.read_bytes())
    return loaded


@pytest.mark.parametrize("interrupted", [restored, pickled])
def test_a_search_goes_on_as_if_it_had_not_been_interrupted(
    interrupted: Callable[[RayTuneSearcher, Path], RayTuneSearcher], tmp_path: Path
) -> None:
    whole = drive(RayTuneSearcher(evolution, TWO, max_t=27), range(30), [])
    running: list[tuple[str, Candidate]] = []
    first = RayTuneSearcher(evolution, TWO, max_t=27)
    before = drive(first, range(18), running)
    second = interrupted(first, tmp_path / "state")
    assert before + drive(second, range(18, 30), running) == whole


class _Says(RandomSearch):
    """Proposes whatever it was told to."""

    def __init__(self, problem: Problem, answers: Sequence[object]) -> None:
        super().__init__(problem)
        self._answers = iter(answers)

    def ask(self, n: int, pending: Sequence[Candidate] = ()) -> list[Candidate]:
        return cast("list[Candidate]", next(self._answers))


FIRST = SPACE.decide(lambda _, options: options[0])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([FIRST], "again: let it remember"),
        ([Candidate.of({**FIRST.decisions, "x0": 9})], "not of its space: decision 'x0' is 9"),
        ([FIRST, FIRST], "it must be a list of one Candidate"),
        (None, "gave None: it must be a list of one Candidate"),
    ],
)
def test_a_searcher_that_proposes_something_else_is_told(
    answer: list[Candidate] | None, said: str, tmp_path: Path
) -> None:
    asked = RayTuneSearcher(lambda p: _Says(p, [[FIRST]]), TWO)
    asked.suggest("a")
    asked.save(str(tmp_path / "state"))
    adapter = RayTuneSearcher(lambda p: _Says(p, [answer]), TWO)
    adapter.restore(str(tmp_path / "state"))
    with pytest.raises(StudyError, match=said):
        adapter.suggest("b")


@pytest.mark.parametrize(
    ("max_t", "ends", "said"),
    [
        (9, {0: 27}, "`max_t` of RayTuneSearcher is 9, but trials go on beyond it, to 27"),
        (81, {0: 27, 1: 27, 2: 27}, "of 20 trials none came there, and 3 ended at 27"),
        (27, {0: 27, 1: 27, 2: 27}, ""),
        (27, {}, "of 20 trials none came there, and 20 ended at 3"),
    ],
)
def test_another_end_than_the_schedulers_is_told_once(
    max_t: int, ends: dict[int, int], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    adapter = RayTuneSearcher(RandomSearch, TWO, max_t=max_t)
    for number in range(25):
        adapter.suggest(str(number))
        for iteration in (1, 3, 9, 27):
            if iteration < ends.get(number, 3):
                adapter.on_trial_result(str(number), result(1.0, iteration))
        adapter.on_trial_complete(str(number), result(1.0, ends.get(number, 3)))
    assert len(caplog.messages) == bool(said)
    assert said in caplog.text


def test_a_trial_on_its_way_beyond_the_others_raises_no_doubt(
    caplog: pytest.LogCaptureFixture,
) -> None:
    adapter = RayTuneSearcher(RandomSearch, TWO, max_t=27)
    adapter.suggest("first")
    adapter.on_trial_result("first", result(1.0, 9))
    for number in range(25):
        adapter.suggest(str(number))
        adapter.on_trial_complete(str(number), result(1.0, 3))
    assert not caplog.messages
