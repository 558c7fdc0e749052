"""What the train targets look like: all that chance and loss scales are computed from."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import DataError

_SAMPLE_PER_BATCH = 16_384
ROUNDING = float(np.finfo(np.float32).eps)
"""Of a mean: networks compute in float32, and numbers that are the same were rounded before."""

SMOOTH_L1_BETA = 0.5
"""Standard deviations at which smooth L1 turns from a parabola into a line: most errors of a
trained network are below it, so that the gradient follows the RMSE, and outliers are above."""


@dataclass(frozen=True, eq=False)
class ClassStatistics:
    """How often each class occurs, by item or by pixel.

    Attributes:
        counts: (k,) int64, ignored labels left out.
    """

    counts: NDArray[np.int64]

    @property
    def constant(self) -> bool:
        """Whether there is one class only, and so nothing to learn."""
        return int((self.counts > 0).sum()) == 1

    @property
    def frequencies(self) -> NDArray[np.float64]:
        """(k,) float64, summing to 1."""
        return np.asarray(self.counts / self.counts.sum())

    @property
    def entropy(self) -> float:
        """Cross-entropy of the best constant prediction, in nats."""
        present = self.frequencies[self.counts > 0]
        return float(-(present * np.log(present)).sum())


@dataclass(frozen=True, eq=False)
class ValueStatistics:
    """Location and spread of real targets, for each of k outputs.

    Attributes:
        n_known: (k,) int64, how many targets there are, one of them at least.
        mean: (k,) float64; 0 where there is no target.
        std: (k,) float64, of the population; 0 where targets are the same but for rounding, and
            where there is none.
        deviation: (k,) float64, mean absolute distance from the median; 0 where there is no target.
        smooth_deviation: (k,) float64, mean smooth L1 of the median, in standard deviations.
    """

    n_known: NDArray[np.int64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    deviation: NDArray[np.float64]
    smooth_deviation: NDArray[np.float64]

    @property
    def constant(self) -> bool:
        """Whether no output ever changes, and so there is nothing to learn."""
        return not self.std.any()

    @property
    def variance(self) -> float:
        """Mean squared distance of all targets from the mean of their output."""
        return self.over_targets(self.std**2)

    @property
    def scale(self) -> NDArray[np.float64]:
        """(k,) standard deviations to count errors in; 1 for an output that never changes."""
        return _scale_of(self.std)

    def over_targets(self, of_outputs: NDArray[np.float64]) -> float:
        """Return the mean over all targets of what is known of each output, (k,)."""
        return float(np.average(of_outputs, weights=self.n_known))


Statistics: TypeAlias = ClassStatistics | ValueStatistics


def best_constant(statistics: Statistics, *, least: float = 1e-12) -> NDArray[np.float64]:
    """Return (k,) outputs that are best if they are the same for every item.

    Logarithms of how often each class occurs, or the mean of each output.

    Args:
        statistics: Of the train targets.
        least: How often a class occurs that never does.
    """
    if isinstance(statistics, ClassStatistics):
        return np.asarray(np.log(np.maximum(statistics.frequencies, least)))
    return statistics.mean


def class_statistics(
    targets: Iterable[NDArray[Any]], n_classes: int, *, ignore_index: int | None = None
) -> ClassStatistics:
    """Count the classes.

    Args:
        targets: Arrays of integer labels of any shape, each in [0, n_classes) or ignored.
        n_classes: k.
        ignore_index: Label that does not count; None if all do.

    Raises:
        DataError: If there is not one label that counts.
    """
    counts = np.zeros(n_classes, dtype=np.int64)
    for labels in targets:
        flat = labels.reshape(-1)
        counted = flat if ignore_index is None else flat[flat != ignore_index]
        counts += np.bincount(counted, minlength=n_classes)
    if counts.sum() == 0:
        raise DataError(
            "the train split has no labels to count: it is empty, or every label is to be "
            f"ignored. Give labels from 0 to {n_classes - 1}"
        )
    return ClassStatistics(counts)


class RunningMoments:
    """Mean and standard deviation along axis 1, of any number of batches, without cancellation.

    NaN counts for nothing.

    References:
        Chan, Golub and LeVeque (1979), "Updating formulae and a pairwise algorithm for computing
        sample variances".
    """

    def __init__(self) -> None:
        self.n = np.zeros(1, np.int64)
        self._mean = np.zeros(1)
        self._squares = np.zeros(1)

    def update(self, values: NDArray[np.floating[Any]]) -> None:
        """Take in (n, k, ...) values, n at least 1."""
        axes = (0, *range(2, values.ndim))
        known = ~np.isnan(values)
        n = known.sum(axis=axes)
        mean = values.sum(axis=axes, dtype=np.float64, where=known) / np.maximum(n, 1)
        # In float32, squares of what is beyond 1e19 are infinite, and of what is below 1e-23, 0.
        centred = np.subtract(values, _by_output(mean, values.ndim), dtype=np.float64)
        squares = np.square(centred, out=centred).sum(axis=axes, where=known)
        shift, total = mean - self._mean, self.n + n
        self._squares = self._squares + squares + shift**2 * (self.n * n / np.maximum(total, 1))
        self._mean = self._mean + shift * (n / np.maximum(total, 1))
        self.n = total

    @property
    def mean(self) -> NDArray[np.float64]:
        """(k,) means."""
        return self._mean

    @property
    def std(self) -> NDArray[np.float64]:
        """(k,) standard deviations of the population."""
        return np.asarray(np.sqrt(self._squares / np.maximum(self.n, 1)))


def value_statistics(targets: Iterable[NDArray[Any]]) -> ValueStatistics:
    """Sum up real targets.

    Args:
        targets: Arrays (n, k) or (n, k, h, w), finite or NaN. They are gone through twice: a sample
            tells the median, but of values that are rare, not how far they are from it.

    Raises:
        DataError: If there is none.
    """
    moments = RunningMoments()
    sample: list[NDArray[np.float32]] = []
    rng = np.random.default_rng(0)
    for values in targets:
        moments.update(values)
        rows = np.moveaxis(values, 1, -1).reshape(-1, values.shape[1])
        rows = rows[~np.isnan(rows).all(axis=1)]
        if len(rows) > _SAMPLE_PER_BATCH:
            rows = rows[rng.integers(len(rows), size=_SAMPLE_PER_BATCH)]
        sample.append(rows.astype(np.float32))
    if not moments.n.any():
        raise DataError("the train split has no targets: give it at least one item")
    median = _median(np.concatenate(sample))
    std = spread_of(moments)
    scale = _scale_of(std)
    totals = np.zeros((2, len(std)))
    for values in targets:
        error = np.subtract(values, _by_output(median, values.ndim), dtype=np.float64)
        np.abs(error, out=error)
        axes = (0, *range(2, values.ndim))
        totals[0] += np.nansum(error, axis=axes)
        totals[1] += np.nansum(_smooth_l1(error / _by_output(scale, values.ndim)), axis=axes)
    deviation, smooth_deviation = totals / np.maximum(moments.n, 1)
    return ValueStatistics(moments.n, moments.mean, std, deviation, smooth_deviation)


def _median(sample: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the median of each column, (k,); 0 where all is NaN."""
    known = (~np.isnan(sample)).any(axis=0)
    median = np.zeros(sample.shape[1])
    median[known] = np.nanmedian(sample[:, known], axis=0)
    return median


def _scale_of(std: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(std > 0.0, std, 1.0)


def _smooth_l1(error: NDArray[np.float64]) -> NDArray[np.float64]:
    parabola, line = 0.5 * error**2 / SMOOTH_L1_BETA, error - 0.5 * SMOOTH_L1_BETA
    return np.where(error < SMOOTH_L1_BETA, parabola, line)


def _by_output(of_outputs: NDArray[np.float64], n_axes: int) -> NDArray[np.float64]:
    """Return (k,) numbers as (1, k, 1, ...)."""
    return of_outputs.reshape(1, -1, *(1,) * (n_axes - 2))


def spread_of(moments: RunningMoments) -> NDArray[np.float64]:
    """Return the standard deviation of real targets, (k,); 0 where it is that of rounding."""
    return np.where(moments.std > ROUNDING * np.abs(moments.mean), moments.std, 0.0)
