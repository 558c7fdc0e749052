"""`niwaki.compress`: from a trained model to verified files."""

import inspect
import json
import pickle
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray
from torch import nn

import niwaki
from niwaki.core.errors import ConfigError, RunFolderError
from niwaki.core.measurement import Measurement, Status
from niwaki.evaluation.compression.given_model.model_source import ORIGINAL_FILE, ModelSource
from niwaki.evaluation.compression.settings import CompressionSettings, PruningSettings
from niwaki.evaluation.compression.tuning.fine_tuning import TuningSettings
from niwaki.export.bundle import find_bundles, read_bundle, verify_bundle
from niwaki.study.answers.report_page import report_data
from niwaki.study.answers.tables import front_table
from niwaki.study.compression import (
    Compressed,
    CompressionRequest,
    compression_study,
    data_loader,
)
from niwaki.study.record.events import Final
from niwaki.study.record.run_folder import RunFolder
from niwaki.study.results.front import FrontModel
from niwaki.study.results.run import Run, load_front
from niwaki.tasks.own import Scoring
from tests.evaluation.compression.small import build, loaders, unlabelled
from tests.hasty import HASTY

SETTINGS = CompressionSettings(
    pruning=PruningSettings(price="macs", shares=(0.5,), n_judged=64),
    tuning=TuningSettings(epochs=1.0, batch_size=32, n_recalibration=128),
)


def compressed(folder: Path, request: CompressionRequest) -> Compressed:
    """Compress the small model, or go on."""
    return niwaki.compress(
        build(), tasks=loaders(), target=HASTY, folder=folder / "run", request=request
    )


@dataclass(frozen=True)
class Finished:
    """What came of a compression, for tests that only read.

    Attributes:
        found: As it was returned.
        request: What was asked for.
        folder: Of the run.
    """

    found: Compressed
    request: CompressionRequest
    folder: Path

    def read(self) -> tuple[Compressed, Run, CompressionRequest]:
        """Return it, with the run read anew."""
        return self.found, Run.read(self.folder), self.request


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Pruned, quantized and exported."""
    folder = tmp_path_factory.mktemp("whole")
    request = CompressionRequest(n_finalists=2, settings=SETTINGS)
    return Finished(compressed(folder, request), request, folder / "run")


@pytest.fixture(scope="module")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Quantized alone, and nothing exported."""
    folder, settings = tmp_path_factory.mktemp("quantized"), replace(SETTINGS, only="quantize")
    request = CompressionRequest(n_finalists=0, settings=settings)
    return Finished(compressed(folder, request), request, folder / "run")


def test_settings_that_are_none_are_told_what_to_be() -> None:
    with pytest.raises(ConfigError, match="'settings' is a dict: give CompressionSettings"):
        CompressionRequest(settings={"only": "prune"})  # type: ignore[arg-type]


def test_a_model_is_compressed_exported_and_verified(whole: Finished) -> None:
    found, run, _ = whole.read()
    assert isinstance(found, Compressed)
    told = found.summary()  # which is chosen is for the machine's latencies to say
    assert "faster and" in told or "the original itself" in told
    assert found.int8 is not None
    bundles = find_bundles(run.folder.path / "artifacts")
    assert bundles
    for folder in bundles:
        verify_bundle(folder).require(str(folder))


def test_the_plain_int8_version_is_exported_beside_the_finalists(tmp_path: Path) -> None:
    request = CompressionRequest(n_finalists=1, latency_ms=1e-6, settings=SETTINGS)
    found = compressed(tmp_path, request)
    history = Run.read(tmp_path / "run").history
    assert found.int8 is not None and found.int8_by_file
    assert found.original.key in history.exported and found.int8.key in history.exported
    assert "while searching" not in found.summary()


