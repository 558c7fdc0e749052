"""Losses in torch, scaled so that the best constant prediction costs about 1 in every task.

The scale makes tasks comparable: without it a depth error of 0.05 would drown in a cross-entropy of
2 nats, and task weights would have to undo that before they could say what matters.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from niwaki.core.blame import raised_by
from niwaki.core.errors import ConfigError
from niwaki.core.wording import kind_of
from niwaki.tasks.answers import Answers
from niwaki.tasks.base import TaskData
from niwaki.tasks.metrics import Prediction
from niwaki.tasks.own import asked_of_constants, each_output, of_each_output, own_function
from niwaki.tasks.statistics import SMOOTH_L1_BETA, ClassStatistics, ValueStatistics
from niwaki.tasks.task import Task, TaskKind

_NO_LABEL = -1


class TeacherLoss(ABC):
    """How far outputs are from a teacher's."""

    @abstractmethod
    def against_teacher(self, outputs: Any, teacher: Any) -> Tensor:
        """Return the scalar loss that is 0 where `outputs` say what `teacher` says.

        Args:
            outputs: As `TaskKind` says; of a custom task, as `Task.answer` gives them.
            teacher: Outputs of the teacher, of the same shape; no gradient flows into them.
        """


@dataclass(frozen=True)
class TaskLoss(TeacherLoss):
    """The loss of one task.

    Attributes:
        weight: Factor of this loss in a sum over tasks.
    """

    weight: float

    @abstractmethod
    def against_targets(self, outputs: Any, targets: Tensor) -> Tensor:
        """Return the scalar loss, about 1 at chance and 0 if perfect.

        Args:
            outputs: As `TaskKind` says, (n, k) or (n, k, ...), float; of a custom task, as
                `Task.answer` gives them.
            targets: As `TaskKind` says: int64 labels, or floats shaped like `outputs`, NaN where
                there is no label.
        """


@dataclass(frozen=True)
class ClassLoss(TaskLoss):
    """Cross-entropy, by item, pixel or place, over the entropy of the train labels.

    Attributes:
        chance_nats: Cross-entropy of the best constant prediction.
        ignore_index: Label that does not count; None if all do.
        axis: Of the outputs, along which the classes lie.
        temperature: Softens both sides of distillation; its gradient keeps its size.

    References:
        Hinton, Vinyals and Dean (2015), "Distilling the knowledge in a neural network": soft
        targets, and the factor of temperature squared.
    """

    chance_nats: float
    ignore_index: int | None = None
    axis: int = 1
    temperature: float = 1.0

    def against_targets(self, outputs: Tensor, targets: Tensor) -> Tensor:
        ignored = _NO_LABEL if self.ignore_index is None else self.ignore_index
        scores = outputs.movedim(self.axis, 1)
        nats = functional.cross_entropy(scores, targets, ignore_index=ignored, reduction="sum")
        # A batch may have no label that counts; its loss is 0, not 0 / 0.
        n_counted = targets.ne(ignored).sum().clamp(min=1)
        return nats / n_counted / self.chance_nats

    def against_teacher(self, outputs: Tensor, teacher: Tensor) -> Tensor:
        student = functional.log_softmax(outputs / self.temperature, dim=self.axis)
        wanted = functional.log_softmax(teacher.detach() / self.temperature, dim=self.axis)
        divergence = functional.kl_div(student, wanted, reduction="sum", log_target=True)
        n_answers = outputs.numel() // outputs.shape[self.axis]
        return divergence * (self.temperature**2 / n_answers / self.chance_nats)


