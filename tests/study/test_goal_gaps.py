"""Networks that lack what one goal wants: they have failed for that goal, and for no other."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from niwaki.core.candidate import Candidate
from niwaki.core.errors import ConfigError, StudyError
from niwaki.core.measurement import Measurement, Trial
from niwaki.search.optuna_sampler import OptunaSearcher
from niwaki.search.surrogate import Surrogate
from niwaki.study.answers.report_page import write_report
from niwaki.study.answers.tables import status_json, status_text
from niwaki.study.budget import Budget
from niwaki.study.results.run import Run
from niwaki.study.study import SearcherFactory, Study, StudySettings
from niwaki.study.wishes import GoalSettings
from tests.report.test_page import payload_of
from tests.study.climbing import SCHEDULERS, ClimbingEvaluator
from tests.study.formulas import BREEDING, FormulaEvaluator, goals_study
from tests.study.test_goals import best, costs, points

DEVICES = {"cheap": GoalSettings(("gain", "price")), "light": GoalSettings(("gain", "weight"))}
WHY = "the device has no room for it"


def without(name: str, found: Measurement, candidate: Candidate) -> Measurement:
    """Return what is left on a device that runs no network whose `x1` is odd."""
    if int(str(candidate.decisions["x1"])) % 2 == 0:
        return found
    values = {each: value for each, value in found.values.items() if each != name}
    return replace(found, values=values, reason=WHY)


@dataclass(frozen=True)
class GapsEvaluator(FormulaEvaluator):
    """No network whose `x1` is odd has a price.

    Attributes:
        x1: Of the baseline.
    """

    x1: int = 4

    def baseline(self) -> Candidate:
        return Candidate.of({**super().baseline().decisions, "x1": self.x1})

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        found = super().evaluate(candidate, fidelity=fidelity, seed=seed)
        return without("price", found, candidate)


@dataclass(frozen=True)
class ClimbingGapsEvaluator(ClimbingEvaluator):
    """The same, at whatever effort."""

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        found = super().evaluate(candidate, fidelity=fidelity, seed=seed)
        return without("price", found, candidate)


def told(folder: Path) -> list[Trial]:
    history = Run.read(folder).history
    assert history.baseline is not None
    return [*history.full_trials, history.baseline]


@pytest.mark.parametrize(
    "searcher", [BREEDING, Surrogate, OptunaSearcher], ids=["nsga2", "surrogate", "tpe"]
)
def test_each_front_is_that_of_all_that_have_what_it_wants(
    searcher: SearcherFactory, tmp_path: Path
) -> None:
    study = goals_study(
        tmp_path / "run", GapsEvaluator(), goals=DEVICES, n=30, make_searcher=searcher
    )
    front = study.run()
    trials = told(tmp_path / "run")
    priced = [trial for trial in trials if "price" in trial.measurement.values]
    assert 5 < len(priced) < len(trials) - 5
    assert all(trial.measurement.complete for trial in trials)
    assert costs(front.goals["cheap"]) == best(points(priced, "gain", "price"))
    assert costs(front.goals["light"]) == best(points(trials, "gain", "weight"))


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_it_gets_more_effort_for_the_goal_that_can_use_it(scheduler: str, tmp_path: Path) -> None:
    settings = StudySettings(goals=DEVICES, budget=Budget(20), scheduler=scheduler)
    evaluator = ClimbingGapsEvaluator()
    make = SCHEDULERS[scheduler]
    Study(tmp_path / "run", evaluator, BREEDING, settings, make_scheduler=make).run()
    full = Run.read(tmp_path / "run").history.full_trials
    has_price = ["price" in trial.measurement.values for trial in full]
    assert any(has_price) and not all(has_price)


def test_a_goal_says_how_many_it_cannot_use(tmp_path: Path) -> None:
    goals_study(tmp_path / "run", GapsEvaluator(), goals=DEVICES, n=30).run()
    run = Run.read(tmp_path / "run")
    n = sum("price" not in trial.measurement.values for trial in run.history.trials)
    assert n
    status = status_json(run)
    lacking = {goal: found["lacking"] for goal, found in status["goals"].items()}  # type: ignore[union-attr,call-overload,index]
    assert lacking == {"cheap": n, "light": 0}
    assert status["failed"] == 0
    lines = status_text(run).splitlines()
    assert lines[lines.index("goal cheap:") + 1] == f"  {n} evaluations lack a value of it"
    assert {failure.reason for failure in run.goals[0].failures} == {WHY}
    assert not run.goals[1].failures


def test_a_report_shows_each_goal_what_it_has(tmp_path: Path) -> None:
    goals_study(tmp_path / "run", GapsEvaluator(x1=1), goals=DEVICES, n=30).run()
    run = Run.read(tmp_path / "run")
    payload = payload_of(write_report(run).read_text(encoding="utf-8"))
    assert [goal["name"] for goal in payload["goals"]] == list(DEVICES)
    for goal, front in zip(payload["goals"], run.front.goals.values(), strict=True):
        rows = goal["own"]["models"]["front"]
        assert [payload["models"]["keys"][row] for row in rows] == [m.key for m in front.models]
    told = [WHY in json.dumps(goal) for goal in payload["goals"]]
    assert told == [True, False]


def test_a_baseline_without_a_value_is_one_to_all_that_do_not_need_it(tmp_path: Path) -> None:
    front = goals_study(tmp_path / "run", GapsEvaluator(x1=1), goals=DEVICES, n=30).run()
    assert len(front.goals["cheap"]) and len(front.goals["light"])
    baseline = GapsEvaluator(x1=1).baseline().key
    assert baseline not in {model.key for model in front.goals["cheap"].models}
    status_text(Run.read(tmp_path / "run"))


def test_a_bound_relative_to_what_the_baseline_lacks_is_told_before_it_is_written(
    tmp_path: Path,
) -> None:
    goals = {**DEVICES, "cheap": GoalSettings(("gain", "price"), ("price <= baseline",))}
    study = goals_study(tmp_path / "run", GapsEvaluator(x1=1), goals=goals)
    with pytest.raises(ConfigError, match="baseline, which has no value 'price'; it has gain"):
        study.run()
    assert Run.read(tmp_path / "run").history.baseline is None


def test_what_lacks_all_goals_values_has_failed(tmp_path: Path) -> None:
    goals = {"near": GoalSettings(("price",)), "far": GoalSettings(("price", "weight"))}
    goals_study(tmp_path / "run", GapsEvaluator(), goals=goals, n=30).run()
    run = Run.read(tmp_path / "run")
    assert run.failures and {failure.reason for failure in run.failures} == {WHY}
    assert all(trial.measurement.complete for trial in run.goals[0].history.trials) is False


@dataclass(frozen=True)
class Silent(GapsEvaluator):
    """Says nothing of why there is no price."""

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        found = super().evaluate(candidate, fidelity=fidelity, seed=seed)
        return replace(found, reason="")


def test_a_baseline_that_no_goal_can_use_names_what_is_missing(tmp_path: Path) -> None:
    goals: dict[str, Sequence[str]] = {"near": ("price",), "far": ("price", "weight")}
    settings = {name: GoalSettings(names) for name, names in goals.items()}
    study = goals_study(tmp_path / "run", Silent(x1=1), goals=settings)
    with pytest.raises(StudyError, match="the evaluator gave no value of price: a complete"):
        study.run()