def test_what_is_lost_on_the_test_split_is_told_from_the_cards(whole: Finished) -> None:
    found, run, request = whole.read()
    trial = next(t for t in run.history.trials if t.candidate.key in run.history.exported)
    final = run.history.exported[trial.candidate.key]
    model = FrontModel(trial.number, trial.candidate, trial.measurement, final)
    told = Compressed.of(replace(found.front, models=(model,)), run, request).summary()
    folders = find_bundles(run.folder.path / "artifacts")
    cards = {card.candidate.key: card for card in (read_bundle(each).card for each in folders)}
    after, before = (
        cards[key].metrics["test"]["mean_skill"] for key in (final.key, found.original.key)
    )
    assert f", on the test split {after - before:+.3f} (from {before:.3f})" in told


def test_where_the_original_was_not_exported_all_are_compared_as_in_the_search(
    whole: Finished,
) -> None:
    found, run, request = whole.read()
    history = run.history
    assert found.by_files and history.baseline is not None
    final = history.finals[history.baseline.candidate.key]
    history.add(Final(None, replace(final, status=Status.FAILED)))
    trial = next(trial for trial in history.trials if trial.measurement.complete)
    model = FrontModel(trial.number, trial.candidate, trial.measurement, final)
    found = Compressed.of(replace(found.front, models=(model,)), run, request)
    before = history.baseline.measurement.values
    change = model.searched.values["mean_skill"] - before["mean_skill"]
    assert found.original.values == before
    assert f"at {change:+.3f} of mean skill ({before['mean_skill']:.3f})" in found.summary()
    assert "could not be exported: as the search measured both, it is" in found.summary()


def test_the_int8_version_is_the_one_that_was_tuned_longest(quantized: Finished) -> None:
    found, run, request = quantized.read()
    trials = run.history.trials
    brief = [replace(t, measurement=replace(t.measurement, fidelity=0.1)) for t in trials]
    trials[:0] = brief
    assert Compressed.of(found.front, run, request).int8 == found.int8


def test_the_original_is_not_said_to_be_faster_than_itself(quantized: Finished) -> None:
    found, run, request = quantized.read()
    trial = run.history.baseline
    assert trial is not None
    itself = FrontModel(-1, trial.candidate, trial.measurement, None)
    found = Compressed.of(replace(found.front, models=(itself,)), run, request)
    assert found.summary().startswith(f"{itself.key[:8]}: the original itself, ")
    assert ": it is the fastest that loses at most 0.01" in found.summary()
    assert "x faster" not in found.summary()


def test_a_chosen_model_that_is_the_plain_int8_version_has_its_values_told_once(
    quantized: Finished,
) -> None:
    found, run, request = quantized.read()
    assert found.int8 is not None
    trial = next(t for t in run.history.trials if t.candidate.key == found.int8.key)
    model = FrontModel(trial.number, trial.candidate, trial.measurement, None)
    found = Compressed.of(replace(found.front, models=(model,)), run, request)
    assert found.summary().endswith("): it is the plain int8 version")


def test_the_int8_version_is_compared_by_its_file_or_said_not_to_be(quantized: Finished) -> None:
    found, run, request = quantized.read()
    original, int8 = run.history.baseline, found.int8
    assert original is not None and int8 is not None
    original_file = worse(original.measurement, by=0.1)
    run.history.add(Final(None, original_file))
    whole = FrontModel(-1, original.candidate, original.measurement, original_file)
    front = replace(found.front, models=(whole,))
    searched = Compressed.of(front, run, request)
    assert searched.int8_loss == found.int8_loss
    assert searched.summary().endswith(
        f"{0.0 - found.int8_loss:+.3f} of mean skill while searching"
    )
    run.history.add(Final(0, worse(int8, by=0.3)))
    by_files = Compressed.of(front, run, request)
    assert by_files.int8_loss == pytest.approx(found.int8_loss + 0.2)
    assert by_files.summary().endswith(f"{0.0 - by_files.int8_loss:+.3f} of mean skill")


def worse(measurement: Measurement, *, by: float) -> Measurement:
    values = measurement.values
    return replace(measurement, values={**values, "mean_skill": values["mean_skill"] - by})


