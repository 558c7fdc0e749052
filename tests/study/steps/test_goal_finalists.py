"""Finalists of several goals: so many of each front, written for its goal and compared there."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from niwaki.core.candidate import Candidate
from niwaki.core.errors import ConfigError, ExportError, StudyError
from niwaki.core.measurement import Measurement
from niwaki.core.objectives import Objective
from niwaki.evaluation.base import Export, Provenance
from niwaki.evaluation.base import Exporting as Exports
from niwaki.study.answers.tables import export_line, front_text, status_json, status_text
from niwaki.study.record.events import Final
from niwaki.study.record.ledger import read_ledger
from niwaki.study.results.run import Run
from niwaki.study.steps.finalists import spread
from niwaki.study.wishes import GoalSettings
from tests.study.formulas import GOALS, FormulaEvaluator, goals_study
from tests.study.steps.test_finalists import Exporting


def finals(folder: Path) -> list[tuple[str, str]]:
    """Return goal and key of each exported model, in order."""
    events = read_ledger(folder / "trials.jsonl")
    return [(e.goal, e.measurement.key) for e in events if isinstance(e, Final)]


def test_each_goal_has_so_many_finalists_of_its_own_front(tmp_path: Path) -> None:
    goals_study(tmp_path / "run", Exporting(), n=60, n_finalists=0).run()
    searched = Run.read(tmp_path / "run").front.goals
    front = goals_study(tmp_path / "run", Exporting(), n=60, n_finalists=3).run()
    for goal, own in front.goals.items():
        wanted = {searched[goal].models[row].key for row in spread(searched[goal].costs, 3)}
        assert {model.key for model in own.models} <= wanted | {FormulaEvaluator().baseline().key}
        assert set(Run.read(tmp_path / "run", goal=goal).history.exported) == wanted | {
            FormulaEvaluator().baseline().key
        }


@dataclass(frozen=True)
class Noting(Exporting):
    """Notes in a file which folders it was asked to write, and for which objectives."""

    def export(
        self, candidate: Candidate, folder: Path, *, provenance: Provenance, seed: int
    ) -> Export:
        folder.mkdir(parents=True)
        (folder / "wanted").write_text(" ".join(o.name for o in provenance.objectives))
        return super().export(candidate, folder, provenance=provenance, seed=seed)


def test_folders_are_named_by_goal_and_their_cards_say_what_it_wanted(tmp_path: Path) -> None:
    front = goals_study(tmp_path / "run", Noting(), n=30).run()
    for goal, own in front.goals.items():
        for model in cast("Any", own.to_json())["models"]:
            assert model["artifact"] == f"artifacts/{goal}-{model['key']}"
            said = (tmp_path / "run" / model["artifact"] / "wanted").read_text()
            assert said == " ".join(cast("Sequence[str]", GOALS[goal].objectives))
    # A second time would be refused: the folders are there.
    goals_study(tmp_path / "run", Noting(), n=30).run()


@pytest.mark.parametrize("n_finals", [1, 4, 6])
def test_killed_between_two_finalists_the_rest_is_exported(n_finals: int, tmp_path: Path) -> None:
    front = goals_study(tmp_path / "run", Exporting(), n=30).run()
    whole = finals(tmp_path / "run")
    ledger = tmp_path / "run" / "trials.jsonl"
    lines = ledger.read_text().splitlines(keepends=True)
    rows = [row for row, line in enumerate(lines) if '"event":"final"' in line]
    ledger.write_text("".join(lines[: rows[n_finals]]))
    assert len(finals(tmp_path / "run")) == n_finals < len(whole)
    again = goals_study(tmp_path / "run", Exporting(), n=30).run()
    assert finals(tmp_path / "run") == whole
    assert again.to_json() == front.to_json()


@dataclass(frozen=True)
class Alone(Exporting):
    """Networks of one task: a tenth of the price, and no weight."""

    @property
    def values(self) -> tuple[Objective, ...]:
        return tuple(value for value in super().values if value.name != "weight")

    def measure_exports(self, exports: Sequence[Export], *, seed: int) -> list[Export]:
        assert seed >= 0
        return [replace(export, measurement=_of_one(export.measurement)) for export in exports]


def _of_one(measurement: Measurement) -> Measurement:
    values = {"gain": measurement.values["gain"], "price": 0.1 * measurement.values["price"]}
    return replace(measurement, values=values)


class Divided(Exporting):
    """Has networks of one task, `depth`."""

    def alone(self, task: str) -> Exports:
        if task != "depth":
            raise ConfigError(f"there is no task '{task}'")
        return Alone()


BY_TASK = {
    "all": GoalSettings(("gain", "weight"), ("price <= 0.5 * baseline",)),
    "depth": GoalSettings(("gain", "price"), ("price <= 0.5 * baseline",), task="depth"),
}


def test_a_goal_of_one_task_is_exported_alone_and_held_against_its_own_baseline(
    tmp_path: Path,
) -> None:
    front = goals_study(tmp_path / "run", Divided(), goals=BY_TASK, n=40).run()
    run = Run.read(tmp_path / "run")
    assert [[b.limit for b in each.bounds] for each in run.goals] == [[48.0], [48.0]]
    limits = [[b.limit for b in each.front_bounds] for each in run.goals]
    assert limits == [[48.0], [pytest.approx(4.8)]]
    for model in front.goals["depth"].models:
        assert model.values["price"] == pytest.approx(0.1 * model.searched.values["price"])
        assert model.values["price"] <= 4.8 + 1e-9
    assert all(model.values == model.searched.values for model in front.goals["all"].models)
    assert len(front.goals["all"]) > 1 < len(front.goals["depth"])


@pytest.mark.parametrize(
    ("goal", "fault"),
    [
        (GoalSettings(("gain",), task="dpeth"), "no task 'dpeth'"),
        (
            GoalSettings(("weight",), task="depth"),
            "goal 'one' .* 'depth' alone, whose files have no 'we",
        ),
        (GoalSettings(("gain",), ("weight <= 3",), task="depth"), "They have gain, price"),
    ],
)
def test_what_networks_of_one_task_lack_is_told_before_anything_is_paid(
    goal: GoalSettings, fault: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=fault):
        goals_study(tmp_path / "run", Divided(), goals={"one": goal}).run()
    assert not (tmp_path / "run").exists()


class Unweighed(Divided):
    """Weighs what it evaluates, and none of its files."""

    @property
    def exported_values(self) -> tuple[Objective, ...]:
        return tuple(value for value in self.values if value.name != "weight")


@pytest.mark.parametrize("task", ["", "depth"])
def test_what_files_lack_is_told_before_anything_is_paid(task: str, tmp_path: Path) -> None:
    goals = {"one": GoalSettings(("gain", "weight"), task=task), "two": GoalSettings(("gain",))}
    whose = "'depth' alone" if task else "all tasks"
    with pytest.raises(ConfigError, match=f"networks of {whose}, whose files have no 'weight'"):
        goals_study(tmp_path / "run", Unweighed(), goals=goals).run()
    assert not (tmp_path / "run").exists()


def test_a_wish_on_what_files_lack_is_refused(tmp_path: Path) -> None:
    goals = {"all": GoalSettings(("gain",)), "depth": GoalSettings(("price",), task="depth")}
    goals_study(tmp_path / "run", Unweighed(), goals=goals).run()
    with pytest.raises(ConfigError, match="a value that no model has"):
        Run.read(tmp_path / "run").wishing(["weight <= 3"])
    with pytest.raises(ConfigError, match="no model of goal 'all' has"):
        Run.read(tmp_path / "run", goal="all").wishing(["weight <= 3"])


def test_what_no_goal_has_is_told_by_what_all_have(tmp_path: Path) -> None:
    front = goals_study(tmp_path / "run", Divided(), goals=BY_TASK, n=30).run()
    with pytest.raises(ConfigError, match=r"gain.*weight.*price"):
        front.export(tmp_path / "out", which="best:typo")
    unexported = goals_study(tmp_path / "none", Divided(), goals=BY_TASK, n_finalists=0).run()
    with pytest.raises(ExportError, match="goal 'all': no model of the front was exported yet"):
        unexported.export(tmp_path / "out", which="knee")


def test_what_a_goal_has_beside_its_finalists_is_told_of_it(tmp_path: Path) -> None:
    goals_study(tmp_path / "run", Exporting(), n=60, n_finalists=2).run()
    run = Run.read(tmp_path / "run")
    status = cast("Any", status_json(run))["goals"]
    for each in run.goals:
        spare = {model.key for model in each.spare}
        assert len(spare) > 1 and spare == set(status[each.goal]["spare"])
        assert status[each.goal]["exported"] == 3  # with the baseline
        line = f"{len(spare)} more models of the search's front were not exported: run the same"
        assert line in front_text(each) and line in status_text(run)
    assert export_line(run).endswith("--to out/")
    assert export_line(run.of_goal("light")).endswith("--to out/")


def test_a_goal_that_cannot_be_exported_is_told_after_the_others_were(tmp_path: Path) -> None:
    class Broken(Divided):
        def alone(self, task: str) -> Exports:
            return Exporting(unfit=lambda _: True)

    goals = {"depth": BY_TASK["depth"], "all": BY_TASK["all"]}
    with pytest.raises(StudyError, match="no model of the front for 'depth' could be exported"):
        goals_study(tmp_path / "run", Broken(), goals=goals, n=30).run()
    run = Run.read(tmp_path / "run")
    assert [len(each.history.exported) for each in run.goals] == [0, 4]  # with the baseline
    said = json.loads((tmp_path / "run" / "pareto.json").read_text())["goals"]
    assert all(model["artifact"] for model in said["all"]["models"])
    assert "could not be" in run.front.lacking()["depth"]
    assert set(run.front.lacking()) == {"depth"}


def test_a_wish_is_of_the_goals_whose_models_have_its_value(tmp_path: Path) -> None:
    goals_study(tmp_path / "run", Divided(), goals=BY_TASK, n=40).run()
    run = Run.read(tmp_path / "run")
    heaviest = max(model.values["weight"] for model in run.front.goals["all"].models)
    wished = run.of_goal("all").wishing([f"weight <= {heaviest - 1}"]).front
    assert 0 < len(wished) < len(run.front.goals["all"])
    with pytest.raises(ConfigError, match=r"'depth' alone have no 'weight'\. .* Python: .*all"):
        run.wishing(["weight <= 3"])
    with pytest.raises(ConfigError, match=r"no model of goal 'depth' has.* There are "):
        run.of_goal("depth").wishing(["weight <= 3"])


def test_a_wish_means_the_same_before_anything_is_exported(tmp_path: Path) -> None:
    goals_study(tmp_path / "run", Divided(), goals=BY_TASK, n=40, n_finalists=0).run()
    with pytest.raises(ConfigError, match="networks of 'depth' alone have no 'weight'"):
        Run.read(tmp_path / "run").wishing(["weight <= 3"])


def test_a_goal_of_which_nothing_is_left_is_told(tmp_path: Path) -> None:
    goals_study(tmp_path / "run", Divided(), goals={"all": BY_TASK["all"]}, n=40).run()
    wished = Run.read(tmp_path / "run").wishing(["weight <= -1"]).front
    assert wished.lacking() == {"all": "its front is empty"}
