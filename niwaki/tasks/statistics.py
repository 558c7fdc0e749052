"""What the train targets look like: all that chance and loss scales are computed from."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import DataError

_SAMPLE_PER_BATCH = 16_384


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
        mean: (k,) float64.
        std: (k,) float64, of the population.
        sample: (m, k) float32, the targets themselves, or a random sample where they are many.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    sample: NDArray[np.float32]

    @property
    def constant(self) -> bool:
        """Whether no output ever changes, and so there is nothing to learn."""
        return not self.std.any()

    @property
    def deviation(self) -> NDArray[np.float32]:
        """(m, k) absolute distance of the sample from its median."""
        return np.asarray(np.abs(self.sample - np.median(self.sample, axis=0)), dtype=np.float32)


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


def value_statistics(targets: Iterable[NDArray[Any]]) -> ValueStatistics:
    """Sum up real targets.

    Args:
        targets: Arrays (n, k) or (n, k, h, w), finite.

    Raises:
        DataError: If there is none.
    """
    n, mean, squares = 0, np.zeros(1), np.zeros(1)
    sample: list[NDArray[np.float32]] = []
    rng = np.random.default_rng(0)
    for values in targets:
        rows = np.moveaxis(values, 1, -1).reshape(-1, values.shape[1])
        # Chan, Golub and LeVeque (1979): merging moments of batches without cancellation.
        batch_mean = rows.mean(axis=0, dtype=np.float64)
        shift = batch_mean - mean
        total = n + len(rows)
        squares = squares + ((rows - batch_mean) ** 2).sum(axis=0, dtype=np.float64)
        squares = squares + shift**2 * (n * len(rows) / total)
        mean = mean + shift * (len(rows) / total)
        n = total
        if len(rows) > _SAMPLE_PER_BATCH:
            rows = rows[rng.integers(len(rows), size=_SAMPLE_PER_BATCH)]
        sample.append(rows.astype(np.float32))
    if n == 0:
        raise DataError("the train split has no targets: give it at least one item")
    return ValueStatistics(mean, np.sqrt(squares / n), np.concatenate(sample))
