"""Metrics and losses of one's own."""

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from niwaki.core.errors import ConfigError
from niwaki.core.objectives import Direction
from niwaki.tasks import own
from niwaki.tasks.arrays import Arrays
from niwaki.tasks.assembly import Preparation, prepare
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.checks import Given
from niwaki.tasks.losses import OwnLoss, own_loss, task_losses
from niwaki.tasks.own import LossSettings, MetricSettings
from niwaki.tasks.scoring import score
from niwaki.tasks.task import Task, TaskSettings, declared
from tests.tasks import own_functions
from tests.tasks.made_up import DEPTH, DIGIT, POSE, raw_arrays, task_data

HERE = "tests/tasks/own_functions.py"


def digit(**settings: Any) -> Task:
    return declared("digit", TaskSettings(kind="classification", classes=3, **settings))


def depth(**settings: Any) -> Task:
    return declared("depth", TaskSettings(kind="depth", **settings))


def data_of(*tasks: Task) -> TaskData:
    return replace(task_data(200), tasks=tasks)


def train_targets(data: TaskData, task: str) -> np.ndarray[Any, Any]:
    return np.concatenate([b.targets[task] for b in data[SplitName.TRAIN].batches(64)])


def test_a_function_scores_a_whole_split_at_once() -> None:
    data = data_of(digit(metrics=(f"{HERE}:macro_f1", "accuracy")))
    rng = np.random.default_rng(0)
    batches = [(rng.normal(size=(n, 3)), rng.integers(3, size=n)) for n in (20, 30, 7)]
    found = score(
        data.tasks, [({"digit": o}, {"digit": t}) for o, t in batches], chance=data.chance
    )
    outputs, targets = (np.concatenate(each) for each in zip(*batches, strict=True))
    expected = f1_score(targets, outputs.argmax(axis=1), average="macro")
    assert found["digit_macro_f1"] == pytest.approx(expected)
    assert 0.0 < found["digit_accuracy"] < 1.0
    chance = data.chance["digit_macro_f1"]
    assert found["mean_skill"] == pytest.approx((expected - chance) / (1 - chance))


def test_a_class_scores_batch_by_batch() -> None:
    streamed = MetricSettings(f"{HERE}:MeanError", name="streamed", direction="minimize")
    data = data_of(depth(metrics=(streamed, "mae")))
    rng = np.random.default_rng(0)
    maps = [rng.normal(size=(n, 1, 8, 8)).astype(np.float32) for n in (20, 7)]
    batches = [({"depth": each}, {"depth": each[::-1]}) for each in maps]
    found = score(data.tasks, batches, chance=data.chance)
    assert found["depth_streamed"] == pytest.approx(found["depth_mae"])
    maps[0][0, 0, 0, 0] = np.nan
    assert np.isnan(score(data.tasks, batches, chance=data.chance)["depth_streamed"])
    with pytest.raises(ConfigError, match="without arguments, and whose objects have"):
        depth(metrics=(f"{HERE}:NoMetric",))


def test_functions_that_compute_in_place_change_nothing_for_others() -> None:
    metric = MetricSettings(f"{HERE}:InPlace", name="in_place", direction="minimize")
    data = data_of(depth(metrics=(metric, "mae"), loss=f"{HERE}:in_place"))
    maps = np.random.default_rng(0).normal(size=(20, 1, 8, 8)).astype(np.float32)
    batches = [({"depth": maps}, {"depth": maps + 1})]
    found = [score(data.tasks, batches, chance=data.chance) for _ in range(2)]
    assert found[0] == found[1]
    assert found[0]["depth_in_place"] == pytest.approx(found[0]["depth_mae"])
    outputs, targets = torch.ones(4, 1, 2, 2, requires_grad=True), torch.full((4, 1, 2, 2), 3.0)
    (loss,) = task_losses(data).values()
    first, again = (loss.against_targets(outputs, targets) for _ in range(2))
    assert first == again and first > 0.0
    first.backward()  # type: ignore[no-untyped-call]
    assert outputs.grad is not None and outputs.grad.abs().sum() > 0.0


def test_chance_is_what_the_best_constant_prediction_gets() -> None:
    data = data_of(
        digit(metrics=(f"{HERE}:macro_f1",)),
        depth(metrics=(MetricSettings(f"{HERE}:squared", direction="minimize"),)),
    )
    labels, values = (train_targets(data, name) for name in ("digit", "depth"))
    commonest = np.full_like(labels, np.bincount(labels).argmax())
    assert data.chance["digit_macro_f1"] == pytest.approx(
        f1_score(labels, commonest, average="macro")
    )
    assert data.chance["depth_squared"] == pytest.approx(values.var(), rel=1e-4)


