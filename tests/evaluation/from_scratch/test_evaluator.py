"""The from-scratch evaluator: what is trained is what is measured, and failures stay alone."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from niwaki.core.candidate import Candidate
from niwaki.core.errors import ConfigError, DataError, ExportError, SpaceError
from niwaki.core.measurement import Measurement, Status
from niwaki.evaluation.base import Provenance
from niwaki.evaluation.deployment import INPUT_NAME, DeploymentSettings
from niwaki.evaluation.from_scratch.evaluator import (
    CHECKPOINTS,
    FromScratchEvaluator,
    FromScratchSettings,
    create,
)
from niwaki.evaluation.from_scratch.training import RecipeSettings
from niwaki.evaluation.registry import Ingredients
from niwaki.export.bundle import read_bundle, verify_bundle
from niwaki.spaces.precision import INT8
from niwaki.spaces.slimmable import SlimmableSettings, StageSettings
from niwaki.study.executors.attempt import attempt
from niwaki.study.executors.base import Job
from niwaki.tasks.base import SplitName
from niwaki.tasks.scoring import score
from tests.evaluation.shades import shades, two_tasks
from tests.evaluation.tiny_family import DIVERGES, EXHAUSTS, FINE, HUGE, TinySettings
from tests.hasty import HASTY

PROVENANCE = Provenance("small", (), "0123456789abcdef")
SETTINGS = FromScratchSettings(
    recipe=RecipeSettings(epochs=3, batch_size=16, learning_rate=0.1, n_recalibration=32),
    deployment=DeploymentSettings(n_calibration=16, batch_size=20),
    seeds=("width_8",),
    final_threads=1,
)
SLIM = SlimmableSettings(
    stem_widths=(4,),
    stages=(StageSettings(widths=(4, 8), hidden=(4, 8), depths=(1,), stride=1),),
    default_decoder=(4, 8),
)


def make_evaluator(
    settings: FromScratchSettings = SETTINGS,
    *,
    space: object = TinySettings(),
    precisions: tuple[str, ...] = ("fp32",),
) -> FromScratchEvaluator:
    return FromScratchEvaluator(two_tasks, space, HASTY, precisions=precisions, settings=settings)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("artifacts")


@pytest.fixture(scope="module")
def evaluator(folder: Path) -> FromScratchEvaluator:
    made = make_evaluator()
    made.prepare(folder)
    return made


def candidate(width: int = 8, fault: str = FINE) -> Candidate:
    return Candidate.of({"width": width, "fault": fault})


def attempted(evaluator: FromScratchEvaluator, chosen: Candidate) -> Measurement:
    return attempt(evaluator, Job(0, chosen, seed=5), worker="here")


def scores(measurement: Measurement) -> dict[str, float]:
    return {n: v for n, v in measurement.values.items() if "accuracy" in n or n == "mean_skill"}


def test_a_measurement_has_every_value_it_promises(evaluator: FromScratchEvaluator) -> None:
    measurement = evaluator.evaluate(candidate(), fidelity=1.0, seed=0)
    assert {objective.name for objective in evaluator.values} == set(measurement.values)
    assert np.isfinite(list(measurement.values.values())).all()
    assert measurement.target_id
    assert measurement.values["mean_skill"] > 0.3  # it has learnt


def test_the_same_candidate_seed_and_fidelity_give_the_same_scores(
    evaluator: FromScratchEvaluator,
) -> None:
    first, again, other_seed, lower = (
        scores(evaluator.evaluate(candidate(), fidelity=fidelity, seed=seed))
        for fidelity, seed in ((1.0, 3), (1.0, 3), (1.0, 4), (0.1, 3))
    )
    assert first == again
    assert first not in (other_seed, lower)


def test_it_travels_to_another_process_and_measures_the_same(
    evaluator: FromScratchEvaluator,
) -> None:
    _ = evaluator.data
    travelled = pickle.dumps(evaluator)
    assert len(travelled) < 5_000
    there: FromScratchEvaluator = pickle.loads(travelled)
    measured = (each.evaluate(candidate(4), fidelity=1.0, seed=1) for each in (evaluator, there))
    assert len({json.dumps(scores(m)) for m in measured}) == 1


def test_counts_are_those_of_the_module(evaluator: FromScratchEvaluator) -> None:
    for width in (4, 8):
        module = evaluator.family.build(candidate(width))
        n_params = sum(p.numel() for p in module.parameters())
        counts = evaluator.cheap(candidate(width))
        assert counts["params"] == n_params
        assert counts["weight_bytes"] == 4 * n_params


def test_a_diverging_training_is_a_failed_measurement_with_counts(
    evaluator: FromScratchEvaluator,
) -> None:
    measurement = attempted(evaluator, candidate(fault=DIVERGES))
    assert measurement.status is Status.FAILED
    assert "the training diverged" in measurement.reason
    assert measurement.values["params"] > 0
    assert attempted(evaluator, candidate()).complete


def test_a_bomb_is_refused_before_it_is_built(
    evaluator: FromScratchEvaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("it was built")

    monkeypatch.setattr(type(evaluator.family), "build", never)
    measurement = attempted(evaluator, candidate(fault=HUGE))
    assert measurement.status is Status.FAILED
    assert "batches of 16 is estimated to take 23,438 MiB, above `max_memory_mib` of 2,048" in (
        measurement.reason
    )


def test_memory_that_runs_out_fails_that_candidate_alone(evaluator: FromScratchEvaluator) -> None:
    measurement = attempted(evaluator, candidate(fault=EXHAUSTS))
    assert measurement.status is Status.FAILED
    assert measurement.reason.startswith("MemoryError: no memory left (")
    assert attempted(evaluator, candidate()).complete


def test_a_slow_training_is_a_failed_measurement(folder: Path) -> None:
    recipe = replace(SETTINGS.recipe, max_seconds=1e-9)
    evaluator = make_evaluator(replace(SETTINGS, recipe=recipe))
    evaluator.prepare(folder)
    measurement = attempted(evaluator, candidate())
    assert measurement.status is Status.FAILED
    assert "1 of 18 steps" in measurement.reason


def test_seeds_are_the_baseline_and_where_a_search_begins(folder: Path) -> None:
    evaluator = make_evaluator(replace(SETTINGS, seeds=("width_4", "width_8"), baseline="width_8"))
    evaluator.prepare(folder)
    assert evaluator.baseline() == candidate(8)
    assert evaluator.initial() == (candidate(4), candidate(8))


def test_a_search_from_scratch_has_no_seeds_and_a_small_baseline(folder: Path) -> None:
    evaluator = make_evaluator(replace(SETTINGS, seeds=()))
    evaluator.prepare(folder)
    assert evaluator.initial() == ()
    assert evaluator.baseline().decisions["width"] == 4
    assert evaluator.baseline().decisions["fault"] != HUGE


def test_a_seed_may_be_a_candidate_in_a_file(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(candidate(4).to_json()))
    evaluator = make_evaluator(replace(SETTINGS, seeds=(str(path),)))
    evaluator.prepare(folder)
    assert evaluator.initial() == (candidate(4),)
    path.write_text('{"width": 5, "fault": "fine"}')
    with pytest.raises(SpaceError, match=r"mine.json' is not of this space: decision 'width' is 5"):
        make_evaluator(replace(SETTINGS, seeds=(str(path),))).prepare(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": ("width_9",)}, "there is no seed 'width_9'"),
        ({"seeds": ("none.json",)}, "the seed 'none.json' cannot be read"),
        ({"baseline": "width_4"}, "'width_4', which is none of the seeds: width_8"),
    ],
)
def test_seeds_that_are_not_there_are_refused_at_the_start(
    changes: dict[str, object], message: str, folder: Path
) -> None:
    with pytest.raises((ConfigError, SpaceError), match=message):
        make_evaluator(replace(SETTINGS, **changes)).prepare(folder)  # type: ignore[arg-type]


def test_a_promotion_continues_and_gives_what_an_unbroken_training_gives(tmp_path: Path) -> None:
    settings = replace(SETTINGS, recipe=replace(SETTINGS.recipe, schedule="full"))
    measured = {}
    for name, fidelities in (("continued", (0.25, 0.5, 1.0)), ("unbroken", (1.0,))):
        evaluator = make_evaluator(settings)
        evaluator.prepare(tmp_path / name)
        assert evaluator.fidelities.continues
        for fidelity in fidelities:
            measured[name] = evaluator.evaluate(candidate(), fidelity=fidelity, seed=2)
    training = measured["continued"].details["training"]
    assert isinstance(training, dict)
    assert (training["continued_from"], training["steps"]) == (9, 18)
    assert scores(measured["continued"]) == scores(measured["unbroken"])


def test_checkpoints_stay_within_their_bytes(tmp_path: Path) -> None:
    recipe = replace(SETTINGS.recipe, schedule="full")
    evaluator = make_evaluator(replace(SETTINGS, recipe=recipe, checkpoints_mib=0.02))
    evaluator.prepare(tmp_path)
    for seed in range(4):
        evaluator.evaluate(candidate(), fidelity=0.2, seed=seed)
    files = list((tmp_path / CHECKPOINTS).glob("*.pt"))
    assert 1 <= len(files) < 4
    assert sum(path.stat().st_size for path in files) <= 0.02 * 2**20
    assert (tmp_path / CHECKPOINTS / f"{candidate().key}-3.pt") in files


def test_a_damaged_checkpoint_costs_time_alone(tmp_path: Path) -> None:
    recipe = replace(SETTINGS.recipe, schedule="full")
    evaluator = make_evaluator(replace(SETTINGS, recipe=recipe))
    evaluator.prepare(tmp_path)
    evaluator.evaluate(candidate(), fidelity=0.5, seed=0)
    (path,) = (tmp_path / CHECKPOINTS).glob("*.pt")
    path.write_bytes(path.read_bytes()[:100])
    measurement = evaluator.evaluate(candidate(), fidelity=1.0, seed=0)
    training = measurement.details["training"]
    assert isinstance(training, dict)
    assert training["continued_from"] == 0


def test_an_export_is_trained_anew_verified_and_measured_from_its_file(
    evaluator: FromScratchEvaluator, tmp_path: Path
) -> None:
    export = evaluator.export(candidate(), tmp_path / "a", provenance=PROVENANCE, seed=9)
    bundle = read_bundle(export.folder)
    assert verify_bundle(export.folder).passed
    runner = evaluator._target.open(bundle.model_path)
    data = evaluator.data
    predictions = (
        (runner({INPUT_NAME: batch.inputs}), batch.targets)
        for batch in data[SplitName.TEST].batches(20)
    )
    assert export.measurement.details["test"] == score(data.tasks, predictions, chance=data.chance)
    (timed,) = evaluator.measure_exports([export], seed=0)
    assert {value.name for value in evaluator.values} == set(timed.measurement.values)


def test_finalists_may_be_trained_longer(folder: Path, tmp_path: Path) -> None:
    short, long = (
        make_evaluator(replace(SETTINGS, final_epochs=final_epochs, recipe=recipe))
        for final_epochs, recipe in (
            (0, replace(SETTINGS.recipe, epochs=1, learning_rate=1e-4)),
            (30, replace(SETTINGS.recipe, epochs=1)),
        )
    )
    skills = []
    for number, evaluator in enumerate((short, long)):
        evaluator.prepare(folder)
        to = tmp_path / str(number)
        export = evaluator.export(candidate(), to, provenance=PROVENANCE, seed=0)
        skills.append(export.measurement.values["mean_skill"])
    assert skills[1] > skills[0] + 0.2


def test_a_finalist_that_diverges_is_an_export_error(
    evaluator: FromScratchEvaluator, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match="could not be trained anew: the training diverged"):
        evaluator.export(candidate(fault=DIVERGES), tmp_path, provenance=PROVENANCE, seed=0)


def test_slimmable_networks_are_trained_from_scratch_too_and_quantized(tmp_path: Path) -> None:
    settings = replace(SETTINGS, seeds=("smallest",))
    evaluator = make_evaluator(settings, space=SLIM, precisions=("fp32", "int8"))
    evaluator.prepare(tmp_path)
    base = evaluator.baseline()
    int8 = evaluator.space.canonical(
        {p: INT8 if p.startswith("quantization") else v for p, v in base.items}
    )
    in_fp32, in_int8 = (evaluator.evaluate(c, fidelity=1.0, seed=0) for c in (base, int8))
    assert in_int8.values["weight_bytes"] < in_fp32.values["weight_bytes"]
    rows = in_int8.details["layers"]
    assert isinstance(rows, list)
    assert {row["asked"] for row in rows} == {"int8"}
    assert [row["realised"] for row in rows if row["kind"] == "conv"] == ["int8"] * 4
    module = evaluator.family.build(base.part("architecture"))
    assert sum(p.numel() for p in module.parameters()) == evaluator.cheap(base)["params"]


def test_seeds_of_the_slimmable_space_have_names(tmp_path: Path) -> None:
    settings = replace(SETTINGS, seeds=("smallest", "largest", "halves"))
    with pytest.raises(SpaceError, match="no seed 'halves'; did you mean 'half'"):
        make_evaluator(settings, space=SLIM).prepare(tmp_path)


def test_networks_without_named_layers_cannot_be_quantized() -> None:
    with pytest.raises(ConfigError, match=r"set `quantization.precisions` to \[fp32\]"):
        _ = make_evaluator(precisions=("fp32", "int8")).space


def test_a_space_that_describes_no_networks_is_refused() -> None:
    with pytest.raises(ConfigError, match="describes no networks that can be built"):
        _ = make_evaluator(space=object()).space


def test_changed_data_are_refused(evaluator: FromScratchEvaluator, folder: Path) -> None:
    other = FromScratchEvaluator(shades, TinySettings(), HASTY, settings=SETTINGS)
    with pytest.raises(DataError, match="this run began with data of fingerprint"):
        other.prepare(folder)


@pytest.mark.parametrize("missing", ["space", "load_data", "target"])
def test_a_missing_section_is_named(missing: str) -> None:
    given = Ingredients(TinySettings(), shades, HASTY, ("fp32",), 0, print)
    section = {"load_data": "data"}.get(missing, missing)
    with pytest.raises(ConfigError, match=f"needs a section `{section}`"):
        create(SETTINGS, replace(given, **{missing: None}))  # type: ignore[arg-type]
    assert create(SETTINGS, given).space.size == 8
