"""A run of several goals as it is read: all of it, or as one goal sees it."""

import csv
import io
import json
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from niwaki.core.errors import ConfigError
from niwaki.search.nsga2 import NSGA2
from niwaki.study.answers.tables import front_table, front_text, status_json, status_text
from niwaki.study.budget import Budget
from niwaki.study.record.history import History
from niwaki.study.results.run import Run, load_front
from niwaki.study.study import Study, StudySettings
from niwaki.study.watching.progress import PlainProgress, Tally
from tests.study.formulas import GOALS, FormulaEvaluator, formula_study, goals_study


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished run, whose goals are `strong` and `light`."""
    folder = tmp_path_factory.mktemp("goals") / "run"
    goals_study(folder, FormulaEvaluator(), n=60).run()
    return folder


def test_a_goal_sees_its_own_objectives_and_bounds(folder: Path) -> None:
    strong, light = Run.read(folder).goals
    assert [o.name for o in strong.description.objectives] == ["gain", "price"]
    assert [o.name for o in light.front.objectives] == ["weight", "gain"]
    assert (strong.bounds, [str(bound) for bound in light.bounds]) == ((), ["price <= 48"])
    assert Run.read(folder, goal="light").front.to_json() == light.front.to_json()
    assert light.front.goal == "light"


def test_a_goal_that_there_is_not_is_told_with_those_that_there_are(
    folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'light'\? Its goals are strong, light"):
        Run.read(folder, goal="ligth")
    with pytest.raises(ConfigError, match=r"no goal 'heavy'.* Its goals are strong, light"):
        load_front(folder, goal="heavy")
    formula_study(tmp_path / "run", FormulaEvaluator(), n=2).run()
    with pytest.raises(ConfigError, match=r"no goal 'light'.* It has no goals"):
        load_front(tmp_path / "run", goal="light")


def test_preferences_are_among_the_objectives_of_one_goal(folder: Path) -> None:
    with pytest.raises(ConfigError, match="one goal's objectives: choose one of strong, light"):
        load_front(folder, weights={"gain": 2.0})
    ends = [
        load_front(folder, goal="light", weights={name: 0.0}).knee for name in ("gain", "weight")
    ]
    assert [end and end.values["weight"] for end in ends] == [
        pick(model.values["weight"] for model in load_front(folder, goal="light").models)
        for pick in (min, max)
    ]


def test_growth_is_that_of_each_front(folder: Path) -> None:
    run = Run.read(folder)
    tally = Tally(run.description, run.history)
    factors = {goal.goal: goal.growth.factor for goal in run.goals}
    assert {goal: growth.factor for goal, growth in tally.growths.items()} == factors
    assert len(set(factors.values())) == 2
    assert all(factor is not None and factor > 1.0 for factor in factors.values())
    sizes = {goal: len({tuple(p) for p in own.costs}) for goal, own in run.front.goals.items()}
    assert {goal: len(growth) for goal, growth in tally.growths.items()} == sizes


def test_the_status_counts_each_front(folder: Path) -> None:
    run = Run.read(folder)
    status = cast("Any", status_json(run))
    assert {goal: each["front"] for goal, each in status["goals"].items()} == {
        goal: len(own) for goal, own in run.front.goals.items()
    }
    assert status["goals"]["light"]["growth"] == run.goals[1].growth.factor
    assert not {"front", "growth", "exported"} & set(status)
    assert status["evaluations"] == 60


def test_the_status_tells_of_each_goal_below_its_name(folder: Path) -> None:
    run = Run.read(folder)
    lines = status_text(run).splitlines()
    strong, light = lines.index("goal strong:"), lines.index("goal light:")
    assert "  bound: price <= 48" in lines[light:]
    assert "  bound: price <= 48" not in lines[strong:light]
    assert f"  front: {len(run.front.goals['strong'])} models, none exported" in lines[:light]
    assert "  baseline: weight 24, gain 84" in lines[light:]
    assert sum(line.startswith("60 of 60 evaluations") for line in lines) == 1


def test_all_fronts_are_shown_each_below_its_name(folder: Path) -> None:
    run = Run.read(folder)
    strong, light = (front_table(own) for own in run.front.goals.values())
    knees = [f"knee: {own.knee.candidate}" for own in run.front.goals.values() if own.knee]
    strong, light = f"{strong}\n{knees[0]}", f"{light}\n{knees[1]}"
    assert front_text(run) == f"goal strong\n{strong}\n\ngoal light\n{light}"
    assert front_text(run.of_goal("light")) == light


def test_lines_are_of_the_models_of_each_goal(folder: Path) -> None:
    front = load_front(folder)
    rows = list(csv.DictReader(io.StringIO(front.to_csv())))
    assert [(row["goal"], row["key"]) for row in rows] == [
        (goal, model.key) for goal, own in front.goals.items() for model in own.models
    ]
    assert [(row["goal"], row["key"]) for row in rows if row["role"] == "knee"] == [
        (goal, own.knee.key) for goal, own in front.goals.items() if own.knee is not None
    ]


def test_roles_are_the_fronts_and_knees_that_a_model_is(folder: Path) -> None:
    front = load_front(folder)
    assert front.knee is None
    for model in front.models:
        wanted = [goal for goal, own in front.goals.items() if model in own.models]
        knees = [f"{goal}:knee" for goal in wanted if front.goals[goal].knee == model]
        assert sorted(front.roles[model.key]) == sorted([*wanted, *knees])


def test_the_file_of_the_front_holds_each_of_them(folder: Path) -> None:
    said = json.loads((folder / "pareto.json").read_text())
    assert list(said["goals"]) == ["strong", "light"]
    assert said["goals"]["light"] == load_front(folder, goal="light").to_json()
    assert (folder / "pareto.csv").read_text() == load_front(folder).to_csv()


def test_progress_tells_of_each_front(tmp_path: Path) -> None:
    text = io.StringIO()
    observer = PlainProgress(Console(file=text, soft_wrap=True))
    settings = StudySettings(goals=GOALS, budget=Budget(30))
    Study(tmp_path / "run", FormulaEvaluator(), NSGA2, settings, observer=observer).run()
    last = text.getvalue().splitlines()[-1]
    run = Run.read(tmp_path / "run")
    strong, light = (goal.growth for goal in run.goals)
    assert f"front: strong: {strong}; light: {light}, 0 infeasible" in last
    again = Tally(run.description, History.of([]))
    assert again.front == "strong: 0 points; light: 0 points"
