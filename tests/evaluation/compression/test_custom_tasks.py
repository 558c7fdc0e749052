"""Tasks that read several outputs at once, with targets of any shape: a detector, whole."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import niwaki
from niwaki.core.errors import ConfigError, DataError
from niwaki.evaluation.compression.given_data.inferred_data import infer_from
from niwaki.evaluation.compression.original import fitted_to
from niwaki.evaluation.compression.proposing.importance import not_differentiable
from niwaki.evaluation.compression.settings import CompressionSettings, PruningSettings
from niwaki.evaluation.compression.tuning.fine_tuning import TuningSettings
from niwaki.evaluation.families import heads_of
from niwaki.export.bundle import find_bundles, read_bundle, verify_bundle
from niwaki.study.compression import CompressionRequest
from niwaki.tasks.arrays import Arrays
from niwaki.tasks.assembly import Preparation, prepare
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.checks import Given
from niwaki.tasks.losses import OwnLoss, task_losses
from niwaki.tasks.own import LossSettings, MetricSettings, Scoring
from niwaki.tasks.task import TaskKind, TaskSettings, declared
from tests.evaluation.compression.small_detector import (
    HERE,
    MOST,
    SCORING,
    Unnamed,
    WithGrid,
    build,
    f1,
    loaders,
    spots,
)
from tests.hasty import HASTY

BOTH = SCORING["spots"]
DECLARED = TaskSettings(
    "custom", metrics=BOTH.metrics, loss=BOTH.loss, outputs=("output", "output_2")
)


def data_of(model: nn.Module, scoring: Mapping[str, Scoring] = SCORING) -> TaskData:
    """Return the data as they are for a compression."""
    return fitted_to(infer_from(loaders(), model, seed=0, scoring=scoring), model)


def answers(model: nn.Module, data: TaskData) -> tuple[dict[str, Tensor], Tensor]:
    batch = next(data[SplitName.TRAIN].batches(256))
    with torch.no_grad():
        return model(torch.from_numpy(batch.inputs)), torch.from_numpy(batch.targets["spots"])


def test_one_task_reads_several_outputs_and_targets_of_any_shape() -> None:
    data = data_of(build())
    [task] = data.tasks
    assert (task.name, task.kind, task.outputs) == ("spots", TaskKind.CUSTOM, ("small", "large"))
    assert data.output_names == ("small", "large")
    assert next(data[SplitName.TEST].batches(8)).targets["spots"].shape == (8, MOST, 4)
    assert data.warnings == ()


def test_chance_is_that_of_constants_that_the_loss_finds_best() -> None:
    model = build()
    data = data_of(model)
    assert data.chance["spots_f1"] == 0.0  # no cell is right more often than not
    [(outputs, truth)] = data.constant_predictions(data.tasks[0])
    for name, width, n_places in (("small", 2, 64), ("large", 4, 16)):
        maps = outputs[name]
        assert (maps == maps[:1]).all()
        share = (truth[..., 2] == width).sum(1).mean() / n_places
        said = 1 / (1 + np.exp(-maps[0, 0].astype(np.float64)))
        assert said.mean() == pytest.approx(share, rel=0.15)
        brightness = np.median(truth[..., 3][truth[..., 2] == width])
        assert maps[0, 1].mean() == pytest.approx(brightness, abs=0.1)
    assert task_losses(data)["spots"].against_targets(*answers(model, data)) < 0.3


def test_constants_keep_to_what_the_model_answers() -> None:
    """Beyond, a function of the user's may know no answer, such as to probabilities above 1."""
    probabilities = nn.Sequential(build().enter, nn.Conv2d(16, 1, 1), nn.Sigmoid()).eval()
    scoring = {"": Scoring((f"{HERE}:counted",), f"{HERE}:within_one_loss")}
    data = data_of(probabilities, scoring)
    [(outputs, _)] = data.constant_predictions(data.tasks[0])
    assert 0.0 < outputs.min() <= outputs.max() < 1.0


