"""On a CUDA device: what is trained there is repeatable, comes back, and fails alone."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from niwaki.compress.pruning.model_calls import repeatable
from niwaki.core.measurement import Status
from niwaki.core.randomness import stream
from niwaki.core.user_randomness import seeded
from niwaki.evaluation.batches import train_batches
from niwaki.evaluation.checkpoints import load_checkpoint, save_checkpoint
from niwaki.evaluation.deployment import DeploymentSettings
from niwaki.evaluation.devices import best_device, placed
from niwaki.evaluation.families import NetworkFamily, elastic_family_of, family_of
from niwaki.evaluation.from_scratch.evaluator import FromScratchEvaluator, FromScratchSettings
from niwaki.evaluation.from_scratch.named_seeds import named_seed
from niwaki.evaluation.from_scratch.training import RecipeSettings, ScratchTraining
from niwaki.evaluation.supernet.training import SuperNetworkTraining
from niwaki.spaces.einspace import EinspaceSettings
from niwaki.spaces.grammar import Budget
from niwaki.spaces.precision import INT8
from niwaki.study.executors.attempt import attempt
from niwaki.study.executors.base import Job
from niwaki.targets.onnxruntime_cpu import OnnxRuntimeCpu
from niwaki.tasks.base import SplitName, TaskData
from tests.evaluation.conftest import SPACE, TRAINING
from tests.evaluation.shades import shades
from tests.evaluation.tiny_family import same_weights

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
SEEDS = ("resnet8_w16", "vit_small")
RECIPE = RecipeSettings(epochs=2, batch_size=16, schedule="full", n_recalibration=32)
BUDGET = Budget(operations=96, parameters=100_000, macs=2_000_000, elements=200_000)


@pytest.fixture(scope="module")
def items() -> TaskData:
    return shades(2, side=16)


@pytest.fixture(scope="module")
def family(items: TaskData) -> NetworkFamily:
    return family_of(EinspaceSettings(budget=BUDGET), items)


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Let this process have no more of the device than it holds already."""
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(torch.cuda.memory_reserved() / total)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


def training(family: NetworkFamily, data: TaskData, name: str) -> ScratchTraining:
    seed = named_seed(name, family)
    return ScratchTraining(lambda: family.build(seed), data, RECIPE, fidelity=1.0, seed=0)


@pytest.mark.parametrize("name", SEEDS)
def test_the_same_seed_gives_the_same_weights(
    family: NetworkFamily, items: TaskData, name: str
) -> None:
    runs = [training(family, items, name) for _ in range(2)]
    for run in runs:
        run.run(nullcontext)
        assert next(run.network.parameters()).is_cuda
    first, second = (run.finished() for run in runs)
    assert same_weights(first, second)
    assert not next(first.parameters()).is_cuda


@pytest.mark.parametrize("name", SEEDS)
def test_a_training_goes_on_from_a_file(
    family: NetworkFamily, items: TaskData, tmp_path: Path, name: str
) -> None:
    whole, part, rest = (training(family, items, name) for _ in range(3))
    whole.run(nullcontext)
    part.n_steps = whole.n_steps // 2
    part.run(nullcontext)
    save_checkpoint(part.state(), tmp_path / "state.pt")
    rest.restore(load_checkpoint(tmp_path / "state.pt"))
    assert rest.run(nullcontext).steps == whole.n_steps
    assert same_weights(whole.network, rest.network)


class Counting(nn.Module):
    """Does something else in each step, as a module of a user's own may."""

    def __init__(self) -> None:
        super().__init__()
        self.n_steps = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.n_steps += 1
        return x * (1.0 if x.sum().item() > 0.0 else 0.5)


def trained(
    family: NetworkFamily, items: TaskData, first: nn.Module, *, captures: bool = True
) -> ScratchTraining:
    seed = named_seed("resnet8_w16", family)
    run = ScratchTraining(
        lambda: nn.Sequential(first, family.build(seed)), items, RECIPE, fidelity=1.0, seed=0
    )
    run.captures &= captures
    run.run(nullcontext)
    return run


def test_captured_steps_learn_what_single_kernels_do(
    family: NetworkFamily, items: TaskData
) -> None:
    captured, alone = (
        trained(family, items, nn.Identity(), captures=each) for each in (True, False)
    )
    assert captured.captures and not alone.captures
    weights = (run.finished().state_dict().values() for run in (captured, alone))
    for a, b in zip(*weights, strict=True):
        torch.testing.assert_close(a.float(), b.float(), rtol=1e-3, atol=1e-4)


