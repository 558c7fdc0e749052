"""The study: the loop, its bounds and budgets, and what survives a kill."""

import logging
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from niwaki.core.candidate import Candidate
from niwaki.core.errors import ConfigError, RunFolderError, StudyError, TargetLostError
from niwaki.core.jsonable import JSON
from niwaki.core.measurement import Measurement, Status, Trial
from niwaki.core.objectives import Direction, Objective
from niwaki.search.base import Problem, Searcher
from niwaki.search.listed import Listed
from niwaki.search.nsga2 import NSGA2
from niwaki.search.random_search import RandomSearch
from niwaki.search.surrogate import Surrogate
from niwaki.spaces import Choice, ChoiceSpace
from niwaki.study.answers.tables import front_text
from niwaki.study.budget import Budget
from niwaki.study.executors.in_process import InProcessExecutor
from niwaki.study.executors.local_processes import LocalProcessExecutor
from niwaki.study.record.events import Asked, Baseline, Told
from niwaki.study.record.ledger import read_ledger
from niwaki.study.results.run import Run, load_front
from niwaki.study.study import BASELINE_NUMBER, Study, StudySettings
from niwaki.testing.toys import joint_toy
from tests.study.formulas import SPACE, FormulaEvaluator, formula_study
from tests.study.hearing import Hears


def told(folder: Path) -> list[tuple[int, str, str]]:
    """Return number, candidate and values of every told trial: all that must not change."""
    asked = {e.number: e for e in read_ledger(folder / "trials.jsonl") if isinstance(e, Asked)}
    return [
        (e.number, asked[e.number].candidate.key, str(dict(e.measurement.values)))
        for e in read_ledger(folder / "trials.jsonl")
        if isinstance(e, Told)
    ]


def test_the_budget_is_spent_exactly(tmp_path: Path) -> None:
    formula_study(tmp_path / "run", FormulaEvaluator(), n=25).run()
    assert len(told(tmp_path / "run")) == 25


class _Prepares(FormulaEvaluator):
    def prepare(self, folder: Path) -> None:
        (folder / "weights").write_text("trained")


def test_an_evaluator_finds_the_folder_where_it_keeps_what_it_prepares(tmp_path: Path) -> None:
    formula_study(tmp_path / "run", _Prepares(), n=2).run()
    assert (tmp_path / "run" / "artifacts" / "weights").read_text() == "trained"


@dataclass(frozen=True)
class Logging(FormulaEvaluator):
    """Fails where something stands between the log and whoever reads it."""

    def baseline(self) -> Candidate:
        assert logging.getLogger("niwaki").handlers == []
        return super().baseline()


def test_where_nobody_watches_what_is_logged_is_left_to_the_log(tmp_path: Path) -> None:
    assert formula_study(tmp_path / "run", Logging(), n=3).run().models


class Differentiating(FormulaEvaluator):
    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        torch.ones(1, requires_grad=True).sum().backward()  # type: ignore[no-untyped-call]
        return super().evaluate(candidate, fidelity=fidelity, seed=seed)


@pytest.mark.parametrize("nothing_followed", [torch.no_grad, torch.inference_mode])
def test_networks_are_trained_also_where_a_caller_wants_no_gradients(
    nothing_followed: Callable[[], AbstractContextManager[None]], tmp_path: Path
) -> None:
    with nothing_followed():
        assert formula_study(tmp_path / "run", Differentiating(), n=2).run().models
        assert not torch.is_grad_enabled()


def test_a_number_that_underflows_ends_no_search(tmp_path: Path) -> None:
    settings = StudySettings(("gain", "price"), budget=Budget(25))
    with np.errstate(all="raise"):
        assert Study(tmp_path / "run", FormulaEvaluator(), Surrogate, settings).run().models
        assert np.geterr()["under"] == "raise"


class Dividing(FormulaEvaluator):
    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        assert np.ones(1) / np.zeros(1) == np.inf
        return super().evaluate(candidate, fidelity=fidelity, seed=seed)