def test_constants_of_other_kinds_keep_to_what_the_model_answers() -> None:
    """A loss of probabilities is an error of torch's beyond 0 and 1, also of a regression."""
    model = nn.Sequential(nn.Linear(5, 1), nn.Sigmoid()).eval()
    inputs = torch.randn((200, 5), generator=torch.Generator().manual_seed(0))
    yes = (inputs[:, :1] > 0.8).float()
    scoring = {"": Scoring((f"{HERE}:counted",), f"{HERE}:probable")}
    batches = {"train": [(inputs, yes)]}
    data = fitted_to(infer_from(batches, model, seed=0, scoring=scoring), model)
    assert data.tasks[0].kind is TaskKind.REGRESSION
    [(outputs, truth)] = data.constant_predictions(data.tasks[0])
    low, high = data.answers["output"].low, data.answers["output"].high
    best = np.clip(truth.mean(), low, high)
    np.testing.assert_allclose(outputs, np.full_like(outputs, best), atol=0.01)


def test_a_teacher_is_one_away_from_its_own_mean() -> None:
    model = build()
    data = data_of(model)
    loss, (outputs, _) = task_losses(data)["spots"], answers(model, data)
    means = {n: v.mean((0, 2, 3), keepdim=True).expand_as(v) for n, v in outputs.items()}
    assert loss.against_teacher(outputs, outputs) == 0.0
    assert loss.against_teacher(means, outputs) == pytest.approx(1.0, abs=0.3)
    half = outputs | {"large": means["large"]}
    assert 0.2 < loss.against_teacher(half, outputs) < 0.8


def test_an_output_that_never_changes_teaches_nothing() -> None:
    model = WithGrid().eval()
    data = data_of(model, {"spots": replace(BOTH, outputs=("small", "large", "grid"))})
    loss, (outputs, _) = task_losses(data)["spots"], answers(model, data)
    other = outputs | {"grid": outputs["grid"] + 1.0}
    assert loss.against_teacher(other, outputs) == 0.0
    assert not_differentiable(model, data) == ()
    scoring = {"grid": replace(BOTH, outputs=("grid",))}
    batches = {split: [(x, {"grid": y}) for x, y in each] for split, each in loaders().items()}
    alone = infer_from(batches, model, seed=0, scoring=scoring)
    with pytest.raises(DataError, match="outputs grid are the same for all train inputs"):
        fitted_to(alone, model)


def test_outputs_of_a_tuple_are_read_by_position_beside_others() -> None:
    model = Unnamed().eval()
    batches = {s: [(x, {"spots": y}) for x, y in each] for s, each in loaders().items()}
    scoring = {"spots": replace(BOTH, outputs=("output", "output_2"))}
    data = fitted_to(infer_from(batches, model, seed=0, scoring=scoring), model)
    assert data.output_names == ("output", "output_1", "output_2")
    assert [task.name for task in data.tasks] == ["spots", "output_1"]
    assert data.tasks[1].kind is TaskKind.DEPTH  # the values of the original


@pytest.mark.parametrize("other", ["output_1", "mean"])
@pytest.mark.parametrize("order", [1, -1])
def test_what_is_declared_reads_outputs_in_the_order_of_the_model(other: str, order: int) -> None:
    images, targets = spots(60, 0)
    tasks = (
        declared("spots", replace(DECLARED, metrics=(f"{HERE}:f1_by_position",))),
        declared(other, TaskSettings("depth", n_outputs=2)),
    )[::order]
    means = np.random.default_rng(0).normal(size=(60, 2, 1, 1)).astype(np.float32)
    items = Arrays(images, {"spots": targets, other: means})
    given = {SplitName.TRAIN: Given(items, "made up")}
    data = fitted_to(prepare(tasks, given, Preparation("as_given"), seed=0), Unnamed().eval())
    assert data.output_names == ("output", other, "output_2")
    assert data.answers["output_2"].mean.shape == (2, 4, 4)


def test_an_output_that_is_always_the_same_is_told() -> None:
    batches = {s: [(x, {"spots": y}) for x, y in each] for s, each in loaders().items()}
    data = infer_from(batches, WithGrid().eval(), seed=0, scoring=SCORING)
    assert any("'grid' is the same for all" in told for told in data.warnings)
    alone = infer_from(batches, build(), seed=0, scoring=SCORING)
    assert not any("is the same for all" in told for told in alone.warnings)


