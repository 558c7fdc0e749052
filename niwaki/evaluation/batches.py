"""Batches that a network with batch norm can be trained on."""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from niwaki.core.errors import DataError
from niwaki.evaluation.devices import Tensors, to_tensors
from niwaki.tasks.arrays import ArraySplit
from niwaki.tasks.base import Batch, Split

STATISTICS_BATCH = 128

_MOST_RESIDENT = 2**30  # bytes of prepared inputs
_PREPARED_AT_ONCE = 1024


def n_batches(split: Split, batch_size: int) -> int:
    """Return the batches of one pass over a train split, at least 1; none of a single item.

    Raises:
        DataError: If there is none: nothing can be trained on one item.
    """
    if split.n_items is None:
        n = sum(1 for _ in sizable(split.batches(batch_size)))
    else:
        whole, rest = divmod(split.n_items, batch_size)
        n = whole + (rest > 1)
    if not n:
        raise DataError(
            "the train split has fewer than two items, and nothing can be trained on one: give "
            "more data, or splits of your own"
        )
    return n


def train_batches(
    split: Split, batch_size: int, device: torch.device, *, rng: np.random.Generator
) -> Iterator[Tensors]:
    """Go through a train split once, in random order, without batches of one item.

    A split in memory is put on a GPU as a whole, if it is not too large, and remembered: preparing
    and sending a batch takes longer there than learning from it.

    Args:
        split: Whose items.
        batch_size: Items per batch.
        device: Where the tensors lie.
        rng: Shuffles. The same state gives the same batches on every device.
    """
    if device.type == "cpu" or not isinstance(split, ArraySplit) or _bytes(split) > _MOST_RESIDENT:
        for batch in sizable(split.batches(batch_size, rng=rng)):
            yield to_tensors(batch, device)
        return
    inputs, targets = _resident(split, device)
    order = torch.from_numpy(split.order(rng)).to(device)
    for chosen in torch.split(order, batch_size):
        if len(chosen) > 1:
            yield inputs[chosen], {name: values[chosen] for name, values in targets.items()}


def _bytes(split: ArraySplit) -> int:
    """Return how much its prepared inputs take."""
    return 4 * split.arrays.inputs.size


@lru_cache(maxsize=1)
def _resident(split: ArraySplit, device: torch.device) -> Tensors:
    """Return all items of a split, prepared, on a device."""
    batches = [to_tensors(batch, device) for batch in split.batches(_PREPARED_AT_ONCE)]
    names = batches[0][1]
    targets = {name: torch.cat([each[1][name] for each in batches]) for name in names}
    return torch.cat([inputs for inputs, _ in batches]), targets


def drawn(
    split: Split, n_items: int, batch_size: int, *, rng: np.random.Generator
) -> Iterator[Batch]:
    """Yield at least `n_items` of a split, if it has so many, in whole batches.

    Args:
        split: Whose.
        n_items: At least 1.
        batch_size: Items per batch.
        rng: Draws the items: the first ones of an ordered file are all of one class.
    """
    left = n_items
    for batch in split.batches(batch_size, rng=rng):
        yield batch
        left -= len(batch)
        if left <= 0:
            return


def sizable(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Leave out batches of one item: batch statistics of one pixel do not exist."""
    return (batch for batch in batches if len(batch) > 1)


def inputs_for_statistics(
    split: Split, n_items: int, device: torch.device, *, rng: np.random.Generator
) -> Iterator[Tensor]:
    """Yield the inputs of up to `n_items` of a split, for batch-norm statistics.

    Args:
        split: Whose.
        n_items: Two are taken if it is 1, and one that would be alone in its batch is left out:
            batch statistics of one pixel do not exist.
        device: Where the tensors lie.
        rng: Draws the items: the first ones of an ordered file are all of one class.
    """
    left = max(2, n_items)
    for batch in sizable(split.batches(min(STATISTICS_BATCH, left), rng=rng)):
        inputs, _ = to_tensors(batch, device)
        yield inputs[:left]
        left -= len(batch)
        if left < 2:
            return
