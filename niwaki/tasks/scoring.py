"""Scores of a model on a split: every metric of every task, and their normalised mean."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from niwaki.core.objectives import Direction, Objective
from niwaki.tasks.task import Task

MEAN_SKILL = Objective("mean_skill", Direction.MAXIMIZE, most=1.0)
"""Mean over tasks of the skill of each task's first metric: 1 is perfect, 0 is chance."""


def score(
    tasks: Sequence[Task],
    predictions: Iterable[tuple[Mapping[str, NDArray[Any]], Mapping[str, NDArray[Any]]]],
    *,
    chance: Mapping[str, float],
) -> dict[str, float]:
    """Score predictions, batch by batch: what ships keeps nothing in memory.

    Args:
        tasks: What is scored.
        predictions: Batches of (a model's outputs by name, targets by task name).
        chance: `TaskData.chance` of the data that the model was trained on.

    Returns:
        Values by `<task>_<metric>`, and `mean_skill`; NaN where outputs were not finite, or where
        there was no batch.
    """
    accumulators = {
        task.value_name(metric): (task, metric.accumulator())
        for task in tasks
        for metric in task.metrics
    }
    for outputs, targets in predictions:
        for task, accumulator in accumulators.values():
            accumulator.update(task.answer(outputs), targets[task.name])
    values = {name: accumulator.value() for name, (_, accumulator) in accumulators.items()}
    return {**values, MEAN_SKILL.name: mean_skill(tasks, values, chance=chance)}


def mean_skill(
    tasks: Sequence[Task], values: Mapping[str, float], *, chance: Mapping[str, float]
) -> float:
    """Return the mean over tasks of the skill of each task's first metric."""
    return float(np.mean(skills(tasks, values, chance=chance)))


def skills(
    tasks: Sequence[Task], values: Mapping[str, float], *, chance: Mapping[str, float]
) -> NDArray[np.float64]:
    """Return (t,) skills, those of each task's first metric: 1 is perfect, 0 is chance."""
    names = [(task.metrics[0], task.value_name(task.metrics[0])) for task in tasks]
    return np.array([metric.skill(values[name], chance[name]) for metric, name in names])