def test_numbers_of_things_that_are_no_classes_are_read_by_ones_own_functions() -> None:
    model = nn.Sequential(build().enter, nn.Flatten(), nn.Linear(16 * 64, 8)).eval()
    names = {"train": [(x, torch.arange(len(x)) % 50) for x, _ in loaders()["train"]]}
    own = Scoring(("tests/tasks/own_functions.py:macro_f1",), "tests/tasks/own_functions.py:focal")
    few = {"train": [(x, y % 8) for x, y in names["train"]]}
    for batches, said, kind in (
        (names, "", TaskKind.CUSTOM),
        (few, "", TaskKind.CLASSIFICATION),
        (few, "custom", TaskKind.CUSTOM),
    ):
        scoring = {"output": replace(own, kind=said)}
        (task,) = infer_from(batches, model, seed=0, scoring=scoring).tasks
        assert task.kind is kind
    with pytest.raises(ConfigError, match="or custom, with a metric and a loss of your own"):
        infer_from(few, model, seed=0, scoring={"output": Scoring(kind="custom")})


class Embedding(nn.Linear):
    """Rows of length 1."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.normalize(super().forward(x), dim=1)


def test_who_is_who_is_no_place_in_an_embedding() -> None:
    """Cross-entropy of its 16 numbers, as if they were scores, would spoil it."""
    generator = torch.Generator().manual_seed(0)
    batches = {"train": [(torch.randn((200, 5), generator=generator), torch.arange(200) % 10)]}
    model = Embedding(5, 16).eval()
    own = Scoring(("tests/tasks/own_functions.py:macro_f1",), "tests/tasks/own_functions.py:focal")
    for scoring, kind in (
        (own, TaskKind.CUSTOM),
        (replace(own, kind="classification"), TaskKind.CLASSIFICATION),
    ):
        (task,) = infer_from(batches, model, seed=0, scoring={"": scoring}).tasks
        assert task.kind is kind
    with pytest.raises(DataError, match="rows of length 1, as embeddings have"):
        infer_from(batches, model, seed=0, scoring={"": replace(own, loss="")})


def test_one_output_may_have_targets_of_another_shape() -> None:
    model = nn.Sequential(build().enter, nn.Conv2d(16, 1, 1)).eval()
    scoring = {"": Scoring((f"{HERE}:counted",), f"{HERE}:counting_loss")}
    [task] = data_of(model, scoring).tasks
    assert (task.name, task.kind, task.outputs) == ("output", TaskKind.CUSTOM, ("output",))
    with pytest.raises(DataError, match="a metric and a loss of your own, which may read any"):
        data_of(model, {"": Scoring(loss=f"{HERE}:counting_loss")})


@pytest.mark.parametrize(
    ("scoring", "message"),
    [
        ({"spots": replace(BOTH, outputs=("small", "big"))}, "reads 'big'.*are small, large"),
        ({"a": BOTH, "b": BOTH}, "'small' is read by 'a' and by 'b'"),
        ({"spots": replace(BOTH, loss="")}, "needs a name, a metric and a loss"),
        ({"large": replace(BOTH, outputs=("small",))}, "are both called 'large'"),
        ({"large": BOTH, "small": BOTH}, "read by"),
        ({"spots": BOTH, "big": Scoring(loss=BOTH.loss)}, "'big' is no output"),
    ],
)
def test_what_reads_no_outputs_is_refused(scoring: dict[str, Scoring], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        infer_from(loaders(), build(), seed=0, scoring=scoring)


def ragged(batch: Any) -> Any:
    """Return what torchvision's loaders and those of YOLO give."""
    inputs, targets = batch
    return inputs, [{"boxes": boxes[boxes[:, 2] > 0]} for boxes in targets]


def in_one(batch: Any) -> Any:
    inputs, targets = batch
    return inputs, np.concatenate([boxes[boxes[:, 2] > 0] for boxes in targets])


@pytest.mark.parametrize("spoil", [ragged, in_one])
def test_ragged_targets_are_told_to_be_padded(spoil: Any) -> None:
    batches = {split: [spoil(batch) for batch in each] for split, each in loaders().items()}
    with pytest.raises(DataError, match=r"padded to the most that one has, as in \(n, most_boxes"):
        infer_from(batches, build(), seed=0, scoring=SCORING)


