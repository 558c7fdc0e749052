"""Metrics and losses of one's own: functions in a file, named where niwaki's are named."""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from niwaki.core.blame import noted_below, raised_by
from niwaki.core.calls import misfit
from niwaki.core.errors import ConfigError
from niwaki.core.objectives import Direction
from niwaki.core.registry import import_object, named_by
from niwaki.core.wording import kind_of
from niwaki.tasks.metrics import Accumulator, Metric, Prediction
from niwaki.tasks.statistics import ROUNDING, Statistics

MOST_ITEMS, MOST_NUMBERS = 2**13, 2**22
"""Of train, and of constant outputs for them, that chance is computed from."""


@dataclass(frozen=True)
class MetricSettings:
    """A metric of one's own.

    Attributes:
        function: `path/to/file.py:name` or `package.module:name`. It is called with the outputs and
            the targets of a whole split, numpy arrays with the items first, and returns a number;
            where a task reads several outputs, with a mapping of them by name. Or a class, called
            without arguments: `update(outputs, targets)` of what it makes gets each batch, and
            `compute()` returns the number.
        name: Last part of the value's name; that of the function if empty.
        direction: Which way is better.
        perfect: Value of a perfect prediction; null is 1 where more is better, and 0 where less is.
        chance: Value of a prediction that knows nothing; null computes it, for the constant outputs
            that are best by the task's loss, on items of the train split.
        unit: Unit of the value; empty for a ratio.
    """

    function: str
    name: str = ""
    direction: Literal["maximize", "minimize"] = "maximize"
    perfect: float | None = None
    chance: float | None = None
    unit: str = ""


@dataclass(frozen=True)
class LossSettings:
    """A loss of one's own.

    Attributes:
        function: `path/to/file.py:name` or `package.module:name`. It is called with the outputs and
            the targets of a batch, torch tensors with the items first, and returns a scalar tensor:
            the mean over items, differentiable in the outputs; where a task reads several outputs,
            with a mapping of them by name.
        chance: Value of a prediction that knows nothing, by which the loss is divided, so that
            tasks weigh alike; null computes it, for the constant outputs that it finds best.
    """

    function: str
    chance: float | None = None

    def __str__(self) -> str:
        return self.function


@dataclass(frozen=True)
class Scoring:
    """How an output is scored and trained whose task is told by its shapes; or several as one task.

    Attributes:
        metrics: As of a task that is declared; the first one's skill stands for the task.
        loss: The same.
        outputs: Names of the model's outputs that one task reads together, with targets of any
            shape, and a metric and a loss of one's own; empty for the output of the task's name.
        kind: What the output is, such as `regression` for values or `classification` for scores of
            one choice; empty to tell it by shapes, and where there are no targets by the answers.

    Raises:
        ConfigError: If several outputs are said to be of one kind.
    """

    metrics: tuple[str | MetricSettings, ...] = ()
    loss: str | LossSettings = ""
    outputs: tuple[str, ...] = ()
    kind: str = ""

    def __post_init__(self) -> None:
        if self.outputs and self.kind:
            raise ConfigError(
                f"a task that reads {', '.join(self.outputs)} is said to be '{self.kind}', but its "
                "metric and loss say what they are: leave the kind out"
            )


@dataclass(frozen=True, kw_only=True)
class OwnMetric(Metric[Any]):
    """A metric that a function computes from all outputs and targets of a split at once.

    Attributes:
        function: As in `MetricSettings`.
        given_chance: As `chance` there.
    """

    function: str
    given_chance: float | None = None

    def accumulator(self) -> Accumulator:
        found = _function_or_class(self.function)
        return _Streamed(self, found) if inspect.isclass(found) else _Collected(self)

    def chance(self, statistics: Statistics, constant: Iterable[Prediction] = ()) -> float:  # noqa: ARG002
        """Return what was given, or the value of the best constant prediction.

        Raises:
            ConfigError: If it is as good as a prediction can be, or cannot be computed.
        """
        chance = self.given_chance
        if chance is None:
            collected = self.accumulator()
            for outputs, targets in constant:
                with asked_of_constants():
                    collected.update(outputs, targets)
            with asked_of_constants():
                chance = collected.value()
        if not math.isfinite(chance) or chance == self.perfect:
            said = "is perfect by it" if chance == self.perfect else f"has {chance}"
            raise ConfigError(
                f"metric '{self.function}': a constant prediction {said}, so that nothing can be "
                "compared with it. Give `perfect`, or `chance`, the value of who knows nothing"
            )
        return chance

    def checked(self, value: object) -> float:
        """Return what the function has found, as a number.

        Raises:
            ConfigError: If it is none, or better than perfect.
        """
        try:
            number = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"metric '{self.function}' returned {kind_of(value)}: return one number"
            ) from error
        sign = 1.0 if self.direction is Direction.MAXIMIZE else -1.0
        if sign * (number - self.perfect) > ROUNDING * max(1.0, abs(self.perfect)):
            raise ConfigError(
                f"metric '{self.function}' gave {number:.6g}, which is better than the "
                f"{self.perfect:g} of a perfect prediction: give `perfect`, and `direction` if "
                "less is better"
            )
        return number


