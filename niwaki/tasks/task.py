"""Tasks: what a network is asked to say about an input, and how the answer is scored."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeAlias

from niwaki.core.errors import ConfigError
from niwaki.core.jsonable import JSON
from niwaki.core.objectives import Objective
from niwaki.core.registry import named_by, nearest
from niwaki.tasks.metrics import MAE, RMSE, Accuracy, MeanIoU, Metric
from niwaki.tasks.own import LossSettings, MetricSettings, own_function, own_metric

AnyMetric: TypeAlias = Metric[Any]

IGNORE_INDEX = 255
"""Label of the pixels of a mask that neither losses nor metrics look at."""

IGNORED_TOKEN = -100
"""Label of the places of a sequence that neither losses nor metrics look at, as in torch."""


class TaskKind(StrEnum):
    """What the outputs and targets of a task are.

    | kind           | outputs                 | targets                            |
    |----------------|-------------------------|------------------------------------|
    | classification | (n, n_outputs) logits   | (n,) int64                         |
    | segmentation   | (n, n_outputs, h, w)    | (n, h, w) int64, 255 is ignored    |
    | tagging        | (n, length, n_outputs)  | (n, length) int64, -100 is ignored |
    | depth          | (n, n_outputs, h, w)    | (n, n_outputs, h, w) float32       |
    | regression     | (n, n_outputs)          | (n, n_outputs) float32             |
    | custom         | any, of several names   | (n, ...) int64 or float32          |

    h and w are those of the labels: a decoder that works on a coarser grid resizes its outputs.
    Instead of h and w there may be any dimensions. What the outputs and targets of a custom task
    have to do with each other, a metric and a loss of the user's say alone.
    """

    CLASSIFICATION = "classification"
    SEGMENTATION = "segmentation"
    TAGGING = "tagging"  # a label for each place of a sequence
    DEPTH = "depth"  # any dense regression
    REGRESSION = "regression"
    CUSTOM = "custom"

    @property
    def has_classes(self) -> bool:
        """Whether targets are labels."""
        return self in (TaskKind.CLASSIFICATION, TaskKind.SEGMENTATION, TaskKind.TAGGING)

    @property
    def has_values(self) -> bool:
        """Whether targets are real numbers of the outputs' shape, NaN where there is none."""
        return self in (TaskKind.DEPTH, TaskKind.REGRESSION)

    @property
    def class_axis(self) -> int:
        """Axis of the outputs along which the classes lie."""
        return -1 if self is TaskKind.TAGGING else 1

    @property
    def spelled(self) -> str:
        """What it is called where its shapes alone have told it."""
        return "dense regression" if self is TaskKind.DEPTH else str(self)

    @property
    def dense(self) -> bool:
        """Whether there is an answer for each pixel."""
        return self in (TaskKind.SEGMENTATION, TaskKind.DEPTH)


METRICS: Mapping[TaskKind, tuple[AnyMetric, ...]] = {
    TaskKind.CLASSIFICATION: (Accuracy(),),
    TaskKind.SEGMENTATION: (
        MeanIoU(ignore_index=IGNORE_INDEX),
        Accuracy(ignore_index=IGNORE_INDEX),
    ),
    TaskKind.TAGGING: (Accuracy(ignore_index=IGNORED_TOKEN, axis=TaskKind.TAGGING.class_axis),),
    TaskKind.DEPTH: (RMSE(), MAE()),
    TaskKind.REGRESSION: (RMSE(), MAE()),
    TaskKind.CUSTOM: (),
}
"""Metrics by kind; the first is the default."""

LOSSES: Mapping[TaskKind, tuple[str, ...]] = {
    TaskKind.CLASSIFICATION: ("cross_entropy",),
    TaskKind.SEGMENTATION: ("cross_entropy",),
    TaskKind.TAGGING: ("cross_entropy",),
    TaskKind.DEPTH: ("smooth_l1", "l1"),
    TaskKind.REGRESSION: ("smooth_l1", "l1"),
    TaskKind.CUSTOM: (),
}
"""Losses by kind, implemented in `niwaki.tasks.losses`; the first is the default."""


_EXAMPLES = {"loss": "my_own.py:detection_loss", "metrics": "[my_own.py:map50]"}
_IGNORED = {TaskKind.SEGMENTATION: IGNORE_INDEX, TaskKind.TAGGING: IGNORED_TOKEN}