def test_chance_looks_at_items_spread_over_a_split(monkeypatch: pytest.MonkeyPatch) -> None:
    batches = [np.arange(start, min(start + 7, 100)) for start in range(0, 100, 7)]
    np.testing.assert_array_equal(own.sampled(batches, 3), np.arange(100))
    monkeypatch.setattr(own, "MOST_NUMBERS", 90)
    np.testing.assert_array_equal(own.sampled(batches, 3), np.arange(0, 100, 4))
    maps = [np.zeros((5, 2, 3, 3))] * 4
    assert len(own.sampled(maps, 1)) == 5


@pytest.mark.parametrize(
    ("targets", "axis", "shape"),
    [
        (np.zeros(5, int), 1, (5, 2)),
        (np.zeros((5, 4, 3), int), 1, (5, 2, 4, 3)),
        (np.zeros((5, 4), int), -1, (5, 4, 2)),
        (np.zeros((5, 2)), None, (5, 2)),
        (np.zeros((5, 2, 4, 3)), None, (5, 2, 4, 3)),
    ],
)
def test_constant_outputs_have_the_shape_of_outputs(
    targets: np.ndarray[Any, Any], axis: int | None, shape: tuple[int, ...]
) -> None:
    outputs, truth = own.spread(np.array([3.0, 5.0], np.float32), targets, axis)
    assert truth is targets
    assert outputs.shape == shape
    along = np.moveaxis(outputs, 1 if axis is None else axis, -1).reshape(-1, 2)
    assert (along == [3.0, 5.0]).all()


def test_the_best_constant_is_that_of_the_loss_at_hand() -> None:
    """Of yes and no, a constant that is a share of yes would say yes, taken for a logit."""
    pose = declared(
        "pose",
        TaskSettings(
            kind="regression",
            n_outputs=2,
            loss=f"{HERE}:yes_or_no",
            metrics=(f"{HERE}:share_right",),
        ),
    )
    data = replace(yes_and_no(), tasks=(pose,))
    labels = train_targets(data, "pose")
    share = labels.mean(axis=0)
    [(outputs, _)] = data.constant_predictions(pose)
    np.testing.assert_allclose(outputs[0], np.log(share / (1 - share)), atol=0.02)
    assert data.chance["pose_share_right"] == pytest.approx(np.maximum(share, 1 - share).mean())
    loss = task_losses(data)["pose"]
    assert isinstance(loss, OwnLoss)
    entropy = -(share * np.log(share) + (1 - share) * np.log(1 - share)).mean()
    assert loss.chance == pytest.approx(entropy, rel=1e-3)


def yes_and_no() -> TaskData:
    arrays = raw_arrays(300)
    answers = np.random.default_rng(1).random((300, 2)) < (0.2, 0.9)
    items = Arrays(arrays.inputs, {"pose": answers.astype(np.float32)})
    return prepare((POSE,), {SplitName.TRAIN: Given(items, "made up")}, Preparation(), seed=0)


def test_two_values_of_one_name_are_refused() -> None:
    data = task_data(60)
    clashing = declared("digit_b", TaskSettings("classification", classes=3))
    first = digit(metrics=(MetricSettings(f"{HERE}:macro_f1", name="b_accuracy"),))
    with pytest.raises(ConfigError, match="two metrics of the tasks are called 'digit_b_accuracy'"):
        replace(data, tasks=(first, clashing))


def test_what_is_declared_becomes_an_objective() -> None:
    metric = MetricSettings(f"{HERE}:decibels", name="psnr", perfect=60.0, chance=10.0, unit="dB")
    [objective] = depth(metrics=(metric,)).objectives
    assert (objective.name, objective.unit) == ("depth_psnr", "dB")
    assert objective.direction is Direction.MAXIMIZE
    assert (objective.least, objective.most) == (-np.inf, 60.0)
    less = MetricSettings(f"{HERE}:squared", direction="minimize")
    [objective] = depth(metrics=(less,)).objectives
    assert (objective.direction, objective.least) == (Direction.MINIMIZE, 0.0)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("several", "returned a list: return one number"),
        ("decibels", r"gave 1\d\.\d+, which is better than the 1 of a perfect prediction"),
        ("always_perfect", "a constant prediction is perfect by it"),
    ],
)
def test_what_cannot_be_compared_is_refused(function: str, said: str) -> None:
    data = data_of(depth(metrics=(f"{HERE}:{function}",)))
    with pytest.raises(ConfigError, match=rf"metric '{HERE}:{function}'.*{said}"):
        _ = data.chance


def test_what_a_function_raises_is_told_to_be_of_it() -> None:
    with pytest.raises(ZeroDivisionError, match="of the user") as raised:
        _ = data_of(digit(metrics=(f"{HERE}:broken",))).chance
    assert f"metric '{HERE}:broken'" in raised.value.__notes__[0]