class _Collected(Accumulator):
    def __init__(self, metric: OwnMetric) -> None:
        self._metric = metric
        self._outputs: list[Any] = []
        self._targets: list[NDArray[Any]] = []
        self._finite = True

    def update(self, outputs: Any, targets: NDArray[Any]) -> None:
        # A loader may fill the arrays that it gives anew.
        self._outputs.append(of_each_output(outputs, np.array))
        self._targets.append(np.array(targets))
        self._finite = self._finite and _are_finite(outputs)

    def value(self) -> float:
        if not (self._outputs and self._finite):
            return math.nan
        function = own_function(self._metric.function)
        batches, first = self._outputs, self._outputs[0]
        if isinstance(first, Mapping):
            outputs: Any = {n: np.concatenate([batch[n] for batch in batches]) for n in first}
        else:
            outputs = np.concatenate(batches)
        with raised_by(f"metric '{self._metric.function}'"):
            found = function(outputs, np.concatenate(self._targets))
        return self._metric.checked(found)


class _Streamed(Accumulator):
    """A metric that a class of the user's keeps the state of, so that no split is held in memory.

    Args:
        metric: As declared.
        kind: Makes objects with `update` and `compute`.
    """

    def __init__(self, metric: OwnMetric, kind: Callable[[], Any]) -> None:
        self._metric, self._who = metric, f"metric '{metric.function}'"
        with raised_by(self._who):
            self._inner = kind()
        self._finite, self._any = True, False

    def update(self, outputs: Any, targets: NDArray[Any]) -> None:
        self._finite = self._finite and _are_finite(outputs)
        self._any = True
        if self._finite:
            # Copies: who computes in place changes what others look at.
            with raised_by(self._who):
                self._inner.update(of_each_output(outputs, np.array), np.array(targets))

    def value(self) -> float:
        if not (self._any and self._finite):
            return math.nan
        with raised_by(self._who):
            found = self._inner.compute()
        return self._metric.checked(found)


def asked_of_constants() -> AbstractContextManager[None]:
    """Let errors of the user's functions say that it was constant outputs that they were asked of.

    The outputs are such as the model gives, so that they are mostly worth mending for these, too.
    """
    return noted_below(
        "It was asked for outputs that are the same for all items, to learn what who knows "
        "nothing would get. Give that value as `chance`, of the loss and of the metrics, and "
        "they are not asked: in a configuration, {function: ..., chance: ...}; in Python, "
        "MetricSettings and LossSettings of niwaki.tasks.own"
    )


def each_output(answer: Any) -> list[Any]:
    """Return the outputs in an answer: see `Task.answer`."""
    return list(answer.values()) if isinstance(answer, Mapping) else [answer]


def of_each_output(answer: Any, function: Callable[[Any], Any]) -> Any:
    """Return an answer with what a function makes of each of its outputs."""
    if isinstance(answer, Mapping):
        return {name: function(values) for name, values in answer.items()}
    return function(answer)


def _are_finite(answer: Any) -> bool:
    return all(np.isfinite(values.sum(dtype=np.float64)) for values in each_output(answer))