@dataclass(frozen=True)
class Task:
    """One question asked of every input.

    Attributes:
        name: First part of its values' names, such as `digit` in `digit_accuracy`.
        kind: Fixes the shapes of outputs and targets.
        n_outputs: Number of classes, or of real values per item or pixel; 0 of a custom task.
        loss: Name of a loss in `niwaki.tasks.losses`, or one of the user's own.
        metrics: At least one; the first one's skill stands for the task.
        classes: Names of the classes, as many as outputs; empty if the targets are real.
        weight: Factor of its loss in the sum over tasks, at least 0.
        outputs: Names of the model's outputs that it reads; its own name if empty.
    """

    name: str
    kind: TaskKind
    n_outputs: int
    loss: str | LossSettings
    metrics: tuple[AnyMetric, ...]
    classes: tuple[str, ...] = ()
    weight: float = 1.0
    outputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "outputs", self.outputs or (self.name,))

    def answer(self, outputs: Mapping[str, Any]) -> Any:
        """Return those of a model's outputs that it reads: the only one itself, several by name."""
        if len(self.outputs) == 1:
            return outputs[self.outputs[0]]
        return {name: outputs[name] for name in self.outputs}

    @property
    def ignore_index(self) -> int | None:
        """Label that does not count; None if all do, or if targets are real."""
        return _IGNORED.get(self.kind)

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """Its values as objectives, one for each metric: `<task>_<metric>`."""
        return tuple(
            Objective(
                self.value_name(metric),
                metric.direction,
                metric.unit,
                least=min(metric.perfect, metric.worst),
                most=max(metric.perfect, metric.worst),
            )
            for metric in self.metrics
        )

    def value_name(self, metric: AnyMetric) -> str:
        """Return `<task>_<metric>`."""
        return f"{self.name}_{metric.name}"

    def to_json(self) -> dict[str, JSON]:
        """Return what a model card says of this task."""
        return {
            "name": self.name,
            "kind": str(self.kind),
            "n_outputs": self.n_outputs,
            "classes": list(self.classes),
            "loss": str(self.loss),
            "weight": self.weight,
            "metrics": [metric.name for metric in self.metrics],
            "unit": self.metrics[0].unit,
            **({"outputs": list(self.outputs)} if self.kind is TaskKind.CUSTOM else {}),
        }


@dataclass(frozen=True)
class TaskSettings:
    """A task as a user declares it.

    Attributes:
        kind: classification, segmentation, tagging, depth (any dense regression), regression, or
            custom: outputs and targets of any shapes, with a metric and a loss of one's own.
        classes: Names of the classes, or their number; only for classes.
        n_outputs: Real values per item or pixel; only for real targets.
        metrics: Names, or functions of one's own: `path/to/file.py:name`, or settings with
            `function`. Empty for the kind's default. The first one's skill stands for the task.
        loss: Name, or a function of one's own; empty for the kind's default.
        weight: Factor of the loss in the sum over tasks, at least 0.
        unit: Unit of real targets, such as `m`.
        outputs: Names of the model's outputs that a custom task reads; its own name if empty.
    """

    kind: str
    classes: int | tuple[str, ...] = ()
    n_outputs: int = 1
    metrics: tuple[str | MetricSettings, ...] = ()
    loss: str | LossSettings = ""
    weight: float = 1.0
    unit: str = ""
    outputs: tuple[str, ...] = ()


def declared(name: str, settings: TaskSettings) -> Task:
    """Return the task that `settings` declare.

    Raises:
        ConfigError: If a name is unknown, or a number is out of its range.
    """
    if not name.isidentifier():
        raise ConfigError(
            f"task name '{name}' must be letters, digits and underscores, like 'depth', and begin "
            "with no digit"
        )
    kind = TaskKind(_one_of(settings.kind, [str(kind) for kind in TaskKind], f"tasks.{name}.kind"))
    if not settings.weight >= 0.0:
        raise ConfigError(f"tasks.{name}.weight is {settings.weight}: it must be at least 0")
    if kind is TaskKind.CUSTOM:
        return _custom(name, settings)
    classes = _classes(name, settings, kind)
    if settings.outputs:
        raise ConfigError(
            f"tasks.{name}.outputs: a {kind} task reads the output of its own name; leave it out, "
            f"or let its kind be {TaskKind.CUSTOM}"
        )
    n_outputs = settings.n_outputs
    if kind.has_classes:
        if n_outputs not in (1, len(classes)):  # 1 stands for unsaid
            raise ConfigError(
                f"tasks.{name}.n_outputs is {n_outputs}, but its outputs are its {len(classes)} "
                "classes: leave it out"
            )
        n_outputs = len(classes)
    if n_outputs < 1:
        raise ConfigError(f"tasks.{name}.n_outputs is {n_outputs}: it must be at least 1")
    return Task(
        name=name,
        kind=kind,
        n_outputs=n_outputs,
        loss=_loss(name, settings, kind),
        metrics=_metrics(name, settings, kind),
        classes=classes,
        weight=settings.weight,
    )


