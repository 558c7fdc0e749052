"""Finalists are chosen from what was searched, and are complete whatever happened on the way."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import nan
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from niwaki.core.candidate import Candidate
from niwaki.core.errors import ExportError, SpaceError, StudyError
from niwaki.core.measurement import Measurement, Status, Trial
from niwaki.core.objectives import Direction, Objective, minimised
from niwaki.core.pareto import non_dominated
from niwaki.evaluation.base import Export, Provenance
from niwaki.report.models import Models
from niwaki.report.packing import pack
from niwaki.search.nsga2 import NSGA2
from niwaki.study.answers.report_page import report_data
from niwaki.study.answers.tables import front_text, status_json, status_text
from niwaki.study.budget import Budget
from niwaki.study.record.events import Final
from niwaki.study.record.history import History
from niwaki.study.record.ledger import Ledger
from niwaki.study.results.front import Front
from niwaki.study.results.run import Run
from niwaki.study.study import Study, StudySettings
from tests.study.formulas import FormulaEvaluator

GAIN, PRICE = Objective("gain", Direction.MAXIMIZE), Objective("price", Direction.MINIMIZE)


@dataclass(frozen=True)
class Exporting(FormulaEvaluator):
    """Writes nothing, unless there is a file that says that the disk is full.

    Attributes:
        full: That file.
        unfit: Whether a candidate's layers are not those of what is exported.
    """

    full: Path | None = None
    unfit: Callable[[Candidate], bool] = lambda _: False

    @property
    def exports(self) -> bool:
        return True

    def export(
        self, candidate: Candidate, folder: Path, *, provenance: Provenance, seed: int
    ) -> Export:
        if self.full is not None and self.full.exists():
            raise ExportError("the disk is full")
        if self.unfit(candidate):
            raise SpaceError("the plan names a layer that the network does not have")
        return Export(self.evaluate(candidate, fidelity=1.0, seed=seed), folder)


def front_after(
    folder: Path, *, n: int = 30, n_finalists: int = 4, full: Path | None = None
) -> Front:
    settings = StudySettings(("gain", "price"), budget=Budget(n), n_finalists=n_finalists)
    return Study(folder / "run", Exporting(full=full), NSGA2, settings).run()


def exported(folder: Path) -> set[str]:
    finals = Run.read(folder / "run").history.finals
    return {key for key, final in finals.items() if final.complete}


def test_more_finalists_are_exported_when_more_are_asked_for(tmp_path: Path) -> None:
    front_after(tmp_path, n_finalists=1)
    few = exported(tmp_path)
    assert len(few) == 2  # and the baseline
    front_after(tmp_path, n_finalists=6)
    assert few < exported(tmp_path)
    assert len(exported(tmp_path)) == 7


@pytest.mark.parametrize("which", [0, -1], ids=["the first", "the last"])
def test_favourites_are_finalists_before_others(tmp_path: Path, which: int) -> None:
    named: list[str] = []

    def favourites(front: Front, baseline: Measurement) -> Sequence[str]:
        assert baseline.complete
        named.append(front.models[which].key)
        return named

    settings = StudySettings(("gain", "price"), budget=Budget(30), n_finalists=1)
    Study(tmp_path / "run", Exporting(), NSGA2, settings, favourites=favourites).run()
    assert set(named) < exported(tmp_path)
    assert len(exported(tmp_path)) == 2  # the other is the baseline


def test_references_are_exported_beside_the_finalists_also_where_others_beat_them(
    tmp_path: Path,
) -> None:
    named: list[str] = []

    def references(history: History) -> Sequence[Trial]:
        costs = minimised([t.measurement.values for t in history.full_trials], (GAIN, PRICE))
        on_front = non_dominated(costs)
        named.append(history.full_trials[int(np.argmin(on_front))].candidate.key)
        return [t for t in history.full_trials if t.candidate.key in named]

    settings = StudySettings(("gain", "price"), budget=Budget(30), n_finalists=2)
    study = Study(tmp_path / "run", Exporting(), NSGA2, settings, references=references)
    study.run()
    assert set(named) < exported(tmp_path)
    assert len(exported(tmp_path)) == 4  # two finalists, the baseline, and this one


def test_a_larger_budget_brings_new_finalists(tmp_path: Path) -> None:
    before = front_after(tmp_path, n=20)
    after = front_after(tmp_path, n=80)
    best, better = (max(m.values["gain"] for m in front.models) for front in (before, after))
    assert better > best
    assert {m.key for m in after.models} <= exported(tmp_path)


def test_what_the_search_found_beside_the_finalists_is_told(tmp_path: Path) -> None:
    def after(n_finalists: int) -> Run:
        settings = StudySettings(("gain", "price"), budget=Budget(30), n_finalists=n_finalists)
        Study(tmp_path / "run", Exporting(), NSGA2, settings).run()
        return Run.read(tmp_path / "run")

    assert after(0).spare == ()
    whole = {model.key for model in Run.read(tmp_path / "run").front.models}
    run = after(2)
    spare = {model.key for model in run.spare}
    assert len(spare) > 1 and spare == whole - exported(tmp_path)
    line = f"{len(spare)} more models of the search's front were not exported: run the same"
    assert front_text(run).splitlines()[-1].startswith(line)
    wanted = len(whole)
    assert front_text(run).endswith(f"`finalists: {wanted}` (compress: `--finalists {wanted}`)")
    assert any(each.startswith(line) for each in status_text(run).splitlines())
    assert set(cast("list[str]", status_json(run)["spare"])) == spare
    models = cast("Any", pack(Models(report_data(run)), with_layers=()))["models"]
    assert {models["keys"][row] for row in models["spare"]} == spare
    least = min(model.values["price"] for model in run.spare)
    cheap = run.wishing(within=[f"price <= {least}"]).spare
    assert {model.key for model in cheap} <= spare and 0 < len(cheap) < len(spare)
    assert not after(len(whole)).spare and "more models" not in front_text(after(len(whole)))
    wished = after(len(whole)).wishing(within=[f"gain <= {run.front.models[0].values['gain'] - 1}"])
    assert wished.spare == ()


def test_models_that_alone_keep_to_a_wish_are_told_without_another_remedy(tmp_path: Path) -> None:
    settings = StudySettings(("gain", "price"), budget=Budget(30), n_finalists=1)
    Study(tmp_path / "run", Exporting(), NSGA2, settings).run()
    run = Run.read(tmp_path / "run")
    least = min(model.values["price"] for model in run.spare)
    assert least < min(model.values["price"] for model in run.front.models)
    wanted = len(run.searched_front)
    assert front_text(run.wishing(within=[f"price <= {least}"])).splitlines() == [
        "the front is empty: no model that was exported keeps to the constraints",
        "1 model of the search's front was not exported: run the same again with `finalists: "
        f"{wanted}` (compress: `--finalists {wanted}`)",
    ]


def test_a_finalist_that_could_not_be_exported_is_told_with_its_reason(tmp_path: Path) -> None:
    front = front_after(tmp_path)
    with Ledger.open(tmp_path / "run" / "trials.jsonl") as ledger:
        failed = Measurement(front.models[0].key, status=Status.FAILED, reason="no operator Foo")
        ledger.append(Final(front.models[0].number, failed))
    run = Run.read(tmp_path / "run")
    told = f"{failed.key[:8]} could not be exported: no operator Foo"
    assert told in status_text(run).splitlines()
    assert front_text(run).splitlines()[-1] == told
    assert status_json(run)["not_exported"] == {failed.key: failed.reason}
    payload = cast("Any", pack(Models(report_data(run)), with_layers=()))
    (shown,) = payload["unexported"]
    assert shown["reason"] == failed.reason
    assert [payload["models"]["keys"][row] for row in shown["rows"]] == [failed.key]


@dataclass(frozen=True)
class WithNumpy(Exporting):
    """Measures files in numbers of numpy."""

    def measure_exports(self, exports: Sequence[Export], *, seed: int) -> list[Export]:
        return [replace(e, measurement=_of_numpy(e.measurement)) for e in exports]


def _of_numpy(measurement: Measurement) -> Measurement:
    values: dict[str, Any] = {name: np.float32(value) for name, value in measurement.values.items()}
    return replace(measurement, values=values, details={"spread": float("nan")})


def test_files_measured_in_numbers_of_numpy_are_written_down(tmp_path: Path) -> None:
    settings = StudySettings(("gain", "price"), budget=Budget(20), n_finalists=2)
    Study(tmp_path / "run", WithNumpy(), NSGA2, settings).run()
    assert len(exported(tmp_path)) == 3


def test_killed_between_two_finalists_the_rest_is_exported(tmp_path: Path) -> None:
    front_after(tmp_path)
    whole = exported(tmp_path)
    ledger = tmp_path / "run" / "trials.jsonl"
    lines = ledger.read_text().splitlines(keepends=True)
    finals = [number for number, line in enumerate(lines) if '"event":"final"' in line]
    ledger.write_text("".join(lines[: finals[0] + 1]))
    assert len(exported(tmp_path)) == 1
    front_after(tmp_path)
    assert exported(tmp_path) == whole


@dataclass(frozen=True)
class Writing(Exporting):
    """Writes a file for each network, dies in the middle, and notes what it wrote.

    Attributes:
        log: File that gets a line for every export.
        dies: File that is there while timing fails.
    """

    log: Path = Path()
    dies: Path = Path()

    def export(
        self, candidate: Candidate, folder: Path, *, provenance: Provenance, seed: int
    ) -> Export:
        with self.log.open("a") as file:
            file.write(candidate.key + "\n")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.onnx").touch()
        return super().export(candidate, folder, provenance=provenance, seed=seed)

    def has_exported(self, folder: Path) -> bool:
        return (folder / "model.onnx").exists()

    def measure_exports(self, exports: Sequence[Export], *, seed: int) -> list[Export]:
        if self.dies.exists():
            raise KeyboardInterrupt
        return super().measure_exports(exports, seed=seed)


@pytest.mark.parametrize("is_damaged", [False, True])
def test_what_was_written_before_a_kill_is_written_again_only_if_it_is_gone(
    tmp_path: Path,
    is_damaged: bool,
) -> None:
    settings = StudySettings(("gain", "price"), budget=Budget(20), n_finalists=3)
    evaluator = Writing(log=tmp_path / "log", dies=tmp_path / "dies")
    evaluator.dies.touch()
    with pytest.raises(KeyboardInterrupt):
        Study(tmp_path / "run", evaluator, NSGA2, settings).run()
    written = evaluator.log.read_text().split()
    assert len(written) == 4
    assert not exported(tmp_path)
    evaluator.dies.unlink()
    again = written[1:2] if is_damaged else []
    for key in again:
        (tmp_path / "run" / "artifacts" / key / "model.onnx").unlink()
    Study(tmp_path / "run", evaluator, NSGA2, settings).run()
    assert exported(tmp_path) == set(written)
    assert evaluator.log.read_text().split() == written + again


def test_what_could_not_be_exported_is_tried_again(tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.touch()
    with pytest.raises(StudyError, match="the disk is full"):
        front_after(tmp_path, full=full)
    full.unlink()
    front_after(tmp_path, full=full)
    assert len(exported(tmp_path)) == 5


class Dearer(Exporting):
    """Files are scored on other data, which are harder for all networks alike."""

    def measure_exports(self, exports: Sequence[Export], *, seed: int) -> list[Export]:
        assert seed >= 0
        return [replace(e, measurement=_dearer(e.measurement)) for e in exports]


def _dearer(measurement: Measurement) -> Measurement:
    values = measurement.values
    return replace(measurement, values={**values, "price": 10.0 * values["price"]})


def test_files_are_held_against_the_file_of_the_baseline(tmp_path: Path) -> None:
    settings = StudySettings(("gain", "price"), ("price <= 0.5 * baseline",), Budget(30))
    front = Study(tmp_path / "run", Dearer(), NSGA2, settings).run()
    finals = Run.read(tmp_path / "run").history.exported
    limit = 0.5 * max(final.values["price"] for final in finals.values())
    assert {m.key for m in front.models} == {
        key for key, final in finals.items() if final.values["price"] <= limit
    }
    assert len(front) == len(finals) - 1  # the baseline does not keep to it
    run = Run.read(tmp_path / "run")
    assert len(run.front) == len(front)
    shown = report_data(run)
    assert [b.limit for b in shown.final_bounds] == [limit]
    assert [b.limit for b in shown.bounds] == [limit / 10]
    said = f"price <= {limit / 10:.6g} while searching, price <= {limit:.6g} of exported files"
    assert f"bound: {said}" in status_text(run)
    assert run.history.baseline is not None
    searched = run.history.baseline.measurement.values
    both = f"{searched['price']:.4g} while searching; of its exported file, gain"
    (line,) = [each for each in status_text(run).splitlines() if each.startswith("baseline: ")]
    assert both in line and line.endswith(f"price {10 * searched['price']:.4g}")


def test_a_finalist_that_does_not_fit_is_a_failed_one(tmp_path: Path) -> None:
    seen: set[str] = set()

    def unfit(candidate: Candidate) -> bool:
        seen.add(candidate.key)
        return len(seen) == 2  # the first is the baseline

    settings = StudySettings(("gain", "price"), budget=Budget(30), n_finalists=4)
    Study(tmp_path / "run", Exporting(unfit=unfit), NSGA2, settings).run()
    assert len(exported(tmp_path)) == 4
    finals = Run.read(tmp_path / "run").history.finals.values()
    assert [f.reason for f in finals if not f.complete] == [
        "the plan names a layer that the network does not have"
    ]


@dataclass(frozen=True)
class Answering(Exporting):
    """Says something else of what it exported."""

    say: Callable[[Measurement], Measurement] = lambda measurement: measurement
    give: Callable[[Sequence[Export]], list[Export]] = list

    def export(
        self, candidate: Candidate, folder: Path, *, provenance: Provenance, seed: int
    ) -> Export:
        export = super().export(candidate, folder, provenance=provenance, seed=seed)
        return replace(export, measurement=self.say(export.measurement))

    def measure_exports(self, exports: Sequence[Export], *, seed: int) -> list[Export]:
        return self.give(exports)


def run_answering(folder: Path, **answers: Any) -> Front:
    settings = StudySettings(("gain", "price"), budget=Budget(30), n_finalists=4)
    return Study(folder / "run", Answering(**answers), NSGA2, settings).run()


@pytest.mark.parametrize(
    ("price", "reason"),
    [({"price": nan}, "'price' is nan: a value must be finite"), ({}, "gave no value of price")],
    ids=["not a number", "missing"],
)
def test_a_file_that_lacks_a_value_is_a_failed_finalist(
    price: dict[str, float], reason: str, tmp_path: Path
) -> None:
    best = front_after(tmp_path / "searched").models[0].key

    def say(measurement: Measurement) -> Measurement:
        if measurement.key != best:
            return measurement
        return replace(measurement, values={"gain": measurement.values["gain"], **price})

    front = run_answering(tmp_path, say=say)
    assert best not in {model.key for model in front.models}
    assert reason in Run.read(tmp_path / "run").history.finals[best].reason


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"say": lambda measured: replace(measured, key="another")}, "`export` .* gave .*another"),
        ({"give": lambda exports: list(exports)[1:]}, "`measure_exports` .* was asked about"),
        ({"give": lambda exports: []}, "gave exports of nothing, but was asked about"),
    ],
    ids=["of another key", "without one", "none"],
)
def test_exports_of_others_than_were_asked_for_are_told(
    answers: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(StudyError, match=said):
        run_answering(tmp_path, **answers)


def test_what_a_users_exporting_raises_says_where_it_is_from(tmp_path: Path) -> None:
    def give(exports: Sequence[Export]) -> list[Export]:
        raise OSError("the clock broke")

    with pytest.raises(OSError, match="the clock broke") as caught:
        run_answering(tmp_path, give=give)
    assert caught.value.__notes__[0].startswith("This was raised by `measure_exports`")
