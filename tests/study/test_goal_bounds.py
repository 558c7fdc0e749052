"""What bounds the networks of one goal, and of all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from niwaki.core.candidate import Candidate
from niwaki.core.errors import StudyError
from niwaki.core.measurement import Status
from niwaki.spaces import ChoiceSpace
from niwaki.study.results.run import Run
from niwaki.study.wishes import GoalSettings
from tests.study.formulas import SPACE, FormulaEvaluator, goals_study


def goals(**bounds: Sequence[str]) -> dict[str, GoalSettings]:
    """Return goals of `gain` against `price`, each within bounds of its own."""
    return {name: GoalSettings(("gain", "price"), texts) for name, texts in bounds.items()}


@dataclass(frozen=True)
class Searched:
    """What a study turned away, and what it paid for, by weight; and the reasons."""

    refused: list[float]
    paid: list[float]
    reasons: list[str]


def searched(folder: Path, *, constraints: Sequence[str] = (), **bounds: Sequence[str]) -> Searched:
    evaluator = FormulaEvaluator()
    wanted = goals(**bounds)
    goals_study(folder, evaluator, goals=wanted, n=30, constraints=constraints).run()
    trials = Run.read(folder).history.trials
    refused = [t for t in trials if t.measurement.status is Status.INFEASIBLE]
    return Searched(
        [evaluator.cheap(trial.candidate)["weight"] for trial in refused],
        [evaluator.cheap(t.candidate)["weight"] for t in trials if t not in refused],
        [trial.measurement.reason for trial in refused],
    )


def test_what_no_goal_can_use_is_turned_away_and_nothing_else(tmp_path: Path) -> None:
    found = searched(tmp_path / "run", light=["weight <= 10"], any=["weight <= 0.625 * baseline"])
    assert found.refused and min(found.refused) > 15
    assert min(found.paid) <= 10 < max(found.paid) <= 15
    assert "wanted weight <= 10; or else weight is" in found.reasons[0]
    assert found.reasons[0].endswith("wanted weight <= 15")


def test_a_goal_without_bounds_takes_what_others_refuse(tmp_path: Path) -> None:
    found = searched(tmp_path / "run", light=["weight <= 10"], any=[])
    assert not found.refused
    assert max(found.paid) > 10


def test_bounds_at_the_top_are_kept_for_all_goals(tmp_path: Path) -> None:
    wanted = ["weight <= 12"]
    found = searched(tmp_path / "run", constraints=wanted, light=["weight <= 10"], any=[])
    assert found.refused and min(found.refused) > 12
    assert 10 < max(found.paid) <= 12


def test_a_bound_relative_to_the_baseline_holds_for_its_goal_alone(tmp_path: Path) -> None:
    wanted = goals(light=["price <= 0.5 * baseline"], any=["price <= 2 * baseline"])
    front = goals_study(tmp_path / "run", FormulaEvaluator(), goals=wanted, n=40).run()
    prices = {name: own.costs[:, 1].max() for name, own in front.goals.items()}
    assert prices["light"] <= 48 < prices["any"]  # the baseline's is 96
    limits = [[b.limit for b in run.bounds] for run in Run.read(tmp_path / "run").goals]
    assert limits == [[48.0], [192.0]]


def test_a_wish_afterwards_is_for_the_networks_of_all_goals(tmp_path: Path) -> None:
    wanted = goals(light=["price <= 0.5 * baseline"], any=[])
    goals_study(tmp_path / "run", FormulaEvaluator(), goals=wanted, n=40).run()
    run = Run.read(tmp_path / "run").wishing(["price <= 0.25 * baseline"])
    prices = [own.costs[:, 1].max() for own in run.front.goals.values()]
    assert max(prices) <= 24
    assert [each.n_wished for each in run.goals] == [1, 1]


class _OneDecision(FormulaEvaluator):
    @property
    def space(self) -> ChoiceSpace:
        return SPACE.restricted({"x0"})

    def cheap(self, candidate: Candidate) -> Mapping[str, float]:
        return {"weight": float(str(candidate.decisions["x0"]))}


def test_bounds_that_nothing_keeps_are_told_for_every_goal(tmp_path: Path) -> None:
    wanted = goals(light=["weight <= -1"], any=["weight <= -2"])
    with pytest.raises(StudyError, match=r"wanted weight <= -1; or else .* wanted weight <= -2"):
        goals_study(tmp_path / "run", _OneDecision(), goals=wanted).run()
