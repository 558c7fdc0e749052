"""What the train targets look like: all that chance and loss scales are computed from."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import DataError

_SAMPLE_PER_BATCH = 16_384
# Of a mean: networks answer in float32, and numbers that are the same were rounded on their way.
_ROUNDING = float(np.finfo(np.float32).eps)


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
        sample: (m, k) float32, the targets themselves, or a random sample where they are many; NaN
            where there is none.
    """

    n_known: NDArray[np.int64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    sample: NDArray[np.float32]

    @property
    def constant(self) -> bool:
        """Whether no output ever changes, and so there is nothing to learn."""
        return not self.std.any()

    @property
    def variance(self) -> float:
        """Mean squared distance of all targets from the mean of their output."""
        return float(np.average(self.std**2, weights=self.n_known))

    @property
    def deviation(self) -> NDArray[np.float32]:
        """(m, k) absolute distance of the sample from its median."""
        known = (~np.isnan(self.sample)).any(axis=0)
        median = np.zeros(self.sample.shape[1])
        median[known] = np.nanmedian(self.sample[:, known], axis=0)
        return np.asarray(np.abs(self.sample - median), dtype=np.float32)


Statistics: TypeAlias = ClassStatistics | ValueStatistics


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
        pivot = mean.astype(values.dtype)
        centred = values - pivot.reshape(1, -1, *(1,) * (values.ndim - 2))
        centred[~known] = 0.0
        squares = np.square(centred, out=centred).sum(axis=axes, dtype=np.float64)
        # The pivot is the mean but for rounding; squares of tiny numbers are 0 in float32.
        squares = np.maximum(squares - n * (mean - pivot) ** 2, 0.0)
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
        targets: Arrays (n, k) or (n, k, h, w), finite or NaN.

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
    spread = spread_of(moments)
    return ValueStatistics(moments.n, moments.mean, spread, np.concatenate(sample))


def spread_of(moments: RunningMoments) -> NDArray[np.float64]:
    """Return the standard deviation of real targets, (k,); 0 where it is that of rounding."""
    rounding = _ROUNDING * np.abs(moments.mean)
    return np.where(moments.std > rounding, moments.std, 0.0)
