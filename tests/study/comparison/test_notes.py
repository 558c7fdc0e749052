"""What is told before anybody draws a conclusion, and what cannot be compared."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from niwaki import compare_runs
from niwaki.core.errors import ConfigError
from niwaki.core.goals import Goal
from niwaki.core.jsonable import JSON
from niwaki.core.measurement import Measurement, Status
from niwaki.core.objectives import Direction, Objective
from niwaki.study.record.run_lock import RunLock
from tests.study.comparison.written import GAIN, PRICE, WEIGHT, measured, priced, write_run
from tests.study.formulas import FormulaEvaluator, formula_study

PAIRS = ((1.0, 1.0), (5.0, 5.0))
TABLE: dict[str, JSON] = {"kind": "table", "values": {"price": {"column": "p"}}}


def notes(tmp_path: Path, one: Mapping[str, object], other: Mapping[str, object]) -> list[str]:
    """Return what is told of two runs of other seeds; keywords are those of `write_run`."""
    folders = []
    for seed, (name, how) in enumerate((("one", one), ("other", other))):
        given = {"measurements": priced(*PAIRS), "seed": seed, **how}
        folders.append(write_run(tmp_path / name, **given))  # type: ignore[arg-type]
    return list(compare_runs(folders).notes)


def test_of_runs_that_are_alike_there_is_nothing_to_tell(tmp_path: Path) -> None:
    assert notes(tmp_path, {}, {}) == []


@pytest.mark.parametrize(
    ("theirs", "fault"),
    [
        ((WEIGHT,), "no objective in common: of the one they are gain, price, of the other weight"),
        (
            (GAIN, Objective("price", Direction.MAXIMIZE, "ms")),
            "'one' would minimize 'price', and 'other' would maximize it",
        ),
        (
            (GAIN, Objective("price", Direction.MINIMIZE, "s")),
            "'price' is in ms in 'one', and in s in 'other'",
        ),
    ],
)
def test_what_cannot_be_compared_names_both_runs(
    tmp_path: Path, theirs: tuple[Objective, ...], fault: str
) -> None:
    one = write_run(tmp_path / "one", priced(*PAIRS))
    other = write_run(tmp_path / "other", priced(*PAIRS), objectives=theirs)
    with pytest.raises(ConfigError, match=fault):
        compare_runs([one, other])


def test_a_unit_that_one_of_them_does_not_tell_is_the_others(tmp_path: Path) -> None:
    bare = Objective("price", Direction.MINIMIZE)
    one = write_run(tmp_path / "one", priced(*PAIRS), objectives=(bare,))
    other = write_run(tmp_path / "other", priced(*PAIRS), objectives=(PRICE,))
    assert compare_runs([one, other]).objectives == (PRICE,)


def test_objectives_that_not_all_have_are_told(tmp_path: Path) -> None:
    found = notes(tmp_path, {"objectives": (GAIN, PRICE, WEIGHT)}, {})
    assert found == ["left out, as not all runs have them among their objectives: weight in 'one'"]


def on(target: str) -> list[Measurement]:
    return [replace(each, target_id=target) for each in priced(*PAIRS)]


def test_latencies_of_different_targets_are_told(tmp_path: Path) -> None:
    found = notes(tmp_path, {"measurements": on("slow")}, {"measurements": on("quick")})
    assert found == [
        "latencies were measured on different targets: slow in 'one'; quick in 'other'"
    ]


def test_values_that_were_measured_otherwise_are_told(tmp_path: Path) -> None:
    columns = ({"kind": "table", "columns": {"price": name}} for name in ("here", "there"))
    one, other = ({"config": {"evaluator": each}} for each in columns)
    assert notes(tmp_path, one, other) == [
        "what is measured is not set alike (evaluator.columns.price): values of one name need "
        "not mean the same"
    ]


@pytest.mark.parametrize(
    "more",
    [
        {"data": {"kind": "folder", "cache": "/elsewhere"}},
        {"evaluator": {**TABLE, "values": {"price": {"column": "p", "fidelities": {"0.5": "h"}}}}},
        {"evaluator": {**TABLE, "baseline": "median"}},
        {"evaluator": {**TABLE, "seconds": "took"}},
        {"evaluator": {**TABLE, "cheap": ["price"]}},
        {"evaluator": {**TABLE, "alike": ["net"]}},
    ],
    ids=["cache", "fidelities", "baseline", "seconds", "cheap", "alike"],
)
def test_settings_that_change_no_full_measurement_are_not_what_is_measured(
    tmp_path: Path, more: dict[str, object]
) -> None:
    plain: dict[str, object] = {"evaluator": TABLE, "data": {"kind": "folder"}}
    assert notes(tmp_path, {"config": plain}, {"config": {**plain, **more}}) == []


@pytest.mark.parametrize(
    ("efforts", "budget", "told"),
    [
        ((1.0, 1.0, 1.0), 3, False),
        ((1.0, 1.0, 1.0), 4, True),
        ((0.1,) * 10, 1, False),
        ((0.5, 0.5, 1.0), 3, True),
        ((0.25, 0.25, 1.0), 2, False),
        ((0.25, 0.25, 0.25), 1, True),
    ],
)
def test_a_run_is_over_where_its_next_evaluation_may_have_had_no_place(
    tmp_path: Path, efforts: tuple[float, ...], budget: int, told: bool
) -> None:
    tried = [measured(i, {"gain": 1.0, "price": 1.0}) for i in range(len(efforts))]
    one = {"measurements": tried, "efforts": efforts, "budget": budget}
    found = notes(tmp_path, one, {})
    assert [note.startswith("ended, or was stopped") for note in found] == [True] * told


def test_a_run_without_a_baseline_is_told_to_be_left_out(tmp_path: Path) -> None:
    baseline = measured(-1, {"gain": 0.0, "price": 6.0})
    folders = [
        write_run(tmp_path / name, priced(*PAIRS), baseline=baseline, seed=seed)
        for seed, name in enumerate(("one", "other"))
    ]
    folders.append(write_run(tmp_path / "begun", []))
    comparison = compare_runs(folders, within=["price <= baseline"])
    assert [run.name for run in comparison.runs] == ["one", "other"]
    assert comparison.notes[0] == (
        "left out, as no baseline was measured so far to judge price <= baseline by: 'begun'"
    )


def test_what_compressions_are_of_is_told_where_it_differs_or_is_not_known(tmp_path: Path) -> None:
    models = ({"model": f"my.py:{name}", "data": "my.py:loaders"} for name in ("small", "large"))
    one, other = ({"config": {"compression": {}, "subject": each}} for each in models)
    assert notes(tmp_path / "a", one, other) == [
        "what is measured is not set alike (subject.model): values of one name need not mean the "
        "same"
    ]
    (untold, _) = notes(tmp_path / "b", one, {"config": {"compression": {}}})
    assert untold == (
        "begun before runs kept what model they compress, and on what data: 'other'; values of "
        "one name need not mean the same"
    )
    assert notes(tmp_path / "c", one, one) == []


def test_constraints_are_told_once_or_run_by_run(tmp_path: Path) -> None:
    bound: dict[str, object] = {"constraints": ["price <= 5"]}
    assert notes(tmp_path / "a", {**bound}, {**bound}) == ["all fronts keep to price <= 5"]
    (found,) = notes(tmp_path / "b", {**bound}, {})
    assert found == (
        "each front keeps to its own run's constraints, and they differ: price <= 5 in 'one'; "
        "none in 'other'. `--within` judges all alike"
    )
    folders = [tmp_path / "b" / name for name in ("one", "other")]
    (judged,) = compare_runs(folders, within=["price <= 3"]).notes
    assert judged == "all fronts keep to price <= 3, in place of the runs' own constraints"


def test_wishes_relative_to_baselines_that_differ_are_told_as_they_were_written(
    tmp_path: Path,
) -> None:
    folders = [
        write_run(
            tmp_path / f"{price}",
            priced(*PAIRS),
            baseline=measured(-1, {"gain": 0.0, "price": price}),
            seed=int(price),
        )
        for price in (2.0, 6.0)
    ]
    comparison = compare_runs(folders, within=["price <= baseline"])
    (found,) = comparison.notes
    assert found == (
        "all fronts keep to price <= baseline, each relative to its own run's baseline, in place "
        "of the runs' own constraints"
    )
    assert [run.figures["best_gain"] for run in comparison.runs] == [1.0, 5.0]


def test_other_versions_and_processors_are_told(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / name, priced(*PAIRS)) for name in ("one", "other")]
    for folder, which in zip(folders, ("1", "2"), strict=True):
        environment = {"packages": {"niwaki": f"0.{which}"}, "cpu": {"model": f"cpu {which}"}}
        session = {"at": "2026-01-01T00:00:00+00:00", "environment": environment}
        (folder / "environment.json").write_text(json.dumps({"sessions": [session]}))
    assert list(compare_runs(folders).notes) == [
        "of different versions of niwaki: 0.1 in 'one'; 0.2 in 'other'",
        "seconds are of different processors: cpu 1 in 'one'; cpu 2 in 'other'",
    ]


def test_a_run_that_goes_on_is_compared_as_it_is_now(tmp_path: Path) -> None:
    folders = [
        write_run(tmp_path / name, priced(*PAIRS), budget=9, seed=seed)
        for seed, name in enumerate(("one", "other"))
    ]
    with RunLock(folders[0] / "lock").acquire():
        found = list(compare_runs(folders).notes)
    assert found == [
        "still going, and compared as they are now: 'one'",
        "ended, or was stopped, before its evaluations were spent: 'other' 2 of 9",
    ]


def test_runs_that_have_nothing_are_told(tmp_path: Path) -> None:
    found = notes(tmp_path, {"measurements": []}, {"constraints": ["price <= 0"]})
    assert found[1:] == [
        "nothing was evaluated yet in 'one'",
        "no model with full effort has all objectives and keeps to the constraints in 'other'",
    ]


def test_failures_alone_are_no_models(tmp_path: Path) -> None:
    failed = [replace(m, values={}, status=Status.FAILED, reason="no") for m in priced((0.0, 0.0))]
    (found,) = notes(tmp_path, {"measurements": failed}, {})
    assert found.startswith("no model with full effort") and found.endswith("in 'one'")


def test_repeats_of_a_seed_and_copies_are_no_further_seeds(tmp_path: Path) -> None:
    assert notes(tmp_path, {}, {"seed": 0}) == ["repeats with the same seed 0: 'one', 'other'"]
    one, other = tmp_path / "one", tmp_path / "other"
    (other / "trials.jsonl").write_bytes((one / "trials.jsonl").read_bytes())
    assert compare_runs([one, other]).notes[0] == (
        "'one', 'other' begin with the same event: they are copies of one run"
    )


def test_what_a_run_knew_before_is_told(tmp_path: Path) -> None:
    (found,) = notes(tmp_path, {"config": {"learn_from": ["runs/earlier"]}}, {})
    assert found == "learned from earlier runs, whose evaluations are not counted: 'one'"


def test_values_of_exported_files_are_told_to_be_elsewhere(tmp_path: Path) -> None:
    (found,) = notes(tmp_path, {"finals": priced((0.5, 1.0))}, {})
    assert found.startswith("values are those that the searches measured, not those of the expo")
    assert found.endswith("in 'one'")


def test_a_goal_and_what_its_evaluations_are_shared_with_is_told(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one", priced(*PAIRS), goals=(Goal("cheap", (GAIN, PRICE)),))
    other = write_run(tmp_path / "other", priced(*PAIRS))
    (found,) = compare_runs([one, other], goal="cheap").notes
    assert found == (
        "seen by the goal 'cheap': 'one'; evaluations and seconds are those that all goals of a "
        "run share"
    )


def test_runs_from_python_are_one_search_by_the_little_that_they_tell(tmp_path: Path) -> None:
    folders = [tmp_path / f"run-{seed}" for seed in (0, 1)]
    for seed, folder in enumerate(folders):
        formula_study(folder, FormulaEvaluator(), n=5, seed=seed).run()
    (found,) = compare_runs(folders).notes
    assert found.startswith("of one search by the little that runs from Python tell")
    assert found.endswith("apart with `--apart`: 'run-0', 'run-1'")
    assert compare_runs(folders, apart=True).notes == ()