@dataclass(frozen=True)
class ValueLoss(TaskLoss):
    """L1 or smooth L1 in standard deviations of each output, over its mean at chance.

    Attributes:
        std: Of each output on the train split, (k,).
        chance: Loss of the best constant prediction, in standard deviations.
        beta: Where the parabola ends, in standard deviations; 0 is L1.
    """

    std: tuple[float, ...]
    chance: float
    beta: float

    def against_targets(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if outputs.shape != targets.shape:
            raise ValueError(
                f"outputs {tuple(outputs.shape)} must have the shape {tuple(targets.shape)} of the "
                "targets: resize a decoder's outputs to the labels"
            )
        known = ~targets.isnan()
        # Where there is no label, an output is right.
        wanted = torch.where(known, targets, outputs.detach())
        return self._error(outputs, wanted) / known.sum().clamp(min=1)

    def against_teacher(self, outputs: Tensor, teacher: Tensor) -> Tensor:
        # A teacher that answers NaN is no missing label: the loss is NaN too, and told.
        return self._error(outputs, teacher.detach()) / max(outputs.numel(), 1)

    def _error(self, outputs: Tensor, wanted: Tensor) -> Tensor:
        """Return the sum of the errors, over their mean at chance."""
        std = _constant(self.std, outputs.device, outputs.dtype)
        std = std.view(1, -1, *(1,) * (outputs.ndim - 2))
        error = functional.smooth_l1_loss(
            outputs / std, wanted / std, beta=self.beta, reduction="sum"
        )
        return error / self.chance


@dataclass(frozen=True)
class AnswersLoss(TeacherLoss):
    """Smooth L1 to a teacher's answers, in standard deviations of those, over its mean at chance.

    Attributes:
        by_output: Axis of the channels, and the loss of values of channels along axis 1, by output.
    """

    by_output: Mapping[str, tuple[int, ValueLoss]]

    def against_teacher(self, outputs: Any, teacher: Any) -> Tensor:
        """Return the mean over outputs, so that a small map says as much as a large one."""
        if isinstance(outputs, Tensor):
            (name,) = self.by_output
            outputs, teacher = {name: outputs}, {name: teacher}
        terms = [
            loss.against_teacher(outputs[name].movedim(axis, 1), teacher[name].movedim(axis, 1))
            for name, (axis, loss) in self.by_output.items()
        ]
        return torch.stack(terms).mean()


@dataclass(frozen=True)
class OwnLoss(TaskLoss):
    """A loss of the user's own, over what it is for a constant prediction.

    Attributes:
        function: `path/to/file.py:name`: see `niwaki.tasks.own.LossSettings`.
        chance: Its value for a constant prediction.
        inner: What says how far outputs are from a teacher's.
    """

    function: str
    chance: float
    inner: TeacherLoss

    def against_targets(self, outputs: Any, targets: Tensor) -> Tensor:
        return own_loss(self.function, outputs, targets) / self.chance

    def against_teacher(self, outputs: Any, teacher: Any) -> Tensor:
        return self.inner.against_teacher(outputs, teacher)


def own_loss(function: str, outputs: Any, targets: Tensor) -> Tensor:
    """Return what a function of the user's says of an answer and its targets, a scalar.

    Raises:
        ConfigError: If that is no scalar tensor, or one that nothing can be learnt from.
    """
    # Copies: who computes in place, such as corners from boxes, changes what others look at.
    with raised_by(f"loss '{function}'"):
        found = own_function(function)(of_each_output(outputs, Tensor.clone), targets.clone())
    if not isinstance(found, Tensor) or found.numel() != 1:
        shape = f" of shape {tuple(found.shape)}" if isinstance(found, Tensor) else ""
        raise ConfigError(
            f"loss '{function}' returned {kind_of(found)}{shape}: return a scalar tensor, such as "
            "the mean over items"
        )
    learns = torch.is_grad_enabled() and any(o.requires_grad for o in each_output(outputs))
    if learns and not found.requires_grad:
        raise ConfigError(
            f"loss '{function}' has no gradient, so nothing can be learnt from it: compute it from "
            "the outputs by operations of torch, without argmax, comparison or detach"
        )
    return found.reshape(())


def task_losses(data: TaskData) -> dict[str, TaskLoss]:
    """Return the loss of each task, scaled by the train targets of `data`.

    Raises:
        DataError: If a task has the same target throughout the train split.
    """
    return {task.name: _loss_of(task, data) for task in data.tasks}


def total_loss(
    losses: Mapping[str, TaskLoss], outputs: Mapping[str, Any], targets: Mapping[str, Tensor]
) -> Tensor:
    """Return the weighted sum of the losses over tasks, a scalar.

    Args:
        losses: By task.
        outputs: What is answered to each task: see `Task.answer`.
        targets: By task.
    """
    return weighted_sum(losses, each_loss(losses, outputs, targets))


def each_loss(
    losses: Mapping[str, TaskLoss], outputs: Mapping[str, Any], targets: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return the loss of each task, a scalar, without its weight."""
    return {
        name: loss.against_targets(outputs[name], targets[name]) for name, loss in losses.items()
    }


def weighted_sum(losses: Mapping[str, TaskLoss], values: Mapping[str, Tensor]) -> Tensor:
    """Return the sum of the tasks' values, each times the task's weight, a scalar."""
    return torch.stack([loss.weight * values[name] for name, loss in losses.items()]).sum()


def total_distillation(
    losses: Mapping[str, TaskLoss], outputs: Mapping[str, Any], teacher: Mapping[str, Any]
) -> Tensor:
    """Return the weighted sum of the distillation losses over tasks, a scalar.

    References:
        Yu and Huang, ICCV 2019, "Universally slimmable networks", section 3.3 (in-place
        distillation); there for classes only.
    """
    terms = [
        loss.weight * loss.against_teacher(outputs[name], teacher[name])
        for name, loss in losses.items()
    ]
    return torch.stack(terms).sum()


@lru_cache(maxsize=64)
def _constant(values: tuple[float, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return a tensor that is sent to its device once: a GPU would have to wait for each."""
    with torch.inference_mode(False):  # which may be on when the first asks, and off for the next
        return torch.tensor(values, device=device, dtype=dtype)


def _loss_of(task: Task, data: TaskData) -> TaskLoss:
    if isinstance(task.loss, str):
        return _shipped_loss_of(task, data)
    custom = task.kind is TaskKind.CUSTOM
    inner = _answers_loss_of(task, data.answers) if custom else _shipped_loss_of(task, data)
    chance = task.loss.chance
    if chance is None:
        chance = _chance_by(task.loss.function, data.constant_predictions(task))
    return OwnLoss(task.weight, task.loss.function, chance, inner)


def _chance_by(function: str, constant: Iterator[Prediction]) -> float:
    """Return the loss of constant outputs.

    Raises:
        ConfigError: If it is no measure of anything.
    """
    outputs, targets = next(constant)
    answer, truth = of_each_output(outputs, torch.from_numpy), torch.from_numpy(np.array(targets))
    with torch.no_grad(), asked_of_constants():
        loss = own_loss(function, answer, truth)
    chance = float(loss)
    if not 0.0 < chance < math.inf:
        raise ConfigError(
            f"loss '{function}' is {chance:g} for a constant prediction, so that other tasks' "
            "losses cannot be weighed against it: give `chance`, its value for who knows nothing"
        )
    return chance


def _shipped_loss_of(task: Task, data: TaskData) -> TaskLoss:
    statistics = data.statistics[task.name]
    if isinstance(statistics, ClassStatistics):
        return ClassLoss(
            weight=task.weight,
            chance_nats=statistics.entropy,
            ignore_index=task.ignore_index,
            axis=task.kind.class_axis,
        )
    is_smooth = task.loss != "l1"  # also where a loss of one's own leaves teachers to this one
    return _value_loss(statistics, task.weight, is_smooth=is_smooth)


def _answers_loss_of(task: Task, answers: Mapping[str, Answers]) -> AnswersLoss:
    """Return the distance from a teacher's answers to a custom task."""
    by_output = {
        name: (answers[name].axis, _value_loss(answers[name].statistics, 1.0, is_smooth=True))
        for name in task.outputs
        if answers[name].teaches
    }
    return AnswersLoss(by_output)


def _value_loss(statistics: ValueStatistics, weight: float, *, is_smooth: bool) -> ValueLoss:
    scale = statistics.scale
    # Of the median, which is close to the best constant for smooth L1 too.
    chance = statistics.smooth_deviation if is_smooth else statistics.deviation / scale
    return ValueLoss(
        weight=weight,
        std=tuple(map(float, scale)),
        chance=statistics.over_targets(chance),
        beta=SMOOTH_L1_BETA if is_smooth else 0.0,
    )