def test_inputs_alone_will_do_and_an_impossible_budget_says_so(tmp_path: Path) -> None:
    inputs = torch.from_numpy(unlabelled()["train"][0])
    request = CompressionRequest(latency_ms=1e-6, n_finalists=0, settings=SETTINGS)
    found = niwaki.compress(build(), inputs, target=HASTY, folder=tmp_path / "run", request=request)
    assert found.front.models
    assert "was not met: the fastest model found takes" in found.summary()


def test_what_was_assumed_and_undone_is_told(tmp_path: Path) -> None:
    tuning = replace(SETTINGS.tuning, learning_rate=1.0)
    settings = replace(SETTINGS, tuning=tuning, only="prune")
    request = CompressionRequest(n_finalists=0, settings=settings)
    found = niwaki.compress(
        build(), tasks=unlabelled(), target=HASTY, folder=tmp_path / "run", request=request
    )
    [taken, harm] = found.summary().splitlines()[1:]
    assert "`--kind quarter=regression`" in taken
    assert harm.startswith("fine-tuning raised the loss of 1 of 1 networks on the search split")
    details = [trial.measurement.details for trial in Run.read(tmp_path / "run").history.trials]
    [effects] = [each["tuning"] for each in details if "tuning" in each]
    assert isinstance(effects, dict)
    assert effects["float"]["loss_after"] > effects["float"]["loss_before"]


def test_what_ones_own_training_has_spoilt_is_told(tmp_path: Path) -> None:
    code = "def spoil(network, epochs, original):\n    network.quarter.weight.data.zero_()\n"
    (tmp_path / "mine.py").write_text(code)
    tuning = replace(SETTINGS.tuning, function=f"{tmp_path}/mine.py:spoil")
    settings = replace(SETTINGS, tuning=tuning, only="prune")
    found = compressed(tmp_path, CompressionRequest(n_finalists=0, settings=settings))
    assert "your own fine-tuning lowered the mean skill of 1 of 1 networks" in found.summary()


def test_who_is_best_within_a_budget_is_a_finalist(tmp_path: Path) -> None:
    request = CompressionRequest(n_finalists=0, settings=SETTINGS)
    searched = compressed(tmp_path, request)
    assert searched.front.models
    for model in searched.front.models:
        wanted = replace(request, n_finalists=1, latency_ms=model.values["latency_ms"])
        compressed(tmp_path, wanted)
        assert model.key in Run.read(tmp_path / "run").history.exported


def test_a_search_goes_on_from_the_allocations(tmp_path: Path) -> None:
    request = CompressionRequest(evaluations=10, n_finalists=0, settings=SETTINGS)
    found = compressed(tmp_path, request)
    assert len(found.front.models) >= 2
    predictor = niwaki.load_predictor(tmp_path / "run")
    believed = predictor.predict([model.candidate for model in found.front.models])
    assert believed.mean.shape == (len(found.front.models), 2)


def test_a_search_learns_from_one_of_the_same_model(tmp_path: Path) -> None:
    request = CompressionRequest(evaluations=5, n_finalists=0, settings=SETTINGS)
    compressed(tmp_path / "first", request)
    learning = replace(request, learn_from=(str(tmp_path / "first" / "run"),), seed=1)
    compressed(tmp_path, learning)
    kept = Run.read(tmp_path / "run" / "earlier" / "0")
    assert len(kept.history.trials) == 5


def test_a_scheduler_tunes_the_promising_longer(tmp_path: Path) -> None:
    request = CompressionRequest(
        evaluations=4, scheduler="asha", searcher="random", n_finalists=0, settings=SETTINGS
    )
    found = compressed(tmp_path, request)
    trials = Run.read(tmp_path / "run").history.trials
    fidelities = sorted({trial.measurement.fidelity for trial in trials})
    assert fidelities[0] < 0.2 and fidelities[-1] == 1.0
    # Nothing is tuned of the original in int8: it is known as well as it will ever be.
    assert found.int8 is not None and found.int8.fidelity == 1.0
    assert len(trials) > 4 and found.front.models