def test_a_task_without_targets_is_told_what_to_do() -> None:
    batches = {split: [x for x, _ in each] for split, each in loaders().items()}
    with pytest.raises(DataError, match="'spots' has no targets in the loaders, split train, to"):
        infer_from(batches, build(), seed=0, scoring=SCORING)


def test_calibration_needs_targets_that_no_model_answers() -> None:
    batches: dict[str, Any] = {**loaders(), "calibration": [spots(64, 9)[0]]}
    with pytest.raises(DataError, match="split calibration has no targets for task 'spots'"):
        infer_from(batches, build(), seed=0, scoring=SCORING)


def test_functions_that_know_no_constants_are_spared_by_chance() -> None:
    loss = f"{HERE}:strict_loss"
    data = data_of(build(), {"spots": replace(BOTH, loss=loss)})
    with pytest.raises(ValueError, match="nothing is assigned") as raised:
        task_losses(data)
    assert "Give that value as `chance`" in "".join(raised.value.__notes__)
    spared = Scoring(
        (MetricSettings(f"{HERE}:f1", chance=0.1),), LossSettings(loss, chance=2.0), BOTH.outputs
    )
    model = build()
    data = data_of(model, {"spots": spared})
    assert data.chance == {"spots_f1": 0.1}
    plain = task_losses(data_of(model))["spots"]
    assert isinstance(plain, OwnLoss)
    outputs, targets = answers(model, data)
    with torch.no_grad():
        ratio = task_losses(data)["spots"].against_targets(outputs, targets)
        assert ratio == pytest.approx(plain.chance * plain.against_targets(outputs, targets) / 2.0)


def test_networks_that_are_built_have_no_custom_tasks() -> None:
    with pytest.raises(ConfigError, match="'spots' is custom: only its metric and loss"):
        images, targets = spots(60, 0)
        given = {SplitName.TRAIN: Given(Arrays(images, {"spots": targets}), "made up")}
        heads_of(prepare((declared("spots", DECLARED),), given, Preparation(), seed=0))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (replace(DECLARED, loss=""), "loss is missing: a custom task"),
        (replace(DECLARED, metrics=()), "metrics is missing: a custom task"),
        (replace(DECLARED, metrics=("rmse",)), "'rmse', but a custom task has functions of your"),
        (replace(DECLARED, classes=3), "leave out 'classes' and 'n_outputs'"),
        (replace(DECLARED, outputs=("a", "a")), "names an output twice"),
        (TaskSettings("depth", outputs=("a",)), "reads the output of its own name"),
    ],
)
def test_a_declaration_that_cannot_be_is_refused(settings: TaskSettings, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        declared("spots", settings)


def test_a_detector_is_compressed_by_its_own_metric(tmp_path: Path) -> None:
    model = build()
    settings = CompressionSettings(
        pruning=PruningSettings(price="macs", shares=(0.6,), n_judged=64),
        tuning=TuningSettings(epochs=4.0, batch_size=32, learning_rate=3e-3, n_recalibration=128),
    )
    request = CompressionRequest(n_finalists=3, settings=settings, scoring=SCORING)
    found = niwaki.compress(
        model, tasks=loaders(), target=HASTY, folder=tmp_path / "run", request=request
    )
    images, targets = spots(64, 3)
    with torch.no_grad():
        outputs = {n: v.numpy() for n, v in model(torch.from_numpy(images)).items()}
    folders = find_bundles(tmp_path / "run" / "artifacts")
    cards = {card.candidate.key: card for card in (read_bundle(each).card for each in folders)}
    original = cards.pop(found.original.key)
    assert original.metrics["test"]["spots_f1"] == pytest.approx(f1(outputs, targets), abs=1e-3)
    assert cards
    for card in cards.values():
        assert card.metrics["test"]["spots_f1"] > 0.85
        assert [task.outputs for task in card.tasks] == [("small", "large")]
    for folder in folders:
        verify_bundle(folder).require(str(folder))
        written = json.loads((folder / "model.json").read_text())["tasks"]
        assert written[0]["outputs"] == ["small", "large"]
    sensitive = json.loads((tmp_path / "run" / "artifacts" / "sensitive.json").read_text())
    assert sensitive["tasks"] == ["spots"]