def test_modules_of_a_user_run_in_every_step(family: NetworkFamily, items: TaskData) -> None:
    module = Counting()
    run = trained(family, items, module)
    assert not run.captures
    assert module.n_steps == run.n_steps


def test_what_is_dropped_is_drawn_again(family: NetworkFamily, items: TaskData) -> None:
    first, second, other = (
        trained(family, items, nn.Dropout(share)).network for share in (0.5, 0.5, 0.25)
    )
    assert same_weights(first, second)
    assert not same_weights(first, other)


def test_batches_there_are_those_of_the_split(items: TaskData) -> None:
    split = items[SplitName.TRAIN]
    there = list(train_batches(split, 16, best_device(), rng=stream(0, "order")))
    here = list(split.batches(16, rng=stream(0, "order")))
    for (inputs, targets), batch in zip(there, here, strict=True):
        assert np.array_equal(inputs.cpu().numpy(), batch.inputs)
        for name, values in batch.targets.items():
            assert np.array_equal(targets[name].cpu().numpy(), values)


@pytest.mark.parametrize("sampling", ["weights", "convolutions", "sizes"])
def test_random_networks_answer_there_as_they_do_here(items: TaskData, sampling: str) -> None:
    family = family_of(EinspaceSettings(budget=BUDGET, sampling=sampling), items)  # type: ignore[arg-type]
    inputs = torch.rand(8, 3, 16, 16, dtype=torch.float64)
    for number in range(60):
        candidate = family.space.sample(stream(0, sampling, number))
        module = family.build(candidate).double().eval()
        here = _outputs(module, inputs)
        there = placed(module, best_device(), torch.channels_last)
        for a, b in zip(here, _outputs(there, inputs.to(best_device())), strict=True):
            torch.testing.assert_close(b.cpu(), a, rtol=1e-6, atol=1e-6, msg=str(candidate))


def _outputs(module: nn.Module, inputs: torch.Tensor) -> list[torch.Tensor]:
    with torch.no_grad():
        outputs = module(inputs)
    return [outputs] if isinstance(outputs, torch.Tensor) else list(outputs)


def made(folder: Path) -> FromScratchEvaluator:
    evaluator = FromScratchEvaluator(
        partial(shades, 2, side=16),
        EinspaceSettings(budget=BUDGET),
        OnnxRuntimeCpu(),
        precisions=(INT8,),
        settings=FromScratchSettings(
            recipe=RECIPE,
            deployment=DeploymentSettings(n_calibration=16, batch_size=20),
            seeds=SEEDS,
        ),
    )
    evaluator.prepare(folder)
    return evaluator


def test_memory_that_runs_out_there_fails_that_candidate_alone(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    evaluator = made(tmp_path)
    job = Job(0, evaluator.baseline(), seed=0)
    assert attempt(evaluator, job, worker="here").complete
    request.getfixturevalue("little_memory")
    starved = attempt(evaluator, job, worker="here")
    assert starved.status is Status.FAILED
    assert "out of memory" in starved.reason
    torch.cuda.set_per_process_memory_fraction(1.0)
    assert attempt(evaluator, job, worker="here").complete


def test_a_super_network_trains_there_and_resumes(data: TaskData, tmp_path: Path) -> None:
    family = elastic_family_of(SPACE, data)
    whole, again = (
        SuperNetworkTraining(family, data, replace(TRAINING, epochs=2), seed=0) for _ in range(2)
    )
    first = whole.run_epoch()
    save_checkpoint(whole.state(), tmp_path / "state.pt")
    second = whole.run_epoch()
    again.restore(load_checkpoint(tmp_path / "state.pt"))
    # Gradients of its bilinear enlargement are added up in no fixed order there.
    assert again.run_epoch() == pytest.approx(second, rel=1e-4)
    assert np.isfinite(second) and second < first


@pytest.mark.parametrize("block", [partial(seeded, 0), partial(repeatable, nn.Identity())])
def test_what_is_drawn_on_a_device_is_the_same_and_goes_on_as_before(
    block: Callable[[], AbstractContextManager[None]],
) -> None:
    torch.cuda.manual_seed(3)
    expected = torch.rand(4, device="cuda")
    torch.cuda.manual_seed(3)
    with block():
        first = torch.rand(4, device="cuda")
    with block():
        assert torch.equal(torch.rand(4, device="cuda"), first)
    assert torch.equal(torch.rand(4, device="cuda"), expected)
