"""The interface of data: named splits of batches, and the record of how inputs were prepared."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import ConfigError, DataError
from niwaki.core.jsonable import JSON
from niwaki.tasks.answers import Answers
from niwaki.tasks.metrics import Prediction
from niwaki.tasks.model_inputs import ModelInputs
from niwaki.tasks.own import MOST_NUMBERS, LossSettings, sampled, spread
from niwaki.tasks.preprocessing import Preprocessing
from niwaki.tasks.statistics import (
    Statistics,
    best_constant,
    class_statistics,
    value_statistics,
)
from niwaki.tasks.task import Task, TaskKind

STATISTICS_BATCH = 512
"""Items per batch when the train targets are summed up."""

_LEAST_FITTED, _MOST_FITTED = 16, 128
"""Items for which a loss of one's own is computed some fifty times: it may go box by box."""


class SplitName(StrEnum):
    """The splits, and what each may be used for."""

    TRAIN = "train"  # gradients, batch-norm statistics, mean and std of the inputs
    SEARCH = "search"  # scores that the searcher sees
    VAL = "val"  # choices beside the search: early stopping, a model from the front
    TEST = "test"  # looked at once, from the exported file
    CALIBRATION = "calibration"  # ranges of quantised activations


@dataclass(frozen=True, eq=False)
class Batch:
    """Some items.

    Attributes:
        inputs: (n, c, h, w), or (n, c, ...) in general; float32, ready for the network. Several
            inputs of a model lie side by side in it: see `niwaki.tasks.model_inputs`.
        targets: By task name, shaped as `TaskKind` says: integers as int64, reals as float32.
    """

    inputs: NDArray[np.float32]
    targets: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.inputs)


class Split(ABC):
    """Items that can be gone through again and again."""

    @property
    @abstractmethod
    def n_items(self) -> int | None:
        """Number of items; None if only a full pass would tell."""

    @abstractmethod
    def batches(
        self, batch_size: int, *, rng: np.random.Generator | None = None
    ) -> Iterator[Batch]:
        """Go through all items once.

        Args:
            batch_size: Items per batch, at least 1; the last batch may be smaller.
            rng: Shuffles the items; None keeps the order of the file. The same state gives the same
                order.
        """

    @abstractmethod
    def targets(self, batch_size: int) -> Iterator[Mapping[str, NDArray[Any]]]:
        """Go through the targets alone, in the order of the file."""


@dataclass(frozen=True, eq=False)
class _TargetsOf:
    """The targets of one task, batch by batch, as often as they are asked for."""

    split: Split
    task: str

    def __iter__(self) -> Iterator[NDArray[Any]]:
        for batch in self.split.targets(STATISTICS_BATCH):
            yield batch[self.task]