def test_where_numpy_was_told_to_say_nothing_it_says_nothing(tmp_path: Path) -> None:
    with np.errstate(divide="ignore"):
        assert formula_study(tmp_path / "run", Dividing(), n=2).run().models


def test_no_candidate_is_evaluated_twice(tmp_path: Path) -> None:
    visits = tmp_path / "visits"
    formula_study(tmp_path / "run", FormulaEvaluator(visits), n=60).run()
    searched = Counter(visits.read_text().split())
    searched.subtract([FormulaEvaluator().baseline().key])
    assert max(searched.values()) == 1


def test_the_front_is_that_of_all_trials(tmp_path: Path) -> None:
    front = formula_study(tmp_path / "run", FormulaEvaluator(), n=60).run()
    points = [(-m.values["gain"], m.values["price"]) for m in front.models]
    everything = [
        (-t.measurement.values["gain"], t.measurement.values["price"])
        for t in Run.read(tmp_path / "run").history.trials
    ]
    for point in points:
        assert not any(o != point and o[0] <= point[0] and o[1] <= point[1] for o in everything)
    assert [m.key for m in load_front(tmp_path / "run").models] == [m.key for m in front.models]


def test_the_same_seed_gives_the_same_search(tmp_path: Path) -> None:
    formula_study(tmp_path / "a", FormulaEvaluator(), seed=3).run()
    formula_study(tmp_path / "b", FormulaEvaluator(), seed=3).run()
    formula_study(tmp_path / "c", FormulaEvaluator(), seed=4).run()
    assert told(tmp_path / "a") == told(tmp_path / "b") != told(tmp_path / "c")


def test_infeasible_by_a_count_is_recorded_and_not_paid_for(tmp_path: Path) -> None:
    visits = tmp_path / "visits"
    study = formula_study(
        tmp_path / "run", FormulaEvaluator(visits), n=20, constraints=["weight <= 14"]
    )
    study.run()
    trials = Run.read(tmp_path / "run").history.trials
    refused = [t for t in trials if t.measurement.status is Status.INFEASIBLE]
    assert refused
    assert all(t.measurement.values["weight"] > 14 for t in refused)
    assert "weight <= 14" in refused[0].measurement.reason
    visited = visits.read_text().split()
    assert len(visited) == 20 + 1
    assert not {t.candidate.key for t in refused} & set(visited)


def test_bounds_relative_to_the_baseline_keep_the_front_inside(tmp_path: Path) -> None:
    study = formula_study(
        tmp_path / "run", FormulaEvaluator(), n=60, constraints=["price <= 0.5 * baseline"]
    )
    front = study.run()
    assert front.models
    assert all(model.values["price"] <= 0.5 * 6 * 16 for model in front.models)


def test_failures_are_recorded_and_the_search_goes_on(tmp_path: Path) -> None:
    formula_study(tmp_path / "run", FormulaEvaluator(fails=True), n=50).run()
    run = Run.read(tmp_path / "run")
    assert run.history.n_paid == 50
    assert run.failures
    assert all("x0 is 5" in failure.reason for failure in run.failures)


def test_a_search_where_everything_fails_stops_and_says_why(tmp_path: Path) -> None:
    class Broken(FormulaEvaluator):
        def evaluate(self, candidate, *, fidelity, seed):  # type: ignore[no-untyped-def]
            if candidate == self.baseline():
                return super().evaluate(candidate, fidelity=fidelity, seed=seed)
            raise ValueError("no such device")

    with pytest.raises(StudyError, match="no such device"):
        formula_study(tmp_path / "run", Broken(), n=500).run()
    assert len(told(tmp_path / "run")) == 20


def test_who_found_something_ends_when_nothing_else_keeps_to_the_constraints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("niwaki.study.steps.search_loop.INFEASIBLE_IN_A_ROW", 1000)
    hears = Hears()
    settings = StudySettings(("gain", "price"), ("weight <= 1",), budget=Budget(40))
    study = Study(tmp_path / "run", FormulaEvaluator(), NSGA2, settings, observer=hears)
    assert study.run().models
    [sentence] = [each for each in hears.said if "in a row" in each]
    assert re.search(r"1000 candidates in a row .*: the search ends after \d of 40", sentence)
    n = len(told(tmp_path / "run"))
    study.run()
    assert len(told(tmp_path / "run")) <= n + 1