def sampled(
    targets: Iterable[NDArray[Any]], n_outputs: int, *, most_items: int = MOST_ITEMS
) -> NDArray[Any]:
    """Return the targets of items spread evenly over a split; of all, where they are few.

    Args:
        targets: (n, ...) of each batch.
        n_outputs: Numbers that a network gives for each item, pixel or place.
        most_items: Of them.
    """
    kept: list[NDArray[Any]] = []
    every = number = 0
    for batch in targets:
        if not every:
            n_numbers = max(n_outputs * batch[0].size, 1)  # a batch may have no place for a target
            every, most = 1, max(1, min(most_items, MOST_NUMBERS // n_numbers))
        chosen = (number + np.arange(len(batch))) % every == 0
        kept.append(np.array(batch[chosen]))
        number += len(batch)
        while sum(map(len, kept)) > most:
            kept, every = [np.concatenate(kept)[::2]], 2 * every
    return np.concatenate(kept)


def constant_shape(targets: NDArray[Any], axis: int | None) -> tuple[int, ...]:
    """Return the shape with which (k,) outputs are spread over (n, ...) targets.

    Args:
        targets: Labels, or values.
        axis: Of the outputs, along which classes lie; None for values.
    """
    if axis == -1:
        return (1,) * targets.ndim + (-1,)
    n_behind = targets.ndim - (2 if axis is None else 1)
    return (1, -1) + (1,) * n_behind


def spread(constant: NDArray[np.float32], targets: NDArray[Any], axis: int | None) -> Prediction:
    """Return (k,) outputs for every one of the targets, with these; as `constant_shape` says."""
    shaped = constant.reshape(constant_shape(targets, axis))
    if axis is None:
        return np.ascontiguousarray(np.broadcast_to(shaped, targets.shape)), targets
    labels = np.expand_dims(targets, axis)
    whole = np.broadcast_shapes(shaped.shape, labels.shape)
    return np.ascontiguousarray(np.broadcast_to(shaped, whole)), targets


@lru_cache(maxsize=64)
def own_function(path: str) -> Callable[[Any, Any], Any]:
    """Return a function of outputs and targets.

    Raises:
        ConfigError: If it is not found, or cannot be called with two arguments.
    """
    found = import_object(path)
    if not callable(found) or inspect.isclass(found):
        raise ConfigError(f"'{path}' is {kind_of(found)}: give a function of outputs and targets")
    if fault := misfit(found, ("outputs", "targets")):
        raise ConfigError(f"'{path}' {fault}. Let it take two: outputs and targets")
    function: Callable[[Any, Any], Any] = found
    return function


def _function_or_class(path: str) -> Callable[..., Any]:
    """Return what a metric of the user's is.

    Raises:
        ConfigError: If it is not found, or neither a function of two arguments, nor a class that is
            made without any and whose objects have `update`, of two arguments, and `compute`.
    """
    found = import_object(path)
    if not inspect.isclass(found):
        return own_function(path)
    methods = [getattr(found, name, None) for name in ("update", "compute")]
    takes_two = callable(methods[0]) and not misfit(methods[0], ("self", "outputs", "targets"))
    if not (takes_two and callable(methods[1])) or misfit(found):
        raise ConfigError(
            f"'{path}' is a class: give one that is made without arguments, and whose objects have "
            "`update(outputs, targets)` and `compute()`, or a function of outputs and targets"
        )
    kind: Callable[..., Any] = found
    return kind


def own_metric(settings: MetricSettings, where: str) -> OwnMetric:
    """Return the metric that settings declare.

    Args:
        settings: As a user gives them.
        where: Dotted path for messages.

    Raises:
        ConfigError: If the function cannot be had, or a number is not finite.
    """
    with named_by(where):
        _function_or_class(settings.function)
    name = settings.name or settings.function.rpartition(":")[2].rpartition(".")[2]
    if not name.isidentifier():
        raise ConfigError(
            f"{where}: the metric's name '{name}' must be letters, digits and underscores"
        )
    maximized = settings.direction == "maximize"
    perfect = settings.perfect
    if perfect is None:
        perfect = 1.0 if maximized else 0.0
    if not math.isfinite(perfect):
        raise ConfigError(
            f"{where}: `perfect` of '{name}' is {perfect}: give the value that counts as perfect"
        )
    return OwnMetric(
        name=name,
        direction=Direction.MAXIMIZE if maximized else Direction.MINIMIZE,
        perfect=perfect,
        worst=-math.inf if maximized else math.inf,
        unit=settings.unit,
        function=settings.function,
        given_chance=settings.chance,
    )
