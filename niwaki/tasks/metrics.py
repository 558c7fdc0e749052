"""Metrics that stream: numpy arrays in, from torch or from a runtime alike, one number out."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from niwaki.core.objectives import Direction
from niwaki.tasks.statistics import IGNORE_INDEX, ClassStatistics, ValueStatistics

S = TypeVar("S", ClassStatistics, ValueStatistics)


class Accumulator(ABC):
    """A metric in the making."""

    @abstractmethod
    def update(self, outputs: NDArray[Any], targets: NDArray[Any]) -> None:
        """Take in a batch.

        Args:
            outputs: What the network gave, (n, k) or (n, k, h, w).
            targets: (n,) or (n, h, w) labels for classes, else of the shape of `outputs`.
        """

    @abstractmethod
    def value(self) -> float:
        """Return the metric of all batches; NaN if there was none, or an output was not finite."""


@dataclass(frozen=True)
class Metric(ABC, Generic[S]):
    """One way to score a task.

    Attributes:
        name: Last part of the value's name, such as `accuracy` in `digit_accuracy`.
        direction: Which way is better.
        perfect: Value of a perfect prediction.
        unit: Unit of the value; empty for a ratio.
    """

    name: ClassVar[str]
    direction: ClassVar[Direction]
    perfect: ClassVar[float]
    unit: str = ""

    @abstractmethod
    def accumulator(self) -> Accumulator:
        """Start from nothing."""

    @abstractmethod
    def chance(self, statistics: S) -> float:
        """Return the value that the best constant prediction has on the train targets."""

    def skill(self, value: float, chance: float) -> float:
        """Return where `value` lies from chance (0) to perfect (1); negative is below chance."""
        return (value - chance) / (self.perfect - chance)


@dataclass(frozen=True)
class Accuracy(Metric[ClassStatistics]):
    """Share of labels that the largest output names."""

    name = "accuracy"
    direction = Direction.MAXIMIZE
    perfect = 1.0

    def accumulator(self) -> Accumulator:
        return _Accuracy()

    def chance(self, statistics: ClassStatistics) -> float:
        return float(statistics.frequencies.max())


@dataclass(frozen=True)
class MeanIoU(Metric[ClassStatistics]):
    """Intersection over union, averaged over the classes that were predicted or are there."""

    name = "miou"
    direction = Direction.MAXIMIZE
    perfect = 1.0

    def accumulator(self) -> Accumulator:
        return _MeanIoU()

    def chance(self, statistics: ClassStatistics) -> float:
        # One class everywhere: its union is everything, and the other classes score nothing.
        return float(statistics.frequencies.max()) / int((statistics.counts > 0).sum())


@dataclass(frozen=True)
class RMSE(Metric[ValueStatistics]):
    """Root of the mean squared error, over all outputs and pixels."""

    name = "rmse"
    direction = Direction.MINIMIZE
    perfect = 0.0

    def accumulator(self) -> Accumulator:
        return _MeanError(power=2)

    def chance(self, statistics: ValueStatistics) -> float:
        return math.sqrt(float((statistics.std**2).mean()))


@dataclass(frozen=True)
class MAE(Metric[ValueStatistics]):
    """Mean absolute error, over all outputs and pixels."""

    name = "mae"
    direction = Direction.MINIMIZE
    perfect = 0.0

    def accumulator(self) -> Accumulator:
        return _MeanError(power=1)

    def chance(self, statistics: ValueStatistics) -> float:
        return float(statistics.deviation.mean(dtype=np.float64))


class _Confusion:
    """Counts of (truth, prediction), shared by the metrics on classes."""

    def __init__(self) -> None:
        self.counts = np.zeros((0, 0), dtype=np.int64)
        self.finite = True

    def update(self, outputs: NDArray[Any], targets: NDArray[Any]) -> None:
        # argmax would take a NaN for the largest output, and call it a prediction.
        self.finite = self.finite and bool(np.isfinite(outputs.sum(dtype=np.float64)))
        n_classes = outputs.shape[1]
        predicted = outputs.argmax(axis=1).reshape(-1)
        truth = targets.reshape(-1).astype(np.int64)
        counted = truth != IGNORE_INDEX
        pairs = truth[counted] * n_classes + predicted[counted]
        counts = np.bincount(pairs, minlength=n_classes**2).reshape(n_classes, n_classes)
        self.counts = self.counts + counts if self.counts.size else counts

    @property
    def usable(self) -> bool:
        return self.finite and bool(self.counts.any())


class _Accuracy(Accumulator):
    def __init__(self) -> None:
        self._confusion = _Confusion()

    def update(self, outputs: NDArray[Any], targets: NDArray[Any]) -> None:
        self._confusion.update(outputs, targets)

    def value(self) -> float:
        if not self._confusion.usable:
            return math.nan
        counts = self._confusion.counts
        return float(np.trace(counts) / counts.sum())


class _MeanIoU(Accumulator):
    def __init__(self) -> None:
        self._confusion = _Confusion()

    def update(self, outputs: NDArray[Any], targets: NDArray[Any]) -> None:
        self._confusion.update(outputs, targets)

    def value(self) -> float:
        if not self._confusion.usable:
            return math.nan
        counts = self._confusion.counts
        union = counts.sum(axis=0) + counts.sum(axis=1) - np.diag(counts)
        seen = union > 0
        return float((np.diag(counts)[seen] / union[seen]).mean())


class _MeanError(Accumulator):
    def __init__(self, power: int) -> None:
        self._power = power
        self._total = 0.0
        self._n = 0

    def update(self, outputs: NDArray[Any], targets: NDArray[Any]) -> None:
        if outputs.shape != targets.shape:
            raise ValueError(
                f"outputs {outputs.shape} must have the targets' shape {targets.shape}"
            )
        error = np.abs(outputs.astype(np.float64) - targets)
        self._total += float((error**self._power).sum())
        self._n += error.size

    def value(self) -> float:
        if self._n == 0 or not math.isfinite(self._total):
            return math.nan
        return float((self._total / self._n) ** (1 / self._power))