class _OnlyTheBaseline(FormulaEvaluator):
    @property
    def space(self) -> ChoiceSpace:
        return SPACE.restricted({"x0"})

    def cheap(self, candidate: Candidate) -> Mapping[str, float]:
        return {}

    def baseline(self) -> Candidate:
        return self.space.decide(lambda _, options: options[-2])

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        if candidate == self.baseline():
            return Measurement(candidate.key, {"gain": 1.0, "price": 1.0})
        raise ValueError("out of memory")


def test_a_space_in_which_the_baseline_alone_works_is_no_error(tmp_path: Path) -> None:
    hears, settings = Hears(), StudySettings(("gain", "price"), budget=Budget(9))
    study = Study(tmp_path / "run", _OnlyTheBaseline(), NSGA2, settings, observer=hears)
    assert len(study.run().models) == 1
    [sentence] = [each for each in hears.said if "but the baseline" in each]
    assert "5 failed, the last one because ValueError: out of memory" in sentence


def test_a_failed_baseline_stops_the_study(tmp_path: Path) -> None:
    class Broken(FormulaEvaluator):
        def evaluate(self, candidate, *, fidelity, seed):  # type: ignore[no-untyped-def]
            raise ValueError("no data")

    with pytest.raises(StudyError, match=r"baseline.*no data"):
        formula_study(tmp_path / "run", Broken()).run()


class _SaysSoWithAFullStop(FormulaEvaluator):
    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        if candidate == self.baseline():
            return super().evaluate(candidate, fidelity=fidelity, seed=seed)
        raise ValueError("The device is gone.")


def test_a_reason_that_ends_with_a_full_stop_keeps_to_one(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"The device is gone \(.*\)\. Mend the cause"):
        formula_study(tmp_path / "run", _SaysSoWithAFullStop(), n=25).run()


def test_a_small_space_is_searched_to_its_end(tmp_path: Path) -> None:
    class Tiny(FormulaEvaluator):
        @property
        def space(self):  # type: ignore[no-untyped-def]
            return SPACE.restricted({"x0"})

        def evaluate(self, candidate, *, fidelity, seed):  # type: ignore[no-untyped-def]
            level = float(str(candidate.decisions["x0"]))
            return Measurement(candidate.key, {"gain": level, "price": level})

        def cheap(self, candidate):  # type: ignore[no-untyped-def]
            return {}

    formula_study(tmp_path / "run", Tiny(), n=100).run()
    assert len(told(tmp_path / "run")) == 6


def test_a_larger_budget_continues(tmp_path: Path) -> None:
    formula_study(tmp_path / "run", FormulaEvaluator(), n=20).run()
    formula_study(tmp_path / "run", FormulaEvaluator(), n=45).run()
    formula_study(tmp_path / "whole", FormulaEvaluator(), n=45).run()
    assert told(tmp_path / "run") == told(tmp_path / "whole")


def test_how_long_others_are_waited_for_may_change(tmp_path: Path) -> None:
    for seconds in (1.0, 600.0):
        config: dict[str, JSON] = {"target": {"lock_timeout_seconds": seconds}}
        settings = StudySettings(("gain", "price"), budget=Budget(3), config=config)
        Study(tmp_path / "run", FormulaEvaluator(), NSGA2, settings).run()


def test_other_settings_need_another_folder(tmp_path: Path) -> None:
    formula_study(tmp_path / "run", FormulaEvaluator(), n=5).run()
    with pytest.raises(RunFolderError, match="seed was 0 and is now 1"):
        formula_study(tmp_path / "run", FormulaEvaluator(), n=5, seed=1).run()


