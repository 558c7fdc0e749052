"""Metrics and losses of one's own: functions in a file, named where niwaki's are named."""

import inspect
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from niwaki.core.blame import raised_by
from niwaki.core.calls import misfit
from niwaki.core.errors import ConfigError
from niwaki.core.objectives import Direction
from niwaki.core.registry import import_object
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
            the targets of a whole split, numpy arrays with the items first, and returns a number.
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
            the mean over items, differentiable in the outputs.
        chance: Value of a prediction that knows nothing, by which the loss is divided, so that
            tasks weigh alike; null computes it, for the constant outputs that it finds best.
    """

    function: str
    chance: float | None = None

    def __str__(self) -> str:
        return self.function


@dataclass(frozen=True)
class Scoring:
    """How an output is scored and trained whose task is told by its shapes.

    Attributes:
        metrics: As of a task that is declared; the first one's skill stands for the task.
        loss: The same.
    """

    metrics: tuple[str | MetricSettings, ...] = ()
    loss: str | LossSettings = ""


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
        return _Collected(self)

    def chance(self, statistics: Statistics, constant: Iterable[Prediction] = ()) -> float:  # noqa: ARG002
        """Return what was given, or the value of the best constant prediction.

        Raises:
            ConfigError: If it is as good as a prediction can be, or cannot be computed.
        """
        chance = self.given_chance
        if chance is None:
            collected = self.accumulator()
            for outputs, targets in constant:
                collected.update(outputs, targets)
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
        self._outputs: list[NDArray[Any]] = []
        self._targets: list[NDArray[Any]] = []
        self._finite = True

    def update(self, outputs: NDArray[Any], targets: NDArray[Any]) -> None:
        self._finite = self._finite and bool(np.isfinite(outputs.sum(dtype=np.float64)))
        # A loader may fill the arrays that it gives anew.
        self._outputs.append(np.array(outputs))
        self._targets.append(np.array(targets))

    def value(self) -> float:
        if not (self._outputs and self._finite):
            return math.nan
        function = own_function(self._metric.function)
        with raised_by(f"metric '{self._metric.function}'"):
            found = function(np.concatenate(self._outputs), np.concatenate(self._targets))
        return self._metric.checked(found)


def sampled(targets: Iterable[NDArray[Any]], n_outputs: int) -> NDArray[Any]:
    """Return the targets of items spread evenly over a split; of all, where they are few.

    Args:
        targets: (n, ...) of each batch.
        n_outputs: Numbers that a network gives for each item, pixel or place.
    """
    kept: list[NDArray[Any]] = []
    every = number = 0
    for batch in targets:
        if not every:
            every, most = 1, max(1, min(MOST_ITEMS, MOST_NUMBERS // (n_outputs * batch[0].size)))
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


def own_metric(settings: MetricSettings, where: str) -> OwnMetric:
    """Return the metric that settings declare.

    Args:
        settings: As a user gives them.
        where: Dotted path for messages.

    Raises:
        ConfigError: If the function cannot be had, or a number is not finite.
    """
    own_function(settings.function)
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
