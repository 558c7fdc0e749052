"""Every trial of a run, three ways."""

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from niwaki.core.candidate import Candidate, Value
from niwaki.core.measurement import Measurement, Status
from niwaki.core.objectives import Direction, Objective
from niwaki.study.answers.trials import trials_csv, trials_json, trials_text
from niwaki.study.record.events import Asked, Baseline, Told
from niwaki.study.record.history import History
from niwaki.study.results.run import Run
from niwaki.study.wishes import GoalSettings
from tests.study.formulas import FormulaEvaluator, formula_study, goals_study

AT = "2026-01-01T00:00:00+00:00"


class Unpriced(FormulaEvaluator):
    """Gives some candidates no price, and says why."""

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        found = super().evaluate(candidate, fidelity=fidelity, seed=seed)
        if candidate.decisions["x1"] not in (0, 1, 2):
            return found
        values = {name: value for name, value in found.values.items() if name != "price"}
        return replace(found, values=values, reason="no price today")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a finished run, some of whose evaluations failed."""
    folder = tmp_path_factory.mktemp("trials") / "run"
    formula_study(folder, FormulaEvaluator(fails=True), n=40).run()
    return Run.read(folder)


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_line_tells_all_of_a_trial(run: Run) -> None:
    baseline, *rows = rows_of(trials_csv(run))
    assert baseline["number"] == "-1"
    assert len(rows) == len(run.history.trials)
    for row, trial in zip(rows, run.history.trials, strict=True):
        measured = trial.measurement
        assert (row["number"], row["key"]) == (str(trial.number), measured.key)
        assert (row["status"], row["reason"]) == (measured.status, measured.reason)
        decided = {path: str(value) for path, value in trial.candidate.items}
        assert {path: row[path] for path in decided} == decided
        for name in ("gain", "price", "weight"):
            assert row[name] == (str(measured.values[name]) if name in measured.values else "")
    assert {row["status"] for row in rows} >= {"complete", "failed"}


def test_json_holds_the_whole_measurement(run: Run) -> None:
    found = cast("Any", trials_json(run))["trials"]
    assert [each["number"] for each in found] == [-1, *(t.number for t in run.history.trials)]
    for each, trial in zip(found[1:], run.history.trials, strict=True):
        assert Candidate.from_json(each["candidate"]) == trial.candidate
        assert Measurement.from_json(each) == trial.measurement


def test_people_see_objectives_or_the_reason(run: Run) -> None:
    head, baseline, *lines = trials_text(run).splitlines()
    assert head.split() == ["model", "trial", "status", "effort", "gain", "price", "seconds"]
    assert "baseline" in baseline
    failed = [line for line in lines if " failed " in line]
    assert len(lines) == len(run.history.trials)
    assert failed
    assert all("Error" in line and len(line) < 140 for line in failed)


def test_a_goal_sees_what_lacks_its_values_as_failed(tmp_path: Path) -> None:
    goals = {"strong": GoalSettings(("gain", "price")), "light": GoalSettings(("weight", "gain"))}
    goals_study(tmp_path / "run", Unpriced(), goals=goals, n=20).run()
    run = Run.read(tmp_path / "run")
    light, strong = (Run.read(tmp_path / "run", goal=goal) for goal in ("light", "strong"))
    assert trials_text(light).splitlines()[0].split()[4:6] == ["weight", "gain"]
    rows = [rows_of(trials_csv(each))[1:] for each in (run, light, strong)]
    unpriced = [not row["price"] for row in rows[0]]
    assert any(unpriced) and not all(unpriced)
    for row, lacks in zip(zip(*rows, strict=True), unpriced, strict=True):
        expected = "failed" if lacks else "complete"
        assert [each["status"] for each in row] == ["complete", "complete", expected]
    shown = {row["key"][:8] for row, lacks in zip(rows[0], unpriced, strict=True) if lacks}
    for each, said in ((run, True), (light, False), (strong, True)):
        lines = [line for line in trials_text(each).splitlines() if line[:8] in shown]
        assert len(lines) == len(shown)
        assert all(("no price today" in line) is said for line in lines)


def test_what_breaks_a_bound_is_told_and_whose_it_is(tmp_path: Path) -> None:
    goals_study(tmp_path / "run", FormulaEvaluator(), n=30, constraints=("gain >= 20",)).run()
    baseline, *rows = rows_of(trials_csv(Run.read(tmp_path / "run")))
    limit = float(baseline["price"]) / 2
    for row in rows:
        broken = ["gain >= 20"] if float(row["gain"]) < 20 else []
        broken += [f"light: price <= {limit:g}"] if float(row["price"]) > limit else []
        assert row["breaks"] == "; ".join(broken)
    assert {"", "gain >= 20", f"light: price <= {limit:g}"} <= {row["breaks"] for row in rows}
    light = Run.read(tmp_path / "run", goal="light")
    for line, row in zip(trials_text(light).splitlines()[2:], rows, strict=True):
        told = f"breaks {row['breaks'].replace('light: ', '')}"
        assert line.endswith(told) if row["breaks"] else "breaks" not in line


def told(run: Run, decisions: dict[str, Value], values: dict[str, float], reason: str = "") -> Run:
    """Return a run whose only trial, beside a baseline of other decisions, is this one."""
    candidate, other = Candidate.of(decisions), Candidate.of({"depth": 2})
    status = Status.FAILED if reason else Status.COMPLETE
    measured = Measurement(candidate.key, values, status, reason)
    history = History()
    history.add(Baseline(other, Measurement(other.key, {}), at=AT))
    history.add(Asked(0, candidate, 1.0, 0, 1.0, at=AT))
    history.add(Told(0, measured, at=AT))
    return Run(run.folder, run.description, history)


def test_cells_spell_what_is_no_number_and_no_text_as_json(run: Run) -> None:
    decisions: dict[str, Value] = {"a": (3, (5, "x")), "b": None, "c": False, "d": "-", "e": 1e-3}
    baseline, row = rows_of(trials_csv(told(run, decisions, {"gain": 1.0})))
    assert [row[path] for path in "abcde"] == ['[3,[5,"x"]]', "null", "false", "-", "0.001"]
    assert (row["depth"], baseline["depth"], baseline["a"]) == ("", "2", "")


def test_no_two_columns_have_one_name(run: Run) -> None:
    values = {"gain": 1.0, "seed": 2.0}
    seen = told(run, {"gain": 3, "status": "x", "width": 8}, values, "=1+1")
    row = rows_of(trials_csv(seen))[1]
    assert (row["gain"], row["gain (decision)"], row["status (decision)"]) == ("1.0", "3", "x")
    assert (row["seed (value)"], row["width"], row["reason"]) == ("2.0", "8", "'=1+1")
    assert Objective("gain", Direction.MAXIMIZE) in run.description.values