@pytest.mark.parametrize("n_events", [1, 2, 3, 17, 30])
def test_killed_in_the_middle_equals_not_killed(tmp_path: Path, n_events: int) -> None:
    kill_when(tmp_path / "cut" / "run", n_told=n_events, n=35)
    n_before = len(told(tmp_path / "cut" / "run"))
    assert n_events <= n_before < 35
    run_to_the_end(tmp_path / "cut" / "run", n=35)
    run_to_the_end(tmp_path / "whole" / "run", n=35)
    assert told(tmp_path / "cut" / "run") == told(tmp_path / "whole" / "run")
    visits = Counter((tmp_path / "cut" / "visits").read_text().split())
    # What was in flight at the kill was begun twice; nothing that finished was.
    assert sum(visits.values()) <= 35 + 1 + 1


def test_killed_while_the_baseline_runs(tmp_path: Path) -> None:
    kill_when(tmp_path / "run", n_told=0, n=10)
    run_to_the_end(tmp_path / "run", n=10)
    events = read_ledger(tmp_path / "run" / "trials.jsonl")
    assert sum(isinstance(event, Baseline) for event in events) == 1
    assert len(told(tmp_path / "run")) == 10


def test_proposals_refused_after_a_kill_are_not_paid_for(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    study = formula_study(folder, FormulaEvaluator(), n=8, constraints=["weight <= 14"])
    study.run()
    lines = (folder / "trials.jsonl").read_bytes().splitlines(keepends=True)
    cut = next(i for i, line in enumerate(lines) if b'"infeasible"' in line)
    (folder / "trials.jsonl").write_bytes(b"".join(lines[:cut]))
    visits = tmp_path / "visits"
    formula_study(folder, FormulaEvaluator(visits), n=8, constraints=["weight <= 14"]).run()
    evaluated = set(visits.read_text().split())
    refused = [t for t in Run.read(folder).history.trials if not t.measurement.complete]
    assert refused
    assert not {t.candidate.key for t in refused} & evaluated


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        (StudySettings(objectives=()), "at least one objective"),
        (StudySettings(objectives=("gian",)), "did you mean 'gain'"),
        (StudySettings(objectives=("gain", "gain")), "twice"),
        (StudySettings(objectives=("gain",), constraints=("prise <= 2",)), "'price'"),
        (StudySettings(objectives=("gain",), constraints=("price < 2",)), "operator"),
    ],
)
def test_impossible_wishes_are_refused_before_anything_is_paid(
    tmp_path: Path, settings: StudySettings, fault: str
) -> None:
    with pytest.raises(ConfigError, match=fault):
        Study(tmp_path / "run", FormulaEvaluator(), NSGA2, settings).run()
    assert not (tmp_path / "run").exists()


def test_a_direction_of_ones_own_is_kept(tmp_path: Path) -> None:
    wanted = Objective("gain", Direction.MINIMIZE)
    settings = StudySettings(objectives=(wanted,), budget=Budget(60))
    front = Study(tmp_path / "run", FormulaEvaluator(), NSGA2, settings).run()
    assert front.models[0].values["gain"] < 20


def test_the_clock_ends_a_search(tmp_path: Path) -> None:
    settings = StudySettings(objectives=("gain", "price"), budget=Budget(10_000, seconds=0.5))
    Study(tmp_path / "run", FormulaEvaluator(seconds=0.05), NSGA2, settings).run()
    assert 1 <= len(told(tmp_path / "run")) < 100


class _Slow(_Prepares):
    def prepare(self, folder: Path) -> None:
        super().prepare(folder)
        time.sleep(0.3)


@dataclass(frozen=True)
class _Few(FormulaEvaluator):
    def initial(self) -> tuple[Candidate, ...]:
        return tuple(SPACE.decide(lambda _, options, n=n: options[n]) for n in range(3))


@dataclass(frozen=True)
class _SlowToCount(FormulaEvaluator):
    def cheap(self, candidate: Candidate) -> Mapping[str, float]:
        time.sleep(0.03)
        return super().cheap(candidate)


