"""Batches that a network with batch norm can be trained on."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from niwaki.core.errors import DataError
from niwaki.evaluation.devices import to_tensors
from niwaki.tasks.base import Batch, Split

STATISTICS_BATCH = 128


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


def sizable(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Leave out batches of one item: batch statistics of one pixel do not exist."""
    return (batch for batch in batches if len(batch) > 1)


def inputs_for_statistics(
    split: Split, n_items: int, device: torch.device, *, rng: np.random.Generator | None = None
) -> Iterator[Tensor]:
    """Yield the inputs of up to `n_items` of a split, never of one alone.

    Args:
        split: Whose.
        n_items: At least 2.
        device: Where the tensors lie.
        rng: Draws them at random; in the split's order if not given.
    """
    batches = sizable(split.batches(min(STATISTICS_BATCH, n_items), rng=rng))
    return first_inputs(batches, n_items, device, fewest=2)


def first_inputs(
    batches: Iterator[Batch], n_items: int, device: torch.device, *, fewest: int = 1
) -> Iterator[Tensor]:
    """Yield the inputs of up to `n_items`, as tensors, for batch-norm statistics.

    Args:
        batches: Of a split.
        n_items: At least 1.
        device: Where the tensors lie.
        fewest: A last batch of fewer items is left out.
    """
    left = n_items
    for batch in batches:
        inputs, _ = to_tensors(batch, device)
        yield inputs[:left]
        left -= len(batch)
        if left < fewest:
            return
