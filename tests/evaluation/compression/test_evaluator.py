"""A model compressed: what is judged is what is cut, and what is measured is what runs."""

import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from niwaki.compress.allocation import PagcpSettings
from niwaki.compress.pruning import apply_plan
from niwaki.core.errors import ConfigError, DataError
from niwaki.evaluation.compression.evaluator import (
    JUDGED_FILE,
    PRICED_FILE,
    PRUNING,
    CompressedEvaluator,
)
from niwaki.evaluation.compression.given_data.inferred_data import infer_from
from niwaki.evaluation.compression.given_model.model_source import ModelSource
from niwaki.evaluation.compression.original import fitted_to
from niwaki.evaluation.compression.proposing.masked_oracle import MaskedOracle
from niwaki.evaluation.compression.proposing.prices import LatencyPrice, MacsPrice
from niwaki.evaluation.compression.proposing.proposals import ALLOCATORS
from niwaki.evaluation.compression.settings import CompressionSettings, PruningSettings
from niwaki.evaluation.compression.tuning.fine_tuning import TuningSettings
from niwaki.evaluation.deployment import Deployment, DeploymentSettings, FloatGraph
from niwaki.tasks.base import TaskData
from niwaki.tasks.task import TaskKind
from tests.evaluation.compression.small import TwoHeads, build, data, unlabelled
from tests.hasty import HASTY

SETTINGS = CompressionSettings(
    model="tests.evaluation.compression.small:build",
    pruning=PruningSettings(price="macs", shares=(0.6,), n_judged=64),
    tuning=TuningSettings(epochs=2.0, batch_size=32, n_recalibration=128),
)


def make(settings: CompressionSettings = SETTINGS) -> CompressedEvaluator:
    source = ModelSource("tests.evaluation.compression.small:build")
    return CompressedEvaluator(source, data, HASTY, settings=settings)


@pytest.fixture(scope="module")
def evaluator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CompressedEvaluator]:
    prepared = make()
    prepared.prepare(tmp_path_factory.mktemp("artifacts"))
    yield prepared


def test_the_first_candidates_are_the_whole_and_allocations(evaluator: CompressedEvaluator) -> None:
    costs = [evaluator.cheap(candidate)["macs"] for candidate in evaluator.initial()]
    whole = evaluator.cheap(evaluator.baseline())["macs"]
    assert costs[0] == whole
    assert any(0.3 * whole < cost <= 0.6 * whole for cost in costs)


def test_counts_are_those_of_the_module(evaluator: CompressedEvaluator) -> None:
    for candidate in evaluator.initial():
        module = apply_plan(build(), evaluator.plan(candidate))
        n_params = sum(parameter.numel() for parameter in module.parameters())
        assert evaluator.cheap(candidate)["params"] == n_params


def test_a_pruned_model_is_measured_fine_tuned_and_smaller(evaluator: CompressedEvaluator) -> None:
    before = evaluator.evaluate(evaluator.baseline(), fidelity=1.0, seed=0)
    small = evaluator.evaluate(evaluator.initial()[-1], fidelity=1.0, seed=0)
    assert before.complete and small.complete
    assert small.values["size_bytes"] < 0.8 * before.values["size_bytes"]
    assert small.values["mean_skill"] > before.values["mean_skill"] - 0.1


def test_a_network_is_tuned_once_and_the_same_every_time(evaluator: CompressedEvaluator) -> None:
    candidate = evaluator.initial()[-1]
    first = evaluator.evaluate(candidate, fidelity=1.0, seed=0)
    again = make()
    again.prepare(Path(evaluator._in_folder("")))  # the same folder, as after a kill
    second = again.evaluate(candidate, fidelity=1.0, seed=0)
    assert first.values["mean_skill"] == second.values["mean_skill"]