def test_a_search_that_ends_by_the_clock_says_so(tmp_path: Path) -> None:
    hearing = Hears()

    def search(budget: Budget) -> None:
        settings = StudySettings(("gain", "price"), budget=budget)
        Study(tmp_path / "run", _Slow(), NSGA2, settings, observer=hearing).run()

    search(Budget(10, seconds=0.3))
    assert hearing.said == [
        "the budget's 0.005 minutes, preparation included, are over after 0 of 10 evaluations: to "
        "search on, allow more and start the same search again"
    ]
    search(Budget(10, seconds=600.0))
    assert (len(hearing.said), len(told(tmp_path / "run"))) == (1, 10)
    search(Budget(10, seconds=0.3))
    assert len(hearing.said) == 1, "its evaluations are spent, too"


def test_a_search_with_nothing_left_is_not_told_to_allow_more_time(tmp_path: Path) -> None:
    hearing = Hears()
    settings = StudySettings(("gain", "price"), budget=Budget(10, seconds=60.0))
    Study(tmp_path / "run", _Few(), Listed, settings).run()
    over = replace(settings, budget=Budget(10, seconds=0.01))
    Study(tmp_path / "run", _Few(), Listed, over, observer=hearing).run()
    assert len(told(tmp_path / "run")) == 3 and hearing.said == []


@dataclass(frozen=True)
class _Tiny(FormulaEvaluator):
    @property
    def space(self) -> ChoiceSpace:
        return ChoiceSpace(tuple(Choice(f"x{i}", (0, 1) if i == 0 else (2,)) for i in range(6)))

    def baseline(self) -> Candidate:
        return self.space.decide(lambda _, options: options[-1])


def test_a_space_of_which_the_baseline_alone_was_not_asked_for_has_no_more(tmp_path: Path) -> None:
    hearing = Hears()
    settings = StudySettings(("gain", "price"), budget=Budget(10, seconds=60.0))
    for seconds in (60.0, 0.001):
        settings = replace(settings, budget=Budget(10, seconds=seconds))
        Study(tmp_path / "run", _Tiny(), NSGA2, settings, observer=hearing).run()
    assert len(told(tmp_path / "run")) == 1
    assert not any("minutes" in sentence for sentence in hearing.said)


def test_where_time_ends_what_nothing_was_tried_of_more_time_is_a_remedy(tmp_path: Path) -> None:
    evaluator = _SlowToCount()
    settings = StudySettings(("gain", "price"), ("weight <= -1",), budget=Budget(9, seconds=0.2))
    with pytest.raises(StudyError, match="wanted weight <= -1: allow more minutes, or loosen that"):
        Study(tmp_path / "run", evaluator, NSGA2, settings).run()


def test_the_searcher_hears_the_baseline_and_every_trial_once(tmp_path: Path) -> None:
    heard: list[int] = []

    class Listening(NSGA2):
        def tell(self, trials):  # type: ignore[no-untyped-def]
            heard.extend(trial.number for trial in trials)
            super().tell(trials)

    def make(problem: Problem) -> Searcher:
        return Listening(problem)

    settings = StudySettings(objectives=("gain", "price"), budget=Budget(15))
    Study(tmp_path / "run", FormulaEvaluator(), make, settings).run()
    assert heard == [BASELINE_NUMBER, *range(15)]


class _Rewriting(RandomSearch):
    def tell(self, trials: Sequence[Trial]) -> None:
        super().tell(trials)
        for trial in trials:  # so that all is minimised, say
            values = cast("dict[str, float]", trial.measurement.values)
            values.update(gain=-values["gain"])


def test_what_a_searcher_does_to_what_it_is_told_changes_no_result(tmp_path: Path) -> None:
    for n in (8, 15):  # begun, and continued
        settings = StudySettings(objectives=("gain", "price"), budget=Budget(n))
        front = Study(tmp_path / "run", FormulaEvaluator(), _Rewriting, settings).run()
        assert [m.values for m in front.models] == [
            m.values for m in load_front(tmp_path / "run").models
        ]


