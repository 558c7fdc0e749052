"""The super-network evaluator: what it measures is what runs."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from niwaki.core.candidate import Candidate
from niwaki.core.errors import DataError, RunFolderError, StudyError
from niwaki.evaluation.base import Provenance
from niwaki.evaluation.deployment import (
    CALIBRATION_FILE,
    DATA_FILE,
    calibrated_in,
    require_same_data,
)
from niwaki.evaluation.devices import to_tensors
from niwaki.evaluation.families import elastic_family_of
from niwaki.evaluation.supernet.evaluator import SupernetEvaluator
from niwaki.evaluation.supernet.one_task import only_task
from niwaki.export.bundle import read_bundle, verify_bundle
from niwaki.spaces.precision import ARCHITECTURE, FP32, INT8
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.digit_scenes import DigitScenesSettings, load
from niwaki.tasks.scoring import score
from tests.evaluation.conftest import SPACE, make_evaluator
from tests.hasty import HASTY

PROVENANCE = Provenance("small", (), "0123456789abcdef")


def sampled(evaluator: SupernetEvaluator, seed: int = 0) -> Candidate:
    return evaluator.space.sample(np.random.default_rng(seed))


def test_a_measurement_has_every_value_it_promises(evaluator: SupernetEvaluator) -> None:
    measurement = evaluator.evaluate(sampled(evaluator), fidelity=1.0, seed=0)
    assert {objective.name for objective in evaluator.values} <= set(measurement.values)
    assert measurement.target_id
    assert np.isfinite(list(measurement.values.values())).all()


def test_data_that_changed_since_the_run_began_are_refused(
    scenes: DigitScenesSettings, tmp_path: Path, data: TaskData
) -> None:
    require_same_data(tmp_path, data)
    require_same_data(tmp_path, data)
    with pytest.raises(DataError, match=rf"began with data of fingerprint {data.fingerprint}"):
        require_same_data(tmp_path, load(scenes, seed=1))


def test_what_a_run_noted_and_is_damaged_is_told_with_its_place(
    tmp_path: Path, data: TaskData
) -> None:
    for name in (DATA_FILE, CALIBRATION_FILE):
        (tmp_path / name).write_text("{}")
    with pytest.raises(RunFolderError, match=rf"{DATA_FILE}' is damaged \(KeyError\): restore"):
        require_same_data(tmp_path, data)
    with pytest.raises(RunFolderError, match=rf"{CALIBRATION_FILE}' is damaged"):
        calibrated_in(tmp_path, HASTY)


def test_scores_of_an_fp32_candidate_are_those_of_the_torch_module(
    evaluator: SupernetEvaluator, data: TaskData
) -> None:
    candidate = evaluator.spell(evaluator.architectures.smallest, FP32)
    measured = evaluator.evaluate(candidate, fidelity=1.0, seed=0).values
    module = evaluator._subnetworks.extract(candidate.part(ARCHITECTURE))
    names = [task.name for task in data.tasks]
    predictions = []
    with torch.no_grad():
        for batch in data[SplitName.SEARCH].batches(16):
            images, _ = to_tensors(batch, torch.device("cpu"))
            outputs = [output.numpy() for output in module(images)]
            predictions.append((dict(zip(names, outputs, strict=True)), batch.targets))
    expected = score(data.tasks, predictions, chance=data.chance)
    for name, value in expected.items():
        assert measured[name] == pytest.approx(value, abs=2e-3)


def test_asked_and_realised_precision_are_recorded_for_every_layer(
    evaluator: SupernetEvaluator,
) -> None:
    for seed in range(3):
        candidate = sampled(evaluator, seed)
        rows = evaluator.evaluate(candidate, fidelity=1.0, seed=0).details["layers"]
        asked = candidate.part("quantization").decisions
        assert {row["path"]: row["asked"] for row in rows} == dict(asked)  # type: ignore[union-attr, call-overload, index]
        assert all(row["realised"] in (FP32, INT8) for row in rows)  # type: ignore[union-attr, call-overload, index, operator]


def test_evaluation_is_repeatable_but_for_the_clock(evaluator: SupernetEvaluator) -> None:
    candidate = sampled(evaluator)
    first = dict(evaluator.evaluate(candidate, fidelity=1.0, seed=0).values)
    again = dict(evaluator.evaluate(candidate, fidelity=1.0, seed=0).values)
    first.pop("latency_ms"), again.pop("latency_ms")
    assert first == again


def test_it_travels_to_another_process_and_measures_the_same(
    evaluator: SupernetEvaluator,
) -> None:
    elsewhere = pickle.loads(pickle.dumps(evaluator))
    candidate = sampled(evaluator, 1)
    here = evaluator.evaluate(candidate, fidelity=1.0, seed=0).values
    there = elsewhere.evaluate(candidate, fidelity=1.0, seed=0).values
    assert here["mean_skill"] == there["mean_skill"]
    assert here["size_bytes"] == there["size_bytes"]
    assert len(pickle.dumps(evaluator)) < 100_000


def test_bytes_of_weights_are_those_of_the_parameters(evaluator: SupernetEvaluator) -> None:
    largest = evaluator.architectures.largest
    n_params = evaluator.cheap(evaluator.spell(largest, "fp32"))["params"]
    n_weights = sum(layer.n_weights for layer in evaluator.architectures.layer_table(largest))
    found = [evaluator.cheap(evaluator.spell(largest, p))["weight_bytes"] for p in ("fp32", "int8")]
    assert found == [4 * n_params, 4 * (n_params - n_weights) + n_weights]


def test_int8_is_smaller_than_fp32(evaluator: SupernetEvaluator) -> None:
    largest = evaluator.architectures.largest
    sizes = [
        evaluator.evaluate(evaluator.spell(largest, p), fidelity=1.0, seed=0).values["size_bytes"]
        for p in (INT8, FP32)
    ]
    assert sizes[0] < sizes[1]


def test_the_baseline_is_the_largest_network_in_fp32(evaluator: SupernetEvaluator) -> None:
    baseline = evaluator.baseline()
    assert baseline.part(ARCHITECTURE) == evaluator.architectures.largest
    assert set(baseline.part("quantization").decisions.values()) == {FP32}


def test_training_is_not_done_twice(
    evaluator: SupernetEvaluator, scenes: DigitScenesSettings, folder: Path
) -> None:
    before = (folder / "supernet.pt").stat().st_mtime_ns
    again = make_evaluator(scenes)
    again.prepare(folder)
    assert (folder / "supernet.pt").stat().st_mtime_ns == before
    candidate = sampled(evaluator, 2)
    assert again.cheap(candidate) == evaluator.cheap(candidate)


def test_it_says_that_it_must_be_prepared(scenes: DigitScenesSettings) -> None:
    evaluator = make_evaluator(scenes)
    with pytest.raises(StudyError, match="prepare"):
        evaluator.evaluate(sampled(evaluator), fidelity=1.0, seed=0)


def test_inputs_that_are_no_images_are_refused(data: TaskData) -> None:
    numbers = replace(data, input_shape=(7,))
    with pytest.raises(DataError, match=r"reads images .* smaller with `niwaki compress`"):
        elastic_family_of(SPACE, only_task(lambda: numbers, "digit"))
    with pytest.raises(DataError, match=r"'segmentation' wants .* inputs of shape \(7,\)"):
        elastic_family_of(SPACE, numbers)


def test_masks_of_another_size_than_the_inputs_are_refused(data: TaskData) -> None:
    with pytest.raises(DataError, match="'segmentation' has targets of 32 x 32 places for inputs"):
        elastic_family_of(SPACE, replace(data, input_shape=(3, 64, 64)))


def test_an_export_is_a_verified_bundle_measured_from_its_file(
    evaluator: SupernetEvaluator, data: TaskData, tmp_path: Path
) -> None:
    candidate = sampled(evaluator, 3)
    export = evaluator.export(candidate, tmp_path / "model", provenance=PROVENANCE, seed=0)
    [timed] = evaluator.measure_exports([export], seed=0)
    card = read_bundle(timed.folder).card
    assert verify_bundle(timed.folder).passed
    assert card.candidate == candidate
    assert card.latency is not None
    assert timed.measurement.values["latency_ms"] == card.latency.latency_ms
    session = onnxruntime.InferenceSession(str(timed.folder / "model.onnx"))
    names = [task.name for task in data.tasks]
    predictions = (
        (dict(zip(names, session.run(names, {"image": b.inputs}), strict=True)), b.targets)
        for b in data[SplitName.TEST].batches(16)
    )
    expected = score(data.tasks, predictions, chance=data.chance)
    assert card.metrics["test"] == pytest.approx(expected, abs=1e-6)


def test_an_export_that_is_there_is_not_made_again(
    evaluator: SupernetEvaluator, tmp_path: Path
) -> None:
    candidate = sampled(evaluator, 4)
    first = evaluator.export(candidate, tmp_path / "model", provenance=PROVENANCE, seed=0)
    written = (tmp_path / "model" / "model.onnx").stat().st_mtime_ns
    again = evaluator.export(candidate, tmp_path / "model", provenance=PROVENANCE, seed=0)
    assert (tmp_path / "model" / "model.onnx").stat().st_mtime_ns == written
    assert again.measurement.values == first.measurement.values
    (tmp_path / "model" / "model.onnx").write_bytes(b"damaged")
    evaluator.export(candidate, tmp_path / "model", provenance=PROVENANCE, seed=0)
    assert verify_bundle(tmp_path / "model").passed