def test_a_network_is_written_once_for_all_its_precisions(
    evaluator: CompressedEvaluator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[nn.Module] = []
    calibrated: list[onnx.ModelProto] = []
    write, calibrate = Deployment.float_model, Deployment.calibrated

    def noted(deployment: Deployment, module: nn.Module) -> onnx.ModelProto:
        written.append(module)
        return write(deployment, module)

    def also_noted(deployment: Deployment, model: onnx.ModelProto) -> FloatGraph:
        calibrated.append(model)
        return calibrate(deployment, model)

    def keeping_nothing() -> CompressedEvaluator:
        evaluator = make(replace(SETTINGS, tuned_mib=0.0))
        evaluator.prepare(tmp_path / "keeps nothing")
        return evaluator

    keeps = make()
    keeps.prepare(tmp_path / "keeps")
    others = [keeping_nothing() for _ in range(3)]
    least = evaluator.initial()[-1].part(PRUNING)
    alike = [c for c in evaluator.initial() if c.part(PRUNING) == least]
    assert len(alike) == 3  # int8, mixed, fp32
    monkeypatch.setattr(Deployment, "float_model", noted)
    monkeypatch.setattr(Deployment, "calibrated", also_noted)
    for candidate, keeps_nothing in zip(alike, others, strict=True):
        found, anew = (
            each.evaluate(candidate, fidelity=1.0, seed=0) for each in (keeps, keeps_nothing)
        )
        timed = {"latency_ms"}
        assert {name: v for name, v in found.values.items() if name not in timed} == {
            name: v for name, v in anew.values.items() if name not in timed
        }
    assert len(written) == 1 + len(alike)
    assert len(calibrated) == 1 + 2  # what is in fp32 throughout needs no ranges


def test_the_original_is_never_changed(evaluator: CompressedEvaluator) -> None:
    for name, value in build().state_dict().items():
        torch.testing.assert_close(evaluator.original.module.state_dict()[name], value)


def test_it_travels_to_workers(evaluator: CompressedEvaluator) -> None:
    there = pickle.loads(pickle.dumps(evaluator))
    assert there.initial() == evaluator.initial()


def test_the_oracle_judges_what_is_cut(tmp_path: Path) -> None:
    untuned = TuningSettings(epochs=0.0, n_recalibration=0)
    evaluator = make(replace(SETTINGS, tuning=untuned))
    evaluator.prepare(tmp_path)
    counts, moments = evaluator.ladder.least, evaluator._moments
    oracle = MaskedOracle(build(), evaluator._ranked, evaluator.data, moments=moments, n_items=64)
    judged = oracle.judge([evaluator.ladder.whole, counts])
    np.testing.assert_allclose(judged.skills[0], 1.0)
    cut = evaluator._pruned(evaluator._spell(counts, {}), share=1.0).eval()
    truth, whole = (
        MaskedOracle(module, evaluator._ranked, evaluator.data) for module in (cut, build())
    )
    np.testing.assert_allclose(judged.skills[1], truth._original / whole._original, atol=1e-5)


@pytest.mark.parametrize("allocation", ALLOCATORS)
def test_every_allocator_gives_smaller_networks(allocation: str, tmp_path: Path) -> None:
    pruning = PruningSettings(
        criterion="l1",
        allocation=allocation,
        price="macs",
        shares=(0.5,),
        n_judged=64,
        pagcp=PagcpSettings(first_tolerance=500.0, global_tolerance=1000.0),
    )
    settings = CompressionSettings(only="prune", pruning=pruning, tuning=SETTINGS.tuning)
    other = make(settings)
    other.prepare(tmp_path)
    whole = other.cheap(other.baseline())["macs"]
    assert min(other.cheap(candidate)["macs"] for candidate in other.initial()) < whole


def test_pagcp_without_targets_is_refused_before_prices_are_measured(tmp_path: Path) -> None:
    told: list[str] = []
    settings = replace(SETTINGS, pruning=PruningSettings(criterion="l1", allocation="pagcp"))
    other = CompressedEvaluator(
        ModelSource("tests.evaluation.compression.small:build"),
        lambda: infer_from(unlabelled(), build(), seed=0),
        HASTY,
        settings=settings,
        notify=told.append,
    )
    with pytest.raises(ConfigError, match="that of 'brightness' is zero"):
        other.prepare(tmp_path)
    assert told and not any("latency of" in each for each in told)
    assert "quarter (classification) by accuracy, brightness (regression) by rmse" in told[1]


def test_only_quantize_prunes_nothing(tmp_path: Path) -> None:
    other = make(CompressionSettings(only="quantize"))
    other.prepare(tmp_path)
    macs = {other.cheap(candidate)["macs"] for candidate in other.initial()}
    assert macs == {other.cheap(other.baseline())["macs"]}
    assert not other.fidelities.several


def test_a_stopped_allocation_goes_on_where_it_was(tmp_path: Path) -> None:
    def stop(sentence: str) -> None:
        if "of the whole" in sentence:
            raise KeyboardInterrupt

    source = ModelSource("tests.evaluation.compression.small:build")
    settings = replace(SETTINGS, pruning=replace(SETTINGS.pruning, price="latency", n_priced=3))
    stopped = CompressedEvaluator(source, data, HASTY, settings=settings, notify=stop)
    with pytest.raises(KeyboardInterrupt):
        stopped.prepare(tmp_path)
    before = {name: (tmp_path / name).read_text() for name in (JUDGED_FILE, PRICED_FILE)}
    make(settings).prepare(tmp_path)
    assert before == {name: (tmp_path / name).read_text() for name in before}
    assert before[JUDGED_FILE]


def uneven() -> TwoHeads:
    """Return the model with channels of unlike ranges; it computes the same in float."""
    model = build()
    state, factors = model.state_dict(), torch.logspace(-1.5, 1.5, 16)
    state["enter.1.weight"] *= factors
    state["enter.1.bias"] *= factors
    state["middle.0.weight"] /= factors.reshape(1, -1, 1, 1)
    model.load_state_dict({name: value.clone() for name, value in state.items()})
    return model


def quantized(
    epochs: float, folder: Path, deployment: DeploymentSettings, *, frozen: bool = False
) -> tuple[float, float]:
    """Return the mean skill of the uneven model in fp32 and in int8."""
    tuning = TuningSettings(
        batch_size=32, quantized_epochs=epochs, quantized_learning_rate=1e-3, distillation=0.9
    )
    settings = CompressionSettings(only="quantize", tuning=tuning, deployment=deployment)
    source = ModelSource(module=uneven().requires_grad_(not frozen))
    other = CompressedEvaluator(source, data, HASTY, settings=settings)
    other.prepare(folder)
    measured = [
        other.evaluate(candidate, fidelity=1.0, seed=0).values["mean_skill"]
        for candidate in (other.baseline(), other.initial()[0])
    ]
    return measured[0], measured[1]


def test_training_with_quantization_wins_back_what_int8_lost(tmp_path: Path) -> None:
    uneven = DeploymentSettings(equalise=False)
    whole, plain = quantized(0.0, tmp_path / "plain", uneven)
    same, trained = quantized(6.0, tmp_path / "trained", uneven)
    assert same == whole
    assert plain < whole - 0.03
    assert trained > plain + 0.4 * (whole - plain)


def test_biases_that_were_trained_with_quantization_are_not_corrected(tmp_path: Path) -> None:
    as_trained = DeploymentSettings(equalise=False)
    corrected = replace(as_trained, correct_biases=True)
    expected = quantized(1.0, tmp_path / "as trained", as_trained)
    assert quantized(1.0, tmp_path / "corrected", corrected) == expected


def test_biases_of_a_model_that_cannot_be_trained_are_corrected(tmp_path: Path) -> None:
    corrected = DeploymentSettings(equalise=False, correct_biases=True)
    expected = quantized(0.0, tmp_path / "not trained", corrected)
    assert quantized(1.0, tmp_path / "frozen", corrected, frozen=True) == expected


@pytest.mark.parametrize("epochs", [0.0, 1.0])
def test_unlike_channels_are_equalised_before_they_are_rounded(
    epochs: float, tmp_path: Path
) -> None:
    whole, equalised = quantized(epochs, tmp_path, DeploymentSettings())
    assert equalised > whole - 0.02


def test_latency_is_fitted_to_whole_networks(evaluator: CompressedEvaluator) -> None:
    costs = evaluator.original.groups.costs
    rng = np.random.default_rng(0)
    counts = [np.array([rng.choice(s) for s in evaluator.ladder.steps]) for _ in range(24)]
    truth = [0.02 + 1e-7 * float(MacsPrice(costs).of(c)) + 1e-4 * c.sum() for c in counts]
    price = LatencyPrice(costs, counts[:16], truth[:16])
    np.testing.assert_allclose(price.of(np.array(counts[16:])), truth[16:], rtol=0.05)
    assert price.relative_error < 0.05


def test_outputs_that_are_not_the_tasks_are_refused() -> None:
    class Renamed(TwoHeads):
        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            answer = super().forward(x)
            return {"quarter": answer["quarter"], "light": answer["brightness"]}

    with pytest.raises(
        DataError, match="answers quarter, light, but the tasks read quarter, bright"
    ):
        fitted_to(data(), Renamed().eval())


@pytest.mark.parametrize("declared", [{"kind": TaskKind.REGRESSION}, {"n_outputs": 9}])
def test_an_output_that_does_not_fit_its_task_is_told_with_both(declared: dict[str, Any]) -> None:
    first, second = data().tasks
    wrong = replace(data(), tasks=(replace(first, **declared), second))
    with pytest.raises(DataError, match=r"'quarter' has shape \(2, 4\), .*targets of shape \(2,\)"):
        fitted_to(wrong, build())


def test_a_model_may_know_more_classes_than_are_asked_for() -> None:
    first, second = data().tasks
    fewer = replace(data(), tasks=(replace(first, n_outputs=3), second))
    assert fitted_to(fewer, build()).tasks[0].n_outputs == 3


def test_wrong_settings_name_the_nearest() -> None:
    with pytest.raises(ConfigError, match="'tailor'; did you mean 'taylor'"):
        PruningSettings(criterion="tailor")
    with pytest.raises(ConfigError, match="'greedi'; did you mean 'greedy'"):
        PruningSettings(allocation="greedi")
    with pytest.raises(ConfigError, match="give prune or quantize"):
        CompressionSettings(only="pruning")


class OddNames(nn.Module):
    """Its layers are called as arguments of numpy are."""

    def __init__(self) -> None:
        super().__init__()
        self.file, self.allow_pickle = nn.Linear(8, 16), nn.Linear(16, 16)
        self.leave = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.leave(torch.relu(self.allow_pickle(torch.relu(self.file(x)))))
        return y


def test_layers_may_have_any_name(tmp_path: Path) -> None:
    torch.manual_seed(0)  # by chance, all inputs are of one class
    model = OddNames().eval()
    inputs = torch.randn(200, 8, generator=torch.Generator().manual_seed(0))

    def found() -> TaskData:
        return infer_from({"train": [inputs]}, model, seed=0)

    source, settings = ModelSource(module=model), replace(SETTINGS, only="prune")
    evaluator = CompressedEvaluator(source, found, HASTY, settings=settings)
    evaluator.prepare(tmp_path)
    assert set(evaluator.baseline().part(PRUNING).decisions) == {"file", "allow_pickle"}