def _custom(name: str, settings: TaskSettings) -> Task:
    where, kind = f"tasks.{name}", TaskKind.CUSTOM
    for what, given in (("loss", settings.loss), ("metrics", settings.metrics)):
        if not given:
            raise ConfigError(
                f"{where}.{what} is missing: a {kind} task is learnt and scored by functions of "
                f"your own alone, such as `{what}: {_EXAMPLES[what]}`"
            )
    if settings.classes or settings.n_outputs != 1:
        raise ConfigError(
            f"{where} is a {kind} task, of which only your functions know what its outputs are: "
            "leave out 'classes' and 'n_outputs'"
        )
    if len(set(settings.outputs)) < len(settings.outputs):
        raise ConfigError(f"{where}.outputs names an output twice: {', '.join(settings.outputs)}")
    return Task(
        name=name,
        kind=kind,
        n_outputs=0,
        loss=_loss(name, settings, kind),
        metrics=_metrics(name, settings, kind),
        weight=settings.weight,
        outputs=settings.outputs,
    )


def _classes(name: str, settings: TaskSettings, kind: TaskKind) -> tuple[str, ...]:
    given = settings.classes
    classes = tuple(map(str, range(given))) if isinstance(given, int) else tuple(given)
    if not kind.has_classes:
        if classes:
            raise ConfigError(f"tasks.{name} is a {kind} task: give 'n_outputs' and no 'classes'")
        return ()
    if len(classes) < 2 or len(set(classes)) < len(classes):
        raise ConfigError(
            f"tasks.{name}.classes is {given!r}: give the number of classes, at least 2, "
            "or their names, each once"
        )
    if kind is TaskKind.SEGMENTATION and len(classes) > IGNORE_INDEX:
        raise ConfigError(
            f"tasks.{name} has {len(classes)} classes: masks hold at most {IGNORE_INDEX}, since "
            f"label {IGNORE_INDEX} marks pixels to ignore"
        )
    return classes


def _loss(name: str, settings: TaskSettings, kind: TaskKind) -> str | LossSettings:
    given, where = settings.loss or LOSSES[kind][0], f"tasks.{name}.loss"
    if isinstance(given, str) and ":" not in given:
        _require_own(given, kind, where)
        return _one_of(given, list(LOSSES[kind]), where)
    loss = LossSettings(given) if isinstance(given, str) else given
    with named_by(where):
        own_function(loss.function)
    if loss.chance is not None and not 0.0 < loss.chance < math.inf:
        raise ConfigError(f"{where}.chance is {loss.chance}: give a finite number above 0")
    return loss


def _metrics(name: str, settings: TaskSettings, kind: TaskKind) -> tuple[AnyMetric, ...]:
    wanted = settings.metrics or (METRICS[kind][0].name,)
    chosen = [_metric(given, settings, kind, f"tasks.{name}.metrics") for given in wanted]
    names = [metric.name for metric in chosen]
    if len(set(names)) < len(names):
        raise ConfigError(f"tasks.{name}.metrics names a metric twice: {', '.join(names)}")
    return tuple(chosen)


def _metric(
    given: str | MetricSettings, settings: TaskSettings, kind: TaskKind, where: str
) -> AnyMetric:
    if isinstance(given, str) and ":" in given:
        given = MetricSettings(given)
    if isinstance(given, MetricSettings):
        return own_metric(given, where)
    _require_own(given, kind, where)
    known = {metric.name: metric for metric in METRICS[kind]}
    metric = known[_one_of(given, list(known), where)]
    return replace(metric, unit="" if kind.has_classes else settings.unit)


def _require_own(given: str, kind: TaskKind, where: str) -> None:
    if kind is TaskKind.CUSTOM:
        raise ConfigError(
            f"{where} is '{given}', but a {kind} task has functions of your own: give "
            "path/to/file.py:name, or package.module:name"
        )


def _one_of(given: str, known: list[str], where: str) -> str:
    if given not in known:
        raise ConfigError(
            f"{where} is '{given}'{nearest(given, known)} Choose one of {', '.join(known)}"
        )
    return given
