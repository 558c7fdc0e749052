"""Declarations of tasks."""

import json

import pytest

from niwaki.core.errors import ConfigError
from niwaki.core.objectives import Direction, Objective
from niwaki.tasks.task import LOSSES, METRICS, TaskKind, TaskSettings, declared


def test_a_number_of_classes_names_them_by_number() -> None:
    task = declared("digit", TaskSettings(kind="classification", classes=3))
    assert task.classes == ("0", "1", "2")
    assert task.n_outputs == 3


@pytest.mark.parametrize("kind", [each for each in TaskKind if each is not TaskKind.CUSTOM])
def test_every_kind_has_a_default_loss_and_metric(kind: TaskKind) -> None:
    classes = 2 if kind.has_classes else ()
    task = declared("x", TaskSettings(kind=kind, classes=classes))
    assert task.loss == LOSSES[kind][0]
    assert [metric.name for metric in task.metrics] == [METRICS[kind][0].name]


def test_objectives_carry_direction_unit_and_limits() -> None:
    task = declared("depth", TaskSettings(kind="depth", metrics=("mae", "rmse"), unit="m"))
    assert task.objectives == (
        Objective("depth_mae", Direction.MINIMIZE, "m", least=0.0),
        Objective("depth_rmse", Direction.MINIMIZE, "m", least=0.0),
    )
    task = declared("x", TaskSettings(kind="classification", classes=2))
    [accuracy] = task.objectives
    assert (accuracy.least, accuracy.most) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (TaskSettings(kind="clasification", classes=3), "did you mean 'classification'"),
        (TaskSettings(kind="classification"), "number of classes, at least 2"),
        (TaskSettings(kind="classification", classes=("a", "a")), "each once"),
        (TaskSettings(kind="depth", classes=3), "give 'n_outputs' and no 'classes'"),
        (TaskSettings(kind="depth", n_outputs=0), "n_outputs is 0"),
        (TaskSettings(kind="segmentation", classes=3, n_outputs=2), "its 3 classes: leave it out"),
        (TaskSettings(kind="segmentation", classes=256), "at most 255"),
        (TaskSettings(kind="segmentation", classes=3, metrics=("rmse",)), "Choose one of miou"),
        (TaskSettings(kind="depth", metrics=("rmse", "rmse")), "names a metric twice"),
        (TaskSettings(kind="depth", loss="huber"), "Choose one of smooth_l1, l1"),
        (TaskSettings(kind="depth", weight=-1.0), "at least 0"),
        (TaskSettings(kind="depth", weight=float("nan")), "at least 0"),
    ],
)
def test_a_declaration_that_cannot_be_is_refused(settings: TaskSettings, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        declared("x", settings)


@pytest.mark.parametrize("name", ["", "two words", "a/b", "2d"])
def test_a_name_that_could_not_stand_in_a_constraint_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="letters, digits and underscores"):
        declared(name, TaskSettings(kind="depth"))


def test_the_card_of_a_task_is_json() -> None:
    task = declared("mask", TaskSettings(kind="segmentation", classes=("sky", "sea"), weight=0.5))
    assert json.loads(json.dumps(task.to_json()))["classes"] == ["sky", "sea"]