@dataclass(frozen=True, eq=False)
class TaskData:
    """Everything that a network is trained and scored on.

    Attributes:
        tasks: The questions, at least one, each with its own name.
        splits: All five of `SplitName`.
        input_shape: Shape of one input, without the batch: (c, h, w).
        preprocessing: How raw inputs became `Batch.inputs`.
        fingerprint: Sixteen hexadecimal digits that follow content, splits and preprocessing.
        warnings: What is odd about the data, in sentences, yet no reason to stop.
        model_inputs: What a model that was given takes; None for networks that are made for the
            data, of one input in float32.
        outputs: Names of the outputs of a model that was given, in its order; empty if there is
            none.
        answers: What a model that was given answers to train items, by name of the outputs that
            tasks read which are custom or have a loss of the user's.

    Raises:
        ConfigError: If no task has a weight above 0, or two values would have one name.
    """

    tasks: tuple[Task, ...]
    splits: Mapping[SplitName, Split]
    input_shape: tuple[int, ...]
    preprocessing: Preprocessing
    fingerprint: str
    warnings: tuple[str, ...] = ()
    model_inputs: ModelInputs | None = None
    outputs: tuple[str, ...] = ()
    answers: Mapping[str, Answers] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not any(task.weight > 0.0 for task in self.tasks):
            names = ", ".join(task.name for task in self.tasks)
            raise ConfigError(
                f"every task has weight 0 ({names}), so nothing would be learnt: give one more"
            )
        named = [task.value_name(metric) for task in self.tasks for metric in task.metrics]
        if repeated := [name for name in named if named.count(name) > 1]:
            raise ConfigError(
                f"two metrics of the tasks are called '{repeated[0]}': give a task, or a metric of "
                "your own, another name"
            )

    def __getitem__(self, name: SplitName) -> Split:
        return self.splits[name]

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the model's outputs, in its order; where none was given, in the tasks'."""
        return self.outputs or tuple(
            dict.fromkeys(name for task in self.tasks for name in task.outputs)
        )

    @property
    def class_names(self) -> Mapping[str, tuple[str, ...]]:
        """Names of the classes, by task; only tasks that have classes."""
        return {task.name: task.classes for task in self.tasks if task.classes}

    @cached_property
    def statistics(self) -> Mapping[str, Statistics]:
        """What the train targets look like, by task, but of custom tasks.

        Takes two passes over them, the first time.

        Raises:
            DataError: If a task has the same target throughout, so that nothing can be learnt.
        """
        tasks = (task for task in self.tasks if task.kind is not TaskKind.CUSTOM)
        return {task.name: self._statistics_of(task) for task in tasks}

    @cached_property
    def chance(self) -> Mapping[str, float]:
        """Values of the best constant predictions on the train targets, by `<task>_<metric>`."""
        return {
            task.value_name(metric): metric.chance(
                self.statistics.get(task.name), self.constant_predictions(task)
            )
            for task in self.tasks
            for metric in task.metrics
        }

    def constant_predictions(self, task: Task) -> Iterator[Prediction]:
        """Yield the best constant outputs of a task, with the targets of some train items.

        The best by the task's loss. Looked for when it is asked for, and then kept.
        """
        if task.name not in self._constants:
            custom = task.kind is TaskKind.CUSTOM
            found = self._custom_constant(task) if custom else self._constant(task)
            self._constants[task.name] = found
        yield self._constants[task.name]

    def _constant(self, task: Task) -> Prediction:
        targets = _TargetsOf(self.splits[SplitName.TRAIN], task.name)
        truth = sampled(targets, task.n_outputs if task.kind.has_classes else 1)
        constant = best_constant(self.statistics[task.name]).astype(np.float32)
        axis = task.kind.class_axis if task.kind.has_classes else None
        if isinstance(task.loss, LossSettings):
            from niwaki.tasks.fitted_constants import fitted_constant

            answers = self.answers.get(task.name)
            constant = fitted_constant(task.loss.function, constant, truth, axis, answers)
        return spread(constant, truth, axis)

    def _custom_constant(self, task: Task) -> Prediction:
        """Return constants within what the model that was given answers, with train targets."""
        from niwaki.tasks.fitted_constants import fitted_answers

        answers = {name: self.answers[name] for name in task.outputs}
        most = MOST_NUMBERS // sum(each.mean.size for each in answers.values())
        targets = _TargetsOf(self.splits[SplitName.TRAIN], task.name)
        truth = sampled(targets, 1, most_items=max(_LEAST_FITTED, min(_MOST_FITTED, most)))
        found = fitted_answers(task, answers, truth)
        outputs = {n: each.constant(found[n], len(truth)) for n, each in answers.items()}
        return task.answer(outputs), truth

    @cached_property
    def _constants(self) -> dict[str, Prediction]:
        return {}

    def to_json(self) -> dict[str, JSON]:
        """Return what a run folder and a model card say of the data."""
        return {
            "fingerprint": self.fingerprint,
            "input_shape": list(self.input_shape),
            "n_items": {str(name): split.n_items for name, split in self.splits.items()},
            "preprocessing": self.preprocessing.to_json(),
            "tasks": [task.to_json() for task in self.tasks],
            "warnings": list(self.warnings),
        }

    def _statistics_of(self, task: Task) -> Statistics:
        targets = _TargetsOf(self.splits[SplitName.TRAIN], task.name)
        statistics: Statistics
        try:
            if task.kind.has_classes:
                ignored = task.ignore_index
                statistics = class_statistics(targets, task.n_outputs, ignore_index=ignored)
            else:
                statistics = value_statistics(targets)
        except DataError as error:
            raise DataError(f"task '{task.name}': {error}") from error
        if statistics.constant:
            but = "" if task.kind.has_classes else ", but for rounding to float32"
            raise DataError(
                f"task '{task.name}' has the same target throughout the train split{but}, so there "
                "is nothing to learn: remove the task, or give other data"
            )
        return statistics
