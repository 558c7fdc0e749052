"""Metrics that stream: numpy arrays in, from torch or from a runtime alike, one number out."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from niwaki.core.objectives import Direction
from niwaki.tasks.statistics import ClassStatistics, ValueStatistics

# Outputs of some items, as of `Accumulator.update`, and their targets.
Prediction: TypeAlias = tuple[Any, NDArray[Any]]
S = TypeVar("S", ClassStatistics, ValueStatistics)


class Accumulator(ABC):
    """A metric in the making."""

    @abstractmethod
    def update(self, outputs: Any, targets: NDArray[Any]) -> None:
        """Take in a batch.

        Args:
            outputs: What the network gave, (n, k) or (n, k, h, w); of a custom task that reads
                several outputs, a mapping of them by name.
            targets: (n,) or (n, h, w) labels for classes, else of the shape of `outputs`, NaN
                where there is none; of a custom task, (n, ...).
        """

    @abstractmethod
    def value(self) -> float:
        """Return the metric of all batches; NaN if there was none, or an output was not finite."""


@dataclass(frozen=True, kw_only=True)
class Metric(ABC, Generic[S]):
    """One way to score a task.

    Attributes:
        name: Last part of the value's name, such as `accuracy` in `digit_accuracy`.
        direction: Which way is better.
        perfect: Value of a perfect prediction.
        worst: Value that no prediction is beyond; infinite if there is none.
        unit: Unit of the value; empty for a ratio.
    """

    name: str
    direction: Direction
    perfect: float
    worst: float
    unit: str = ""

    @abstractmethod
    def accumulator(self) -> Accumulator:
        """Start from nothing."""

    @abstractmethod
    def chance(self, statistics: S, constant: Iterable[Prediction] = ()) -> float:
        """Return the value that the best constant prediction has on the train targets.

        Args:
            statistics: Of the train targets.
            constant: The best constant outputs with their targets, batch by batch, for metrics
                whose value statistics do not tell.
        """

    def skill(self, value: float, chance: float) -> float:
        """Return where `value` lies from chance (0) to perfect (1); negative is below chance."""
        return (value - chance) / (self.perfect - chance)


@dataclass(frozen=True, kw_only=True)
class Accuracy(Metric[ClassStatistics]):
    """Share of labels that the largest output names.

    Attributes:
        ignore_index: Label that does not count; None if all do.
        axis: Of the outputs, along which the classes lie.
    """

    name: str = "accuracy"
    direction: Direction = Direction.MAXIMIZE
    perfect: float = 1.0
    worst: float = 0.0
    ignore_index: int | None = None
    axis: int = 1

    def accumulator(self) -> Accumulator:
        return _Accuracy(self.ignore_index, self.axis)

    def chance(self, statistics: ClassStatistics, constant: Iterable[Prediction] = ()) -> float:  # noqa: ARG002
        return float(statistics.frequencies.max())


@dataclass(frozen=True, kw_only=True)
class MeanIoU(Metric[ClassStatistics]):
    """Intersection over union, averaged over the classes that were predicted or are there.

    Attributes:
        ignore_index: Label that does not count; None if all do.
    """

    name: str = "miou"
    direction: Direction = Direction.MAXIMIZE
    perfect: float = 1.0
    worst: float = 0.0
    ignore_index: int | None = None

    def accumulator(self) -> Accumulator:
        return _MeanIoU(self.ignore_index)

    def chance(self, statistics: ClassStatistics, constant: Iterable[Prediction] = ()) -> float:  # noqa: ARG002
        # One class everywhere: its union is everything, and the other classes score nothing.
        return float(statistics.frequencies.max()) / int((statistics.counts > 0).sum())


@dataclass(frozen=True, kw_only=True)
class RMSE(Metric[ValueStatistics]):
    """Root of the mean squared error, over all outputs and pixels."""

    name: str = "rmse"
    direction: Direction = Direction.MINIMIZE
    perfect: float = 0.0
    worst: float = math.inf

    def accumulator(self) -> Accumulator:
        return _MeanError(power=2)

    def chance(self, statistics: ValueStatistics, constant: Iterable[Prediction] = ()) -> float:  # noqa: ARG002
        return math.sqrt(statistics.variance)


@dataclass(frozen=True, kw_only=True)
class MAE(Metric[ValueStatistics]):
    """Mean absolute error, over all outputs and pixels."""

    name: str = "mae"
    direction: Direction = Direction.MINIMIZE
    perfect: float = 0.0
    worst: float = math.inf

    def accumulator(self) -> Accumulator:
        return _MeanError(power=1)

    def chance(self, statistics: ValueStatistics, constant: Iterable[Prediction] = ()) -> float:  # noqa: ARG002
        return statistics.over_targets(statistics.deviation)


class _Labels(Accumulator):
    """What metrics on classes share: labels that count, and an eye on outputs gone wrong."""

    def __init__(self, ignore_index: int | None, axis: int = 1) -> None:
        self._ignore_index = ignore_index
        self._axis = axis
        self._finite = True

    def update(self, outputs: NDArray[Any], targets: NDArray[Any]) -> None:
        # argmax would take a NaN for the largest output, and call it a prediction.
        self._finite = self._finite and bool(np.isfinite(outputs.sum(dtype=np.float64)))
        predicted, truth = outputs.argmax(axis=self._axis), targets
        if self._ignore_index is not None:
            counted = targets != self._ignore_index
            predicted, truth = predicted[counted], truth[counted]
        self.count(predicted.reshape(-1), truth.reshape(-1), outputs.shape[self._axis])

    def value(self) -> float:
        return self.ratio() if self._finite else math.nan

    @abstractmethod
    def count(self, predicted: NDArray[Any], truth: NDArray[Any], n_classes: int) -> None:
        """Take in (n,) pairs of labels."""

    @abstractmethod
    def ratio(self) -> float:
        """Return the metric; NaN if no label counted."""


class _Accuracy(_Labels):
    def __init__(self, ignore_index: int | None, axis: int) -> None:
        super().__init__(ignore_index, axis)
        self._n_right = 0
        self._n = 0

    def count(self, predicted: NDArray[Any], truth: NDArray[Any], n_classes: int) -> None:  # noqa: ARG002
        self._n_right += int((predicted == truth).sum())
        self._n += truth.size

    def ratio(self) -> float:
        return self._n_right / self._n if self._n else math.nan


class _MeanIoU(_Labels):
    def __init__(self, ignore_index: int | None) -> None:
        super().__init__(ignore_index)
        self._confusion = np.zeros((0, 0), dtype=np.int64)  # (truth, prediction)

    def count(self, predicted: NDArray[Any], truth: NDArray[Any], n_classes: int) -> None:
        pairs = truth.astype(np.int64) * n_classes + predicted
        counts = np.bincount(pairs, minlength=n_classes**2).reshape(n_classes, n_classes)
        self._confusion = self._confusion + counts if self._confusion.size else counts

    def ratio(self) -> float:
        right = np.diag(self._confusion)
        union = self._confusion.sum(axis=0) + self._confusion.sum(axis=1) - right
        seen = union > 0
        return float((right[seen] / union[seen]).mean()) if seen.any() else math.nan


class _MeanError(Accumulator):
    def __init__(self, power: int) -> None:
        self._power = power
        self._finite = True
        self._total = 0.0
        self._n = 0

    def update(self, outputs: NDArray[Any], targets: NDArray[Any]) -> None:
        if outputs.shape != targets.shape:
            raise ValueError(
                f"outputs {outputs.shape} must have the targets' shape {targets.shape}"
            )
        self._finite = self._finite and bool(np.isfinite(outputs.sum(dtype=np.float64)))
        error = np.abs(outputs.astype(np.float64) - targets)
        error = error[~np.isnan(targets)]
        self._total += float((error**self._power).sum())
        self._n += error.size

    def value(self) -> float:
        if self._n == 0 or not (self._finite and math.isfinite(self._total)):
            return math.nan
        return float((self._total / self._n) ** (1 / self._power))
