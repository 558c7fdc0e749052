"""Training from scratch: it learns, it is repeatable, it goes on where it stopped."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from niwaki.core.errors import ConfigError
from niwaki.core.randomness import stream
from niwaki.evaluation.batches import n_batches
from niwaki.evaluation.devices import best_device, to_tensors, torch_threads
from niwaki.evaluation.families import heads_of
from niwaki.evaluation.from_scratch.training import RecipeSettings, ScratchTraining, part_of
from niwaki.export.general_path.torch_export import export_module
from niwaki.export.verify import verify_model
from niwaki.tasks.arrays import ArraySplit
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.npz import NpzSettings
from niwaki.tasks.npz import load as load_npz
from niwaki.tasks.task import TaskSettings
from tests.evaluation.shades import shades
from tests.evaluation.tiny_family import DIVERGES, FINE, TinyNetwork, same_weights

RECIPE = RecipeSettings(epochs=4, batch_size=16, learning_rate=0.1, n_recalibration=64)


@pytest.fixture(scope="module")
def items() -> TaskData:
    return shades()


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with torch_threads(1):
        yield


def training(
    data: TaskData,
    recipe: RecipeSettings = RECIPE,
    *,
    fidelity: float = 1.0,
    seed: int = 0,
    fault: str = FINE,
    p_drop: float = 0.1,
) -> ScratchTraining:
    def build() -> nn.Module:
        network = TinyNetwork(3, 8, heads_of(data), fault)
        network.drop.p = p_drop
        return network

    return ScratchTraining(build, data, recipe, fidelity=fidelity, seed=seed)


def test_the_loss_falls(items: TaskData) -> None:
    before = training(items, fidelity=0.01).run(nullcontext)
    after = training(items).run(nullcontext)
    assert before.steps == 1
    assert after.loss < 0.8 * before.loss
    assert after.failure == ""


def test_the_same_seed_gives_the_same_weights_whatever_torch_drew_before(items: TaskData) -> None:
    first = training(items)
    first.run(nullcontext)
    torch.rand(7)
    second, other = training(items), training(items, seed=1)
    for run in (second, other):
        run.run(nullcontext)
    assert same_weights(first.finished(), second.finished())
    assert not same_weights(first.finished(), other.finished())


def test_it_leaves_torchs_generator_alone(items: TaskData) -> None:
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    training(items, fidelity=0.1).run(nullcontext)
    assert torch.equal(torch.rand(2), wanted)


@pytest.mark.parametrize("stop", [1, 5, 6, 7, 20])
def test_continued_equals_uninterrupted(items: TaskData, stop: int) -> None:
    recipe = replace(RECIPE, schedule="full")
    whole = training(items, recipe)
    whole.run(nullcontext)
    part = training(items, recipe, fidelity=stop / whole.n_steps)
    part.run(nullcontext)
    assert part.steps_done == part.n_steps == stop
    rest = training(items, recipe)
    rest.restore(part.state())
    progress = rest.run(nullcontext)
    assert (progress.continued_from, progress.steps) == (stop, whole.n_steps)
    assert same_weights(whole.network, rest.network)


def test_its_own_schedule_ends_at_zero_and_the_full_one_goes_on(items: TaskData) -> None:
    own = training(items, fidelity=0.5)
    full = training(items, replace(RECIPE, schedule="full"), fidelity=0.5)
    for run in (own, full):
        run.run(nullcontext)
    assert own.n_steps == full.n_steps
    rates = [run._optimiser.param_groups[0]["lr"] for run in (own, full)]
    assert rates[0] < 0.03 * RECIPE.learning_rate
    assert rates[1] == pytest.approx(0.5 * RECIPE.learning_rate, rel=0.2)


def test_lower_fidelity_takes_its_share_of_the_steps(items: TaskData) -> None:
    n_steps = [training(items, fidelity=f).n_steps for f in (1.0, 0.5, 0.25, 1e-6)]
    assert n_steps == [24, 12, 6, 1]  # of 83 items in batches of 16, four times


def test_less_data_are_the_same_items_for_all_seeds(items: TaskData) -> None:
    recipe = replace(RECIPE, shrinks="data")
    train = items[SplitName.TRAIN]
    half, quarter = part_of(train, 0.5), part_of(train, 0.25)
    assert isinstance(half, ArraySplit)
    assert isinstance(quarter, ArraySplit)
    assert len(half.arrays) == 42
    assert (half.arrays.inputs[: len(quarter.arrays)] == quarter.arrays.inputs).all()
    assert training(items, recipe, fidelity=0.5).n_steps == 4 * 3


def test_a_loss_that_is_not_finite_stops_it_and_says_so(items: TaskData) -> None:
    progress = training(items, fault=DIVERGES).run(nullcontext)
    assert progress.failure == "the training diverged: its loss is nan after 1 of 24 steps"


class Clock:
    """Goes on by a tenth of a second whenever it is looked at."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.1
        return self.now


def test_a_slow_training_is_stopped_between_steps(items: TaskData) -> None:
    run = training(items, replace(RECIPE, max_seconds=0.45))
    progress = run.run(nullcontext, clock=Clock())
    assert progress.failure == (
        "the training is too slow: 5 of 24 steps took 0.5 s, of 0.45 s allowed"
    )


def test_a_training_that_goes_on_has_the_time_of_an_unbroken_one(items: TaskData) -> None:
    recipe = replace(RECIPE, max_seconds=1.55, schedule="full")
    half, whole = (training(items, recipe, fidelity=share) for share in (0.5, 1.0))
    assert half.run(nullcontext, clock=Clock()).failure == ""
    whole.restore(half.state())
    failure = whole.run(nullcontext, clock=Clock()).failure
    assert failure == "the training is too slow: 16 of 24 steps took 1.6 s, of 1.55 s allowed"