def in_need_of_settings(problem: object, settings: object) -> None:
    """Make a searcher: named by path below."""


def test_a_searcher_that_needs_settings_is_refused_before_anything_is_done() -> None:
    with pytest.raises(ConfigError, match=r"is called with \(problem\): .* a default"):
        CompressionRequest(searcher=f"{__name__}:in_need_of_settings")
    with pytest.raises(ConfigError, match="__name__' is a str, but a class or a function"):
        CompressionRequest(searcher=f"{__name__}:__name__")


def test_a_scheduler_or_searcher_without_a_search_is_refused() -> None:
    with pytest.raises(ConfigError, match="'asha' needs a search"):
        CompressionRequest(scheduler="asha")
    with pytest.raises(ConfigError, match="the searcher 'random' needs a search"):
        CompressionRequest(searcher="random")


def test_learning_from_earlier_runs_without_a_search_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--learn-from\) needs a search: say how many"):
        CompressionRequest(learn_from=("runs/compress",))


def test_a_budget_without_end_and_a_second_model_are_refused() -> None:
    with pytest.raises(ConfigError, match="'latency_ms' is inf: give a finite number above 0"):
        CompressionRequest(latency_ms=float("inf"))
    with pytest.raises(ConfigError, match="'latency_ms' is '5': give a finite number above 0"):
        CompressionRequest(latency_ms=cast("Any", "5"))
    with pytest.raises(ConfigError, match="what is given to be compressed"):
        CompressionRequest(settings=CompressionSettings(model="other.py:build"))


def test_numbers_of_numpy_are_numbers(tmp_path: Path) -> None:
    settings = replace(SETTINGS, tuning=replace(SETTINGS.tuning, epochs=cast("Any", np.int64(3))))
    request = CompressionRequest(latency_ms=cast("Any", np.float32(0.5)), settings=settings)
    source = ModelSource("", build())
    data = data_loader(source, loaders(), None, seed=0)
    study = compression_study(source, data, HASTY, request, folder=tmp_path / "run")
    assert study.description.n_evaluations > 0


def test_another_model_or_other_settings_are_another_run(tmp_path: Path) -> None:
    def run(model: nn.Module, settings: CompressionSettings, n_finalists: int) -> None:
        request = CompressionRequest(n_finalists=n_finalists, settings=settings)
        niwaki.compress(
            model, tasks=loaders(), target=HASTY, folder=tmp_path / "run", request=request
        )

    only = replace(SETTINGS, only="quantize")
    run(build(), only, n_finalists=0)
    run(build(), only, n_finalists=1)  # may change
    with pytest.raises(RunFolderError, match=r"compression\.tuning\.epochs was 1\.0"):
        run(build(), replace(only, tuning=replace(only.tuning, epochs=2.0)), n_finalists=1)
    retrained = build()
    with torch.no_grad():
        next(retrained.parameters()).add_(0.01)
    with pytest.raises(ConfigError, match="began with a model of fingerprint"):
        run(retrained, only, n_finalists=1)


def test_a_run_says_what_it_compresses_and_one_of_before_it_did_goes_on(tmp_path: Path) -> None:
    request = CompressionRequest(n_finalists=0, settings=replace(SETTINGS, only="quantize"))
    file = Path(inspect.getfile(build))

    def run(model: str) -> None:
        data = f"{file}:loaders"
        niwaki.compress(model, tasks=data, target=HASTY, folder=tmp_path / "run", request=request)

    run(f"{file}:build")
    folder = RunFolder(tmp_path / "run")
    subject = {"model": f"{file}:build", "part": None, "data": f"{file}:loaders"}
    assert folder.read_config()["subject"] == subject
    assert folder.original.name == ORIGINAL_FILE and folder.original.is_file()
    trials = len(Run.read(folder.path).history.trials)
    old = {name: value for name, value in folder.read_config().items() if name != "subject"}
    folder.config.write_text(yaml.safe_dump(old), encoding="utf-8")
    run(f"{file}:build")
    assert folder.read_config()["subject"] == subject
    assert len(Run.read(folder.path).history.trials) == trials


