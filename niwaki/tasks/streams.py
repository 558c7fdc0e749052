"""Splits that are read from a user's loader again in every pass."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import DataError
from niwaki.core.user_randomness import seeded_items
from niwaki.tasks.arrays import Arrays, canonical
from niwaki.tasks.base import Batch, Split
from niwaki.tasks.checks import Given, checked
from niwaki.tasks.preprocessing import Preprocessing
from niwaki.tasks.task import Task

Read = Callable[[Any, str], Given]


@dataclass(frozen=True, eq=False)
class StreamSplit(Split):
    """A split that is never held in memory: the loader decides order and shuffling.

    Attributes:
        loader: Gives batches of any size; can be gone through again and again.
        read: Turns one of its batches, and where it comes from, into arrays.
        tasks: What the targets are checked for, batch by batch.
        preprocessing: Applied to the inputs of each batch.
        origin: Names the loader in messages.
    """

    loader: Iterable[Any]
    read: Read
    tasks: Sequence[Task]
    preprocessing: Preprocessing
    origin: str

    @property
    def n_items(self) -> None:
        return None

    def batches(
        self, batch_size: int, *, rng: np.random.Generator | None = None
    ) -> Iterator[Batch]:
        # To shuffle is the loader's business: items not yet read cannot be. Its draws are ours.
        seed = 0 if rng is None else int(rng.integers(2**32))
        for arrays in regrouped(self._arrays(seed), batch_size):
            targets = {name: canonical(values) for name, values in arrays.targets.items()}
            yield Batch(self.preprocessing.apply(arrays.inputs), targets)

    def targets(self, batch_size: int) -> Iterator[Mapping[str, NDArray[Any]]]:
        for arrays in regrouped(self._arrays(seed=0), batch_size):
            yield {name: canonical(values) for name, values in arrays.targets.items()}

    def _arrays(self, seed: int) -> Iterator[Arrays]:
        first: Arrays | None = None
        for number, batch in enumerate(seeded_items(self.loader, seed)):
            given = self.read(batch, f"{self.origin}, batch {number}")
            arrays = checked(given, self.tasks)
            first = arrays if first is None else first
            require_shapes_of_first(arrays, first, given.origin)
            yield arrays
        if first is None:
            raise DataError(
                f"{self.origin} gave no batches: it is empty, or can be gone through only once"
            )


def require_shapes_of_first(arrays: Arrays, first: Arrays, origin: str) -> None:
    """Check that items of a batch have the shapes of those of the first.

    Raises:
        DataError: If they differ.
    """
    if arrays.shapes != first.shapes:
        raise DataError(
            f"{origin} has items of shapes {arrays.shapes}, but batch 0 has {first.shapes}: make "
            "them equal"
        )


def regrouped(pieces: Iterable[Arrays], batch_size: int) -> Iterator[Arrays]:
    """Cut and join pieces of any size into batches of one size; the last may be smaller."""
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}: it must be at least 1")
    waiting: list[Arrays] = []
    for piece in pieces:
        waiting.append(piece)
        while sum(map(len, waiting)) >= batch_size:
            whole = joined(waiting)
            yield whole.cut(0, batch_size)
            waiting = [whole.cut(batch_size, len(whole))]
    if sum(map(len, waiting)):
        yield joined(waiting)


def joined(pieces: Sequence[Arrays]) -> Arrays:
    """Return the items of all pieces in one; at least one piece, all of one shape per item."""
    if len(pieces) == 1:
        return pieces[0]
    names = pieces[0].targets
    return Arrays(
        np.concatenate([piece.inputs for piece in pieces]),
        {name: np.concatenate([piece.targets[name] for piece in pieces]) for name in names},
    )
