"""Scores of whole tasks."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.scoring import score
from tests.tasks.made_up import task_data

Pairs = Iterator[tuple[Mapping[str, NDArray[Any]], Mapping[str, NDArray[Any]]]]


def perfect(data: TaskData, *, flaw: float = 0.0) -> Pairs:
    """Outputs that repeat the targets, and real ones with a flaw added."""
    for batch in data[SplitName.VAL].batches(4):
        outputs: dict[str, NDArray[Any]] = {}
        for task in data.tasks:
            target = batch.targets[task.name]
            if task.kind.has_classes:
                outputs[task.name] = np.moveaxis(np.eye(task.n_outputs)[target], -1, 1)
            else:
                outputs[task.name] = target + flaw
        yield outputs, batch.targets


def test_perfect_outputs_have_skill_one_and_perfect_values() -> None:
    data = task_data()
    values = score(data.tasks, perfect(data), chance=data.chance)
    assert values["mean_skill"] == 1.0
    assert values["digit_accuracy"] == values["mask_miou"] == 1.0
    assert values["depth_rmse"] == values["depth_mae"] == 0.0


def test_values_are_named_after_task_and_metric() -> None:
    data = task_data()
    names = {objective.name for task in data.tasks for objective in task.objectives}
    assert set(score(data.tasks, perfect(data), chance=data.chance)) == {*names, "mean_skill"}
    assert "mask_accuracy" in names


def test_mean_skill_is_the_mean_over_tasks_of_their_first_metric() -> None:
    data = task_data()
    values = score(data.tasks, perfect(data, flaw=0.1), chance=data.chance)
    depth = 1 - values["depth_rmse"] / data.chance["depth_rmse"]
    pose = 1 - values["pose_rmse"] / data.chance["pose_rmse"]
    assert values["mean_skill"] == pytest.approx((1 + 1 + depth + pose) / 4)


def test_outputs_gone_wrong_make_mean_skill_nan() -> None:
    data = task_data()
    assert math.isnan(
        score(data.tasks, perfect(data, flaw=np.nan), chance=data.chance)["mean_skill"]
    )
