"""The page of a run: of the whole, or of each of its goals."""

from pathlib import Path

from niwaki.report import build_report
from niwaki.search.nsga2 import NSGA2
from niwaki.study.answers.report_page import report_data, write_report
from niwaki.study.budget import Budget
from niwaki.study.results.run import Run
from niwaki.study.study import Study, StudySettings
from niwaki.study.wishes import GoalSettings
from tests.report.test_page import payload_of
from tests.study.formulas import FormulaEvaluator

GOALS = {
    "quick": GoalSettings(("gain", "price"), ("price <= 60",)),
    "light": GoalSettings(("gain", "weight")),
    "small": GoalSettings(("weight",)),
}


def run_with_goals(folder: Path) -> Run:
    settings = StudySettings((), budget=Budget(40), goals=GOALS, n_finalists=0)
    Study(folder, FormulaEvaluator(), NSGA2, settings).run()
    return Run.read(folder)


def test_a_run_with_goals_is_written_as_all_of_them(tmp_path: Path) -> None:
    run = run_with_goals(tmp_path / "run")
    payload = payload_of(write_report(run).read_text(encoding="utf-8"))
    assert [goal["name"] for goal in payload["goals"]] == list(GOALS)
    for goal, front in zip(payload["goals"], run.front.goals.values(), strict=True):
        rows = goal["own"]["models"]["front"]
        assert [payload["models"]["keys"][row] for row in rows] == [m.key for m in front.models]
        assert goal["own"]["study"]["export"].endswith(f"--model {{key}} --goal {goal['name']}")
        assert goal["own"]["hypervolume"] == [
            float(f"{volume:.6g}") for volume in run.of_goal(goal["name"]).hypervolume
        ]


def test_a_goal_may_have_a_page_of_its_own(tmp_path: Path) -> None:
    run_with_goals(tmp_path / "run")
    run = Run.read(tmp_path / "run", goal="light")
    written = write_report(run, tmp_path / "light.html").read_text(encoding="utf-8")
    assert written == build_report(report_data(run))
    assert [goal["name"] for goal in payload_of(written)["goals"]] == ["light"]


def test_a_run_without_goals_exports_without_one(tmp_path: Path) -> None:
    settings = StudySettings(("gain",), budget=Budget(5), n_finalists=0)
    Study(tmp_path / "run", FormulaEvaluator(), NSGA2, settings).run()
    data = report_data(Run.read(tmp_path / "run"))
    assert data.export_command.endswith("--to out/ --model {key}")
    assert (data.goal, data.task) == ("", "")
