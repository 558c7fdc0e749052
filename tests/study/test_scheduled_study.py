"""Studies with several fidelities: what they pay, what they show, and what a kill costs."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from niwaki.core.candidate import Candidate
from niwaki.core.errors import ConfigError, StudyError
from niwaki.core.fidelity import Fidelities
from niwaki.core.measurement import Measurement
from niwaki.search.listed import Listed
from niwaki.search.nsga2 import NSGA2
from niwaki.search.schedulers.asha import ASHA
from niwaki.study.answers.report_page import report_data
from niwaki.study.answers.tables import front_text, status_json, status_text
from niwaki.study.budget import Budget
from niwaki.study.record.events import Asked, Told
from niwaki.study.record.ledger import encode_line, read_ledger
from niwaki.study.results.run import Run
from niwaki.study.study import Study, StudySettings
from tests.study.climbing import SCHEDULERS, ClimbingEvaluator, climbing_study
from tests.study.formulas import SPACE, FormulaEvaluator, formula_study
from tests.study.hearing import Hears


def evaluations(folder: Path) -> list[tuple[int, str, float, int, str]]:
    """Return number, candidate, fidelity, seed and values of every told trial."""
    events = read_ledger(folder / "trials.jsonl")
    asked = {e.number: e for e in events if isinstance(e, Asked)}
    return [
        (
            e.number,
            asked[e.number].candidate.key,
            asked[e.number].fidelity,
            asked[e.number].seed,
            str(dict(e.measurement.values)),
        )
        for e in events
        if isinstance(e, Told)
    ]


def test_the_budget_counts_full_evaluations(tmp_path: Path) -> None:
    climbing_study(tmp_path / "run", ClimbingEvaluator(), n=15).run()
    history = Run.read(tmp_path / "run").history
    by_hand = sum(fidelity for _, _, fidelity, _, _ in evaluations(tmp_path / "run"))
    assert history.effort == pytest.approx(by_hand)
    assert 14.0 < history.effort <= 15.0 + 1e-6
    assert set(history.paid_by_fidelity()) == {1.0, 0.3, 0.1}


def test_going_on_costs_the_difference_only(tmp_path: Path) -> None:
    fidelities = Fidelities(levels=(0.1, 0.3, 1.0), continues=True)
    climbing_study(tmp_path / "run", ClimbingEvaluator(fidelities=fidelities), n=10).run()
    highest: dict[str, float] = defaultdict(float)
    for _, key, fidelity, _, _ in evaluations(tmp_path / "run"):
        highest[key] = max(highest[key], fidelity)
    assert Run.read(tmp_path / "run").history.effort == pytest.approx(sum(highest.values()))


def test_all_evaluations_of_a_candidate_have_one_seed(tmp_path: Path) -> None:
    climbing_study(tmp_path / "run", ClimbingEvaluator(), n=10).run()
    seeds: dict[str, set[int]] = defaultdict(set)
    for _, key, _, seed, _ in evaluations(tmp_path / "run"):
        seeds[key].add(seed)
    assert {len(of_one) for of_one in seeds.values()} == {1}
    assert len({min(of_one) for of_one in seeds.values()}) == len(seeds)


def test_results_are_of_the_full_effort_alone(tmp_path: Path) -> None:
    front = climbing_study(tmp_path / "run", ClimbingEvaluator(), n=12).run()
    run = Run.read(tmp_path / "run")
    assert front.models
    assert {model.searched.fidelity for model in front.models} == {1.0}
    full = [t.measurement.fidelity == 1.0 for t in run.history.trials]
    steps = [after - before for before, after in zip([0.0, *run.hypervolume], run.hypervolume)]  # noqa: B905
    assert all(is_full or step == 0.0 for is_full, step in zip(full, steps, strict=True))
    shown = report_data(run)
    assert {trial.measurement.fidelity for trial in shown.trials} == {1.0}
    assert len(shown.hypervolume) == len(shown.trials) == sum(full)
    assert shown.effort == run.history.effort
    assert shown.n_partial == len(full) - sum(full)


def test_a_scheduler_by_its_name_alone_is_refused(tmp_path: Path) -> None:
    settings = StudySettings(("gain",), scheduler="asha")
    with pytest.raises(ConfigError, match="every evaluation would be a full one"):
        Study(tmp_path / "run", ClimbingEvaluator(), NSGA2, settings)


def test_an_empty_front_says_that_full_effort_is_missing(tmp_path: Path) -> None:
    settings = StudySettings(("gain", "price"), ("price <= 60",), Budget(1))
    Study(tmp_path / "run", ClimbingEvaluator(), NSGA2, settings, make_scheduler=ASHA).run()
    run = Run.read(tmp_path / "run")
    assert min(trial.measurement.values["price"] for trial in run.history.trials) <= 60
    assert front_text(run) == "the front is empty: no model has been measured with full effort yet"
    assert status_text(run).startswith("run: not running, seed 0\n")  # nothing has a name here


def test_the_status_says_what_was_paid_at_which_fidelity(tmp_path: Path) -> None:
    climbing_study(tmp_path / "run", ClimbingEvaluator(), n=12).run()
    run = Run.read(tmp_path / "run")
    status = status_json(run)
    assert status["scheduler"] == "asha"
    assert status["evaluations"] == pytest.approx(run.history.effort)
    counts = run.history.paid_by_fidelity()
    assert status["paid_by_fidelity"] == {"1": counts[1.0], "0.3": counts[0.3], "0.1": counts[0.1]}
    assert (
        f"of 12 ({counts[1.0]} at 1, {counts[0.3]} at 0.3, {counts[0.1]} at 0.1) evaluations"
        in (status_text(run))
    )


def test_the_searcher_hears_of_each_candidate_on_one_scale(tmp_path: Path) -> None:
    heard: list[dict[str, float]] = []

    class Listening(NSGA2):
        def tell(self, trials):  # type: ignore[no-untyped-def]
            heard.append({t.candidate.key: t.measurement.values["gain"] for t in trials})
            super().tell(trials)

    settings = StudySettings(objectives=("gain", "price"), budget=Budget(15))
    make = {"make_scheduler": ASHA}
    Study(tmp_path / "run", ClimbingEvaluator(), Listening, settings, **make).run()  # type: ignore[arg-type]
    largest = max(heard, key=len)
    trials = Run.read(tmp_path / "run").history.trials
    low = {t.candidate.key: t for t in trials if t.measurement.fidelity < 1.0}
    truths = {key: _full_gain(trial) for key, trial in low.items()}
    off_as_told = [abs(largest[key] - truths[key]) for key in largest if key in low]
    off_as_measured = [
        abs(low[key].measurement.values["gain"] - truths[key]) for key in largest if key in low
    ]
    assert len(off_as_told) > 30
    assert sum(off_as_told) < 0.6 * sum(off_as_measured)


def _full_gain(trial) -> float:  # type: ignore[no-untyped-def]
    full = FormulaEvaluator().evaluate(trial.candidate, fidelity=1.0, seed=0)
    return full.values["gain"]


@dataclass(frozen=True)
class PartlyFlat(ClimbingEvaluator):
    """Gives half of its candidates at once what they will ever have."""

    def gains_by_effort(self, candidate: Candidate) -> bool:
        return int(candidate.key[0], 16) % 2 == 0

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        share = fidelity if self.gains_by_effort(candidate) else 1.0
        return super().evaluate(candidate, fidelity=share, seed=seed)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_who_gains_nothing_by_effort_is_told_as_of_the_full_one(
    tmp_path: Path, scheduler: str
) -> None:
    evaluator = PartlyFlat()
    climbing_study(tmp_path / "run", evaluator, n=8, scheduler=scheduler).run()
    run = Run.read(tmp_path / "run")
    flat = [t for t in run.history.trials if not evaluator.gains_by_effort(t.candidate)]
    assert {trial.measurement.fidelity for trial in flat} == {1.0}
    assert len({trial.candidate.key for trial in flat}) == len(flat)  # never asked for again
    paid = [run.history.asked[trial.number].effort for trial in flat]
    assert min(paid) < 0.5  # and yet paid for as what was asked
    assert run.history.effort <= 8.0 + 1e-6
    assert {t.candidate.key for t in flat} & {m.key for m in run.front.models}
    # A run that is cut goes on as it would have.
    lines = (tmp_path / "run" / "trials.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "trials.jsonl").write_text("".join(lines[: len(lines) // 2]))
    for name in ("config.yaml", "study.json"):
        shutil.copy(tmp_path / "run" / name, tmp_path / "cut" / name)
    climbing_study(tmp_path / "cut", evaluator, n=8, scheduler=scheduler).run()
    again = Run.read(tmp_path / "cut").history
    assert [a.candidate for a in again.asked.values()] == [
        a.candidate for a in run.history.asked.values()
    ]


def test_a_scheduler_needs_an_evaluator_with_several_fidelities(tmp_path: Path) -> None:
    settings = StudySettings(objectives=("gain", "price"), budget=Budget(5))
    study = Study(tmp_path / "run", FormulaEvaluator(), NSGA2, settings, make_scheduler=ASHA)
    with pytest.raises(ConfigError, match="can be asked for the full one alone"):
        study.run()


def test_ledgers_from_before_there_were_schedulers_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    formula_study(folder, FormulaEvaluator(), n=8).run()
    whole = evaluations(folder)
    lines = []
    for event in read_ledger(folder / "trials.jsonl"):
        data = json.loads(encode_line(event))
        data.pop("effort", None)
        data.pop("crc32")
        lines.append(_line(data))
    (folder / "trials.jsonl").write_bytes(b"".join(lines))
    described = json.loads((folder / "study.json").read_text())
    del described["scheduler"]
    (folder / "study.json").write_text(json.dumps(described))
    assert evaluations(folder) == whole
    assert Run.read(folder).history.effort == 8.0
    formula_study(folder, FormulaEvaluator(), n=12).run()
    assert evaluations(folder)[:8] == whole
    assert Run.read(folder).history.effort == 12.0


def _line(data: dict[str, object]) -> bytes:
    import zlib

    body = json.dumps(data, separators=(",", ":")).encode()
    return b'%s,"crc32":"%08x"}\n' % (body[:-1], zlib.crc32(body))


@pytest.mark.parametrize(("scheduler", "n_told"), [("asha", 1), ("asha", 45), ("hyperband", 20)])
def test_promotions_survive_a_kill(tmp_path: Path, scheduler: str, n_told: int) -> None:
    kill_when(tmp_path / "cut" / "run", scheduler, n_told=n_told)
    n_before = len(evaluations(tmp_path / "cut" / "run"))
    run_to_the_end(tmp_path / "cut" / "run", scheduler)
    run_to_the_end(tmp_path / "whole" / "run", scheduler)
    whole = evaluations(tmp_path / "whole" / "run")
    assert n_told <= n_before < len(whole)
    assert evaluations(tmp_path / "cut" / "run") == whole
    # Nothing is evaluated twice at one fidelity, and at most one was in flight.
    assert len({(key, fidelity) for _, key, fidelity, _, _ in whole}) == len(whole)
    visits = (tmp_path / "cut" / "visits").read_text().split()
    assert len(visits) <= 1 + len(whole) + 1


def run_to_the_end(folder: Path, scheduler: str) -> None:
    done = subprocess.run(driver(folder, 0.0, scheduler), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def kill_when(folder: Path, scheduler: str, *, n_told: int) -> None:
    """Start a study in another process, and kill -9 it once it has told so many trials."""
    process = subprocess.Popen(driver(folder, 0.02, scheduler))
    ledger = folder / "trials.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if ledger.exists() and ledger.stat().st_size and len(evaluations(folder)) >= n_told:
            break
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def driver(folder: Path, pause: float, scheduler: str) -> list[str]:
    return [sys.executable, "-m", "tests.study.climbing", str(folder), "16", str(pause), scheduler]


@pytest.mark.parametrize(
    ("levels", "said"),
    [
        ((0.1, 0.5, 1.0), r"had a fidelity of 0\.3, and the scheduler's are 0\.1, 1 now"),
        ((0.2, 1.0), r"had a fidelity of 0\.1, and the scheduler's are 0\.2 now"),
    ],
)
def test_fidelities_that_have_changed_since_a_run_began_are_named(
    levels: tuple[float, ...], said: str, tmp_path: Path
) -> None:
    climbing_study(tmp_path / "run", ClimbingEvaluator(), n=5).run()
    others = ClimbingEvaluator(fidelities=Fidelities(levels=levels))
    with pytest.raises(StudyError, match=said):
        climbing_study(tmp_path / "run", others, n=10).run()


@dataclass(frozen=True)
class _Few(ClimbingEvaluator):
    def initial(self) -> tuple[Candidate, ...]:
        return tuple(SPACE.decide(lambda _, options, n=n: options[n]) for n in range(3))


def test_minutes_that_leave_promotions_are_told_though_nothing_new_is_left(tmp_path: Path) -> None:
    hearing = Hears()
    settings = StudySettings(("gain", "price"), budget=Budget(9, seconds=0.55))
    study = Study(
        tmp_path / "run",
        _Few(seconds=0.1),
        Listed,
        settings,
        make_scheduler=SCHEDULERS["asha"],
        observer=hearing,
    )
    study.run()
    assert any("minutes, preparation included, are over" in sentence for sentence in hearing.said)
    longer = replace(settings, budget=Budget(9, seconds=60.0))
    for again in (longer, settings):
        hearing.said.clear()
        make_scheduler, observer = SCHEDULERS["asha"], hearing
        folder, evaluator = tmp_path / "run", _Few()
        Study(
            folder, evaluator, Listed, again, make_scheduler=make_scheduler, observer=observer
        ).run()
        told = " ".join(hearing.said)
        assert "minutes" not in told, "all three are measured at full effort"