def run_to_the_end(folder: Path, *, n: int) -> None:
    done = subprocess.run(driver(folder, n, pause=0.0), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def kill_when(folder: Path, *, n_told: int, n: int) -> None:
    """Start a search in another process, and kill -9 it once it has told so many trials."""
    process = subprocess.Popen(driver(folder, n, pause=0.03))
    ledger = folder / "trials.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if ledger.exists() and len(told(folder)) >= n_told and ledger.stat().st_size:
            break
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def driver(folder: Path, n: int, *, pause: float) -> list[str]:
    return [sys.executable, "-m", "tests.study.formulas", str(folder), str(n), str(pause)]


@dataclass(frozen=True)
class Forgetful(FormulaEvaluator):
    """Leaves a value out of every measurement but the baseline's."""

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        whole = super().evaluate(candidate, fidelity=fidelity, seed=seed)
        if candidate == self.baseline():
            return whole
        return replace(whole, values={"gain": whole.values["gain"]})


def test_a_measurement_without_a_wanted_value_is_a_failed_one(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"no value of price: .*Mend the cause"):
        formula_study(tmp_path / "run", Forgetful(), n=5).run()
    failures = Run.read(tmp_path / "run").failures
    assert len(failures) == 5
    assert failures[0].values["gain"] > 0.0


def test_constraints_that_nothing_keeps_are_told_with_the_nearest(tmp_path: Path) -> None:
    study = formula_study(
        tmp_path / "run", FormulaEvaluator(), n=20, constraints=["gain >= 1000", "price <= 9999"]
    )
    assert len(study.run()) == 0
    run = Run.read(tmp_path / "run")
    best = max(trial.measurement.values["gain"] for trial in run.history.trials)
    assert f"Of the nearest, gain is {best:g}, wanted gain >= 1000: search on" in front_text(run)
    assert front_text(run).endswith("or loosen that constraint, and start again under another name")
    wished = front_text(run.wishing(within=["price <= 0"]))
    assert wished.endswith("or loosen that")


def test_a_space_that_a_count_turns_away_altogether_names_the_nearest(tmp_path: Path) -> None:
    class TwoNetworks(FormulaEvaluator):
        def initial(self) -> tuple[Candidate, ...]:
            return tuple(SPACE.decide(lambda _, options, i=i: options[i]) for i in (1, 2))

    settings = StudySettings(("gain", "price"), ("weight <= 1",), Budget(9))
    study = Study(tmp_path / "run", TwoNetworks(), Listed, settings)
    with pytest.raises(
        StudyError, match=r"none of 2 .* weight is 6, wanted weight <= 1: .* another name"
    ):
        study.run()
    loosened = replace(settings, constraints=("weight <= 6",))  # which is "under another name"
    assert len(Study(tmp_path / "other", TwoNetworks(), Listed, loosened).run()) > 0


def test_a_run_over_another_space_does_not_continue(tmp_path: Path) -> None:
    class Larger(FormulaEvaluator):
        @property
        def space(self) -> ChoiceSpace:
            return ChoiceSpace((*SPACE.choices, Choice("more", (1, 2))))

        def baseline(self) -> Candidate:
            return self.space.decide(lambda _, options: options[0])

    Larger.__qualname__ = FormulaEvaluator.__qualname__  # by which settings tell evaluators apart
    formula_study(tmp_path / "run", FormulaEvaluator(), n=3).run()
    with pytest.raises(RunFolderError, match=r"over another space: of trial 0, .*more"):
        formula_study(tmp_path / "run", Larger(), n=6).run()


class WithToys(FormulaEvaluator):
    @property
    def space(self) -> Any:
        return joint_toy().space  # which no file describes

    def baseline(self) -> Candidate:
        return joint_toy().space.sample(np.random.default_rng(0))

    def cheap(self, candidate: Candidate) -> dict[str, float]:
        return {}

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        return Measurement(candidate.key, {"gain": 1.0, "price": 1.0, "weight": 1.0})


def test_a_description_of_a_space_that_is_another_by_now_is_dropped(tmp_path: Path) -> None:
    class Unfinished(FormulaEvaluator):
        def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
            raise NotImplementedError

    settings = StudySettings(("gain", "price"), budget=Budget(1))
    with pytest.raises(StudyError, match="NotImplementedError"):
        Study(tmp_path / "run", Unfinished(), Listed, settings).run()
    assert (tmp_path / "run" / "space.json").exists()
    Study(tmp_path / "run", WithToys(), Listed, settings).run()
    assert not (tmp_path / "run" / "space.json").exists()


def test_a_description_of_a_space_that_cannot_be_dropped_is_told(tmp_path: Path) -> None:
    study = Study(tmp_path / "run", WithToys(), Listed, StudySettings(("gain",), budget=Budget(1)))
    study.run()
    (tmp_path / "run" / "space.json").mkdir()
    with pytest.raises(RunFolderError, match=r"space\.json' cannot be written"):
        study.run()


def test_an_evaluator_that_changes_the_working_directory_moves_no_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wandering(FormulaEvaluator):
        def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
            os.chdir("/")
            return super().evaluate(candidate, fidelity=fidelity, seed=seed)

    monkeypatch.chdir(tmp_path)
    assert len(formula_study(Path("run"), Wandering(), n=3).run()) > 0
    assert (tmp_path / "run" / "pareto.json").exists()


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"seed": 1.5}, {"n_finalists": -1}])
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="give a whole number from 0 on"):
        StudySettings(("gain",), **wrong)
    for budget in ({"evaluations": -3}, {"evaluations": math.nan}, {"seconds": math.nan}):
        with pytest.raises(ConfigError, match="give a number from 0 on"):
            Budget(**cast("Any", budget))