def test_waiting_for_others_is_not_its_own_time(items: TaskData) -> None:
    clock = Clock()

    @contextmanager
    def waiting() -> Iterator[None]:
        clock.now += 10.0
        yield

    progress = training(items, replace(RECIPE, max_seconds=3.0)).run(waiting, clock=clock)
    assert progress.failure == ""
    assert progress.seconds == pytest.approx(2.4)


def test_every_step_is_taken_while_computing(items: TaskData) -> None:
    entered = []

    def computing() -> AbstractContextManager[None]:
        entered.append(1)
        return nullcontext()

    run: Callable[..., object] = training(items).run
    run(computing)
    assert len(entered) == 24


def test_statistics_are_right_after_a_single_step(items: TaskData) -> None:
    run = training(items, replace(RECIPE, n_recalibration=83), fidelity=0.01)
    run.run(nullcontext)
    network = run.finished()
    assert not network.training
    images = np.concatenate([batch.inputs for batch in items[SplitName.TRAIN].batches(83)])
    features = network.get_submodule("conv")(torch.from_numpy(images))
    mean = dict(network.named_buffers())["norm.running_mean"]
    assert torch.allclose(mean, features.mean(dim=(0, 2, 3)), atol=1e-4)


def test_the_gradient_is_that_of_the_plain_cross_entropy(items: TaskData) -> None:
    recipe = replace(RECIPE, momentum=0.0, weight_decay=0.0)
    taken, wanted = (training(items, recipe, fidelity=1 / 24, p_drop=0.0) for _ in range(2))
    taken.run(nullcontext)
    batch = next(items[SplitName.TRAIN].batches(16, rng=stream(0, "shuffling", 0)))
    inputs, targets = to_tensors(batch, best_device())
    answers = wanted.network.train()(inputs)[0]
    nn.functional.cross_entropy(answers, targets["bright"]).backward()  # type: ignore[no-untyped-call]
    with torch.no_grad():
        for weight in wanted.network.parameters():
            assert weight.grad is not None
            weight.sub_(0.1 * weight.grad)
    for a, b in zip(taken.network.parameters(), wanted.network.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_a_last_batch_of_one_item_is_left_out(items: TaskData) -> None:
    train = items[SplitName.TRAIN]
    assert [n_batches(train, size) for size in (16, 41, 82, 83)] == [6, 2, 1, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "'epochs' is 0"),
        ({"batch_size": 1}, "'batch_size' is 1"),
        ({"momentum": 1.0}, "'momentum' is 1"),
        ({"learning_rate": 0.0}, "'learning_rate' is 0"),
        ({"schedule": "full", "shrinks": "data"}, "needs 'shrinks: steps'"),
    ],
)
def test_settings_are_checked(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RecipeSettings(**changes)  # type: ignore[arg-type]


def levels(folder: Path, scale: float, offset: float) -> TaskData:
    """Return noisy images, and a number for each that says how bright it is."""
    rng = np.random.default_rng(0)
    level = rng.normal(size=200)
    inputs = (rng.normal(size=(200, 3, 8, 8)) + level[:, None, None, None]).astype(np.float32)
    path = folder / f"levels-{scale}.npz"
    np.savez(path, inputs=inputs, level=scale * (level + offset))
    return load_npz(NpzSettings(str(path), {"level": TaskSettings("regression")}), seed=0)


@pytest.mark.parametrize("scale", [1e6, 1e-6])
def test_values_are_learned_alike_in_any_unit(scale: float, tmp_path: Path) -> None:
    answers = []
    for unit, offset in ((1.0, 0.0), (scale, 3.0)):
        run = training(levels(tmp_path, unit, offset))
        progress = run.run(nullcontext)
        images = torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        (level,) = run.finished()(images)
        assert progress.loss < 0.5
        answers.append(level.detach() / unit - offset)
    torch.testing.assert_close(answers[0], answers[1], atol=0.05, rtol=0.05)


def test_units_cost_the_exported_graph_nothing(tmp_path: Path) -> None:
    run = training(levels(tmp_path, 1e6, 3.0))
    run.run(nullcontext)
    network, images = run.finished(), torch.randn(2, 3, 8, 8)
    model = export_module(network, (images,), input_names=["input"], output_names=["level"])
    assert [node.op_type for node in model.graph.node][-1] == "Gemm"
    check = verify_model(model, {"input": images.numpy()}, torch_module=network)
    check.require("the graph")


def test_a_training_of_an_earlier_version_goes_on_without_units(tmp_path: Path) -> None:
    data = levels(tmp_path, 1e6, 3.0)
    state = training(data).state()
    del state["in_units"]
    for _ in range(2):  # what goes on from there has none either
        earlier = training(data)
        earlier.restore(state)
        state = earlier.state()
        (level,) = earlier.finished()(torch.randn(2, 3, 8, 8))
        assert level.abs().max() < 10.0


class _Flattening(nn.Module):
    """Looks at feature maps by `view`, which no map that is channels last bears."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 2, 1)
        self.head = nn.Linear(4 * 4 * 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.head(self.conv(x).view(len(x), -1))
        return answer


def test_networks_that_look_at_maps_by_view_are_trained(items: TaskData) -> None:
    recipe = replace(RECIPE, learning_rate=0.01)
    run = ScratchTraining(_Flattening, items, recipe, fidelity=1.0, seed=0)
    assert run.run(nullcontext).steps == 24
    images = torch.from_numpy(next(items[SplitName.TRAIN].batches(2)).inputs)
    assert run.finished()(images).shape == (2, 3)
