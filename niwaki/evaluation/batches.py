"""Batches that a network with batch norm can be trained on."""

from collections.abc import Iterator

from niwaki.tasks.base import Batch, Split


def n_batches(split: Split, batch_size: int) -> int:
    """Return the batches of one pass, a last batch of a single item left out; at least 1."""
    if split.n_items is None:
        return max(1, sum(1 for _ in sizable(split.batches(batch_size))))
    whole, rest = divmod(split.n_items, batch_size)
    return max(1, whole + (rest > 1))


def sizable(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Leave out batches of one item: batch statistics of one pixel do not exist."""
    return (batch for batch in batches if len(batch) > 1)