@pytest.mark.parametrize("wrong", [{"objectives": "gain"}, {"constraints": "gain"}])
def test_a_text_in_the_place_of_a_list_is_told_as_that(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"'objectives' holds a dict: give names of values, or"):
        StudySettings(("gain", {"name": "price"}))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"' is 'gain': give a list, such as \['gain'\]"):
        StudySettings(**{"objectives": ("gain",), **wrong})


def test_a_number_in_the_place_of_a_budget_is_told_as_that() -> None:
    with pytest.raises(ConfigError, match=r"'budget' is 20: give a Budget, such as"):
        StudySettings(("gain",), budget=cast("Any", 20))


def test_a_budget_in_numbers_of_numpy_is_one(tmp_path: Path) -> None:
    budget = Budget(cast("Any", np.int64(3)), cast("Any", np.float32(600.0)))
    formula_study(tmp_path / "run", FormulaEvaluator(), n=cast("Any", np.int64(3))).run()
    assert Run.read(tmp_path / "run").description.n_evaluations == 3
    assert (type(budget.evaluations), type(budget.seconds)) == (int, float)


@dataclass(frozen=True)
class OnABoard(FormulaEvaluator):
    """Cannot reach its target from the sixth evaluation on, until somebody plugs it in again."""

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        assert self.visits is not None
        unplugged = self.visits.with_name("unplugged")
        if unplugged.exists():
            raise TargetLostError("the board is gone: plug it in")
        found = super().evaluate(candidate, fidelity=fidelity, seed=seed)
        if len(self.visits.read_text().split()) == 6:
            unplugged.touch()
        return found


@pytest.mark.parametrize("in_processes", [False, True])
def test_a_lost_target_ends_the_search_and_the_same_command_goes_on(
    tmp_path: Path, in_processes: bool
) -> None:
    def study() -> Study:
        settings = StudySettings(("gain", "price"), budget=Budget(12))
        executor = LocalProcessExecutor if in_processes else InProcessExecutor
        evaluator = OnABoard(tmp_path / "visits")
        return Study(tmp_path / "run", evaluator, NSGA2, settings, make_executor=executor)

    with pytest.raises(TargetLostError, match="the board is gone"):
        study().run()
    before = told(tmp_path / "run")
    assert 0 < len(before) < 12
    (tmp_path / "unplugged").unlink()
    assert study().run().models
    after = told(tmp_path / "run")
    assert after[: len(before)] == before
    assert len(after) == 12
    assert not Run.read(tmp_path / "run").failures