def test_no_data_at_all_is_refused() -> None:
    with pytest.raises(ConfigError, match="give `tasks`, or `example_inputs`"):
        niwaki.compress(build())


def test_without_a_budget_the_fastest_that_hardly_loses_is_chosen(tmp_path: Path) -> None:
    request = CompressionRequest(n_finalists=0, settings=SETTINGS)
    found = compressed(tmp_path, request)
    assert found.chosen is not None
    least = found.original.values["mean_skill"] - 0.01
    good = [m for m in found.front.models if m.values["mean_skill"] >= least]
    expected = min(good, key=lambda m: m.values["latency_ms"]) if good else found.front.knee
    assert expected is not None
    assert found.chosen.key == expected.key
    # The run folder knows as well: for the front, the export and the report.
    front = load_front(tmp_path / "run")
    assert [model.key for model in front.choose("chosen")] == [expected.key]
    saved = json.loads(Run.read(tmp_path / "run").folder.pareto_json.read_text())
    assert saved == front.to_json()
    assert saved["chosen"] == expected.key
    shown = report_data(Run.read(tmp_path / "run"))
    assert shown.chosen_keys == (expected.key,)
    assert front.choice is not None and shown.chosen_because == front.choice.why
    assert "chosen" in front_table(front)


def test_a_network_that_is_only_pruned_has_no_int8_version(tmp_path: Path) -> None:
    settings = replace(SETTINGS, only="prune")
    request = CompressionRequest(evaluations=4, n_finalists=0, settings=settings)
    found = compressed(tmp_path, request)
    assert found.int8 is None
    assert "int8" not in found.summary()


def test_data_that_can_be_gone_through_once_can_travel_and_be_read_again() -> None:
    once = {split: iter(batches) for split, batches in loaders().items()}
    load = data_loader(ModelSource(module=build()), once, None, seed=0)
    first, again, there = load(), load(), pickle.loads(pickle.dumps(load))()
    assert first.fingerprint == again.fingerprint == there.fingerprint


def brightness_r2(outputs: NDArray[Any], targets: NDArray[Any]) -> float:
    return float(1 - np.square(outputs - targets).sum() / np.square(targets - targets.mean()).sum())


def log_cosh(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return torch.log(torch.cosh(outputs - targets)).mean()


def test_an_output_is_scored_and_trained_by_functions_of_ones_own(tmp_path: Path) -> None:
    own = Scoring((f"{__name__}:brightness_r2", "rmse"), f"{__name__}:log_cosh")
    request = CompressionRequest(n_finalists=1, settings=SETTINGS, scoring={"brightness": own})
    found = compressed(tmp_path, request)
    values = found.original.values
    assert 0.5 < values["brightness_brightness_r2"] <= 1.0
    assert values["brightness_rmse"] > 0
    assert "quarter_accuracy" in values
    resolved = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert resolved["scoring"]["brightness"]["loss"] == f"{__name__}:log_cosh"
    other = replace(request, scoring={})
    with pytest.raises(RunFolderError):
        compressed(tmp_path, other)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("colour", r"'colour' is no output: the model's are quarter, brightness"),
        ("", r"it is not said which output .*, as in quarter=my_metrics\.py:f1"),
    ],
)
def test_an_output_that_is_not_there_cannot_be_scored(tmp_path: Path, name: str, said: str) -> None:
    request = CompressionRequest(scoring={name: Scoring((f"{__name__}:brightness_r2",))})
    with pytest.raises(ConfigError, match=said):
        compressed(tmp_path, request)


def test_tasks_that_are_declared_have_their_own_metrics(tmp_path: Path) -> None:
    data = data_loader(ModelSource("", build()), loaders(), None, seed=0)()
    request = CompressionRequest(scoring={"quarter": Scoring(("accuracy",))})
    with pytest.raises(ConfigError, match="tasks have their own: leave them out"):
        niwaki.compress(build(), tasks=data, target=HASTY, folder=tmp_path / "run", request=request)
