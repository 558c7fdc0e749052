"""What is wished for, held against what an evaluator gives."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from niwaki.core.errors import ConfigError, RunFolderError
from niwaki.core.objectives import Direction, Objective
from niwaki.search.nsga2 import NSGA2
from niwaki.study.budget import Budget
from niwaki.study.study import Study, StudySettings
from niwaki.study.wishes import GoalSettings, wished_goals
from tests.study.formulas import BREEDING, GOALS, FormulaEvaluator, goals_study

VALUES = FormulaEvaluator().values
LIGHT = GoalSettings(("weight",))


def test_without_goals_there_is_one_of_no_name() -> None:
    (goal,) = wished_goals(("gain", "price"), ("weight <= 3",), {}, VALUES)
    assert (goal.name, goal.task, goal.wanted) == ("", "", ("gain", "price", "weight"))


SHARE = Objective("accuracy", Direction.MAXIMIZE, least=0.0, most=1.0)
TIME = Objective("latency_ms", Direction.MINIMIZE, "ms", least=0.0)

ERROR = Objective("rmse", Direction.MINIMIZE, least=0.0)


@pytest.mark.parametrize(
    ("bounds", "fault"),
    [
        (["accuracy >= 75"], "'accuracy >= 75' cannot be kept: no accuracy is above 1. Give the"),
        (["latency_ms <= -2"], "no latency_ms is 0 or below, and is in ms"),
        (["latency_ms <= 0"], "no latency_ms is 0 or below, and is in ms"),
        (["rmse <= -1"], "no rmse is below 0"),
        (["latency_ms <= 2", "latency_ms >= 3"], "'latency_ms <= 2' and 'latency_ms >= 3' cannot"),
    ],
)
def test_bounds_that_no_network_can_keep_are_refused(bounds: list[str], fault: str) -> None:
    values = (SHARE, TIME, ERROR)
    with pytest.raises(ConfigError, match=fault):
        wished_goals(("accuracy",), bounds, {}, values)
    one, *others = bounds
    goals = {"fast": GoalSettings(["accuracy"], others)}
    with pytest.raises(ConfigError, match=fault):
        wished_goals((), [one], goals, values)


def test_bounds_at_the_edge_and_those_that_nobody_knows_yet_are_taken() -> None:
    bounds = ["accuracy >= 1", "latency_ms <= 3", "latency_ms >= 3", "latency_ms >= 9 * baseline"]
    bounds += ["rmse <= 0", "latency_ms >= 0"]
    (goal,) = wished_goals(("accuracy",), bounds, {}, (SHARE, TIME, ERROR))
    assert [constraint.text for constraint in goal.constraints] == bounds


def test_bounds_at_the_top_come_before_those_of_a_goal() -> None:
    goals = {"light": GoalSettings(("weight",), ("gain >= 2",), "depth"), "any": LIGHT}
    light, other = wished_goals((), ("price <= baseline",), goals, VALUES)
    assert [c.text for c in light.constraints] == ["price <= baseline", "gain >= 2"]
    assert [c.text for c in other.constraints] == ["price <= baseline"]
    assert (light.task, other.task) == ("depth", "")


def test_a_goal_has_the_units_of_the_evaluator_and_directions_of_its_own() -> None:
    wanted = GoalSettings(("gain", Objective("price", Direction.MAXIMIZE)))
    (goal,) = wished_goals((), (), {"dear": wanted}, VALUES)
    assert goal.objectives == (VALUES[0], Objective("price", Direction.MAXIMIZE, "ms"))


DEAR = GoalSettings((Objective("price", Direction.MAXIMIZE),))


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"objectives": ("gain",), "goals": {"light": LIGHT}}, "`objectives` beside `goals`"),
        ({"goals": {"light": GoalSettings(())}}, "goal 'light' needs at least one objective"),
        ({"goals": {"light": GoalSettings(("wieght",))}}, "did you mean 'weight'"),
        ({"goals": {"light": GoalSettings(("weight", "weight"))}}, "listed twice"),
        ({"goals": {"light": GoalSettings(("gain",), ("prise <= 2",))}}, "did you mean 'price'"),
        ({"goals": {"light/heavy": LIGHT}}, "use letters, digits"),
        ({"goals": {"": LIGHT}}, "empty name"),
        ({"goals": {"light": LIGHT, "Light": LIGHT}}, "'light' and 'Light' differ in case alone"),
        ({"goals": {"cheap": GOALS["strong"], "dear": DEAR}}, "one direction in a study"),
        ({"goals": {"light": GoalSettings(("weight",), task="depth")}}, "no networks of one task"),
    ],
)
def test_impossible_goals_are_refused_before_anything_is_paid(
    tmp_path: Path, settings: Mapping[str, Any], fault: str
) -> None:
    with pytest.raises(ConfigError, match=fault):
        Study(tmp_path / "run", FormulaEvaluator(), NSGA2, StudySettings(**settings)).run()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("goal", "fault"),
    [
        ({"objectives": "weight"}, r"'objectives' is 'weight': give a list, such as \['weight'\]"),
        ({"objectives": ("weight",), "constraints": "gain >= 2"}, "'constraints' is 'gain >= 2'"),
        ({"objectives": (3,)}, "'objectives' holds an? int"),
        ({"objectives": ("weight",), "task": 3}, "'task' is an? int"),
    ],
)
def test_a_goal_that_is_no_list_of_wishes_is_refused(goal: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        GoalSettings(**goal)


@pytest.mark.parametrize("goals", [("light",), {"light": ("weight",)}, {3: LIGHT}])
def test_goals_that_are_no_settings_by_name_are_refused(goals: Any) -> None:
    with pytest.raises(ConfigError, match=r"by name, such as \{'small': GoalSettings"):
        StudySettings(goals=goals)


def test_other_goals_need_another_folder(tmp_path: Path) -> None:
    goals_study(tmp_path / "run", FormulaEvaluator(), n=3).run()
    tighter = {**GOALS, "light": GoalSettings(("weight", "gain"), ("price <= 20",))}
    with pytest.raises(RunFolderError, match="goals was"):
        goals_study(tmp_path / "run", FormulaEvaluator(), goals=tighter, n=3).run()


def test_a_goal_may_have_one_objective(tmp_path: Path) -> None:
    goals = {"light": LIGHT, "strong": GoalSettings(("gain",))}
    front = goals_study(tmp_path / "run", FormulaEvaluator(), goals=goals, n=30).run()
    for own in front.goals.values():
        assert len({tuple(point) for point in own.costs.tolist()}) == 1
        assert own.knee is not None


def test_a_single_goal_is_searched_for_as_a_study_without_goals_is(tmp_path: Path) -> None:
    only = {"only": GOALS["strong"]}
    found = goals_study(tmp_path / "goal", FormulaEvaluator(), goals=only, n=40).run()
    settings = StudySettings(("gain", "price"), budget=Budget(40))
    plain = Study(tmp_path / "plain", FormulaEvaluator(), BREEDING, settings).run()
    assert [m.candidate for m in found.goals["only"].models] == [m.candidate for m in plain.models]