def test_answers_that_are_not_finite_have_no_score() -> None:
    [metric] = digit(metrics=(f"{HERE}:macro_f1",)).metrics
    accumulator = metric.accumulator()
    accumulator.update(np.array([[np.nan, 0.0, 0.0]]), np.array([0]))
    assert np.isnan(accumulator.value())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"metrics": (f"{HERE}:f2",)}, r"^tasks\.digit\.metrics: .* has no 'f2'"),
        ({"metrics": ("no_such_file.py:f1",)}, "no_such_file.py"),
        ({"metrics": (f"{HERE}:of_one",)}, "Let it take two: outputs and targets"),
        (
            {"metrics": (f"{HERE}:no_function",)},
            "is a list: give a function",
        ),
        ({"metrics": (f"{HERE}:macro_f1", f"{HERE}:macro_f1")}, "names a metric twice: macro_f1"),
        ({"metrics": (MetricSettings(f"{HERE}:macro_f1", name="a b"),)}, "metric's name 'a b'"),
        ({"metrics": (MetricSettings(f"{HERE}:macro_f1", perfect=np.inf),)}, "`perfect` of"),
        ({"metrics": ("acuracy",)}, "did you mean 'accuracy'"),
        ({"loss": f"{HERE}:zz"}, r"^tasks\.digit\.loss: .* has no 'zz'\. It has \[.*'macro_f1'"),
        ({"loss": "abc:"}, r"^tasks\.digit\.loss: 'abc:' does not name a Python object"),
        ({"loss": LossSettings(f"{HERE}:focal", chance=0.0)}, "loss.chance is 0.0"),
    ],
)
def test_a_declaration_that_cannot_be_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        digit(**settings)


def test_a_loss_of_ones_own_is_one_at_chance_and_learns() -> None:
    data = data_of(digit(loss=f"{HERE}:focal"))
    loss = task_losses(data)["digit"]
    assert isinstance(loss, OwnLoss)
    labels = torch.from_numpy(train_targets(data, "digit"))
    frequencies = torch.bincount(labels, minlength=3) / len(labels)
    outputs = frequencies.log().expand(len(labels), 3).clone().requires_grad_()
    value = loss.against_targets(outputs, labels)
    assert 1.0 <= value.item() < 1.1  # the best constant of this loss is another one
    assert value.item() * loss.chance == pytest.approx(
        own_functions.focal(outputs, labels).item(), rel=1e-5
    )
    value.backward()  # type: ignore[no-untyped-call]
    assert outputs.grad is not None and outputs.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("plain", "other", "shape"),
    [
        (DIGIT, digit(loss=f"{HERE}:focal"), (5, 3)),
        (DEPTH, depth(loss=LossSettings(f"{HERE}:focal", chance=1.0)), (5, 1, 4, 5)),
    ],
)
def test_what_a_teacher_says_is_learned_as_by_the_kind_of_task(
    plain: Task, other: Task, shape: tuple[int, ...]
) -> None:
    shipped, mine = (task_losses(data_of(t))[plain.name] for t in (plain, other))
    outputs, teacher = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    assert torch.equal(
        shipped.against_teacher(outputs, teacher), mine.against_teacher(outputs, teacher)
    )


def test_a_chance_that_is_given_is_kept() -> None:
    loss = task_losses(data_of(digit(loss=LossSettings(f"{HERE}:nothing", chance=2.0))))["digit"]
    assert isinstance(loss, OwnLoss)
    assert loss.chance == 2.0


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("of_each", r"returned a Tensor of shape \(\d+,\): return a scalar tensor"),
        ("nothing", "is 0 for a constant prediction.*give `chance`"),
        ("hard", "has no gradient"),
    ],
)
def test_a_loss_that_cannot_be_scaled_is_refused(function: str, said: str) -> None:
    with pytest.raises(ConfigError, match=rf"loss '{HERE}:{function}' {said}"):
        task_losses(data_of(digit(loss=f"{HERE}:{function}")))


def test_a_loss_without_a_gradient_is_refused_where_something_is_to_be_learnt() -> None:
    outputs, labels = torch.zeros(4, 3, requires_grad=True), torch.tensor([0, 1, 2, 2])
    with pytest.raises(ConfigError, match="has no gradient"):
        own_loss(f"{HERE}:hard", outputs, labels)
    with torch.no_grad():
        assert float(own_loss(f"{HERE}:hard", outputs, labels)) > 0


def test_both_travel_and_are_told() -> None:
    task = digit(metrics=(f"{HERE}:macro_f1",), loss=f"{HERE}:focal")
    assert pickle.loads(pickle.dumps(task)) == task
    told = task.to_json()
    assert (told["metrics"], told["loss"]) == (["macro_f1"], f"{HERE}:focal")
    assert DEPTH.to_json()["loss"] == "smooth_l1"
