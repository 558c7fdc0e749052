"""Splits held in arrays, and the one way from a user's arrays to `TaskData`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from niwaki.tasks.base import Batch, Split
from niwaki.tasks.preprocessing import Preprocessing


@dataclass(frozen=True, eq=False)
class Arrays:
    """Raw items of one split: what a file holds.

    Attributes:
        inputs: (n, ...), of any real type, in the layout that the preprocessing names.
        targets: By task name, in the canonical shapes of `TaskKind`, of any type that holds them.
    """

    inputs: NDArray[Any]
    targets: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.inputs)

    def named(self) -> dict[str, NDArray[Any]]:
        """Return all arrays by name: `inputs`, and `targets.<task>`."""
        targets = {f"targets.{name}": values for name, values in self.targets.items()}
        return {"inputs": self.inputs, **targets}

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of one item in each array."""
        return {name: values.shape[1:] for name, values in self.named().items()}

    def cut(self, start: int, stop: int) -> "Arrays":
        """Return a view of the items from `start` up to `stop`."""
        targets = {name: values[start:stop] for name, values in self.targets.items()}
        return Arrays(self.inputs[start:stop], targets)

    def take(self, indices: NDArray[np.int64]) -> "Arrays":
        """Return a copy of some items."""
        targets = {name: values[indices] for name, values in self.targets.items()}
        return Arrays(self.inputs[indices], targets)


@dataclass(frozen=True, eq=False)
class ArraySplit(Split):
    """A split in memory, prepared batch by batch.

    Attributes:
        arrays: At least one item.
        preprocessing: Applied to the inputs of each batch.
    """

    arrays: Arrays
    preprocessing: Preprocessing

    @property
    def n_items(self) -> int:
        return len(self.arrays)

    def batches(
        self, batch_size: int, *, rng: np.random.Generator | None = None
    ) -> Iterator[Batch]:
        order = None if rng is None else self.order(rng)
        for chosen in _chosen(self.n_items, batch_size, order):
            inputs = self.preprocessing.apply(self.arrays.inputs[chosen])
            yield Batch(inputs, self._targets(chosen))

    def order(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return the order in which `batches` goes through the items, given the same state."""
        return rng.permutation(self.n_items)

    def targets(self, batch_size: int) -> Iterator[Mapping[str, NDArray[Any]]]:
        for chosen in _chosen(self.n_items, batch_size, None):
            yield self._targets(chosen)

    def _targets(self, chosen: slice | NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        return {name: canonical(values[chosen]) for name, values in self.arrays.targets.items()}


def canonical(targets: NDArray[Any]) -> NDArray[Any]:
    """Return labels as int64 and real targets as float32."""
    return targets.astype(np.float32 if targets.dtype.kind == "f" else np.int64)


def _chosen(
    n_items: int, batch_size: int, order: NDArray[np.int64] | None
) -> Iterator[slice | NDArray[np.int64]]:
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}: it must be at least 1")
    for start in range(0, n_items, batch_size):
        stop = min(start + batch_size, n_items)
        yield slice(start, stop) if order is None else order[start:stop]
