"""What a trained model answers: the scale of what custom tasks read, and answers that know nothing.

Of a custom task, only functions of the user's know what its outputs are. What can be counted on is
that the model that was given answers well, so that its answers say in which range, and how far
apart, answers lie.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import DataError
from niwaki.tasks.statistics import ROUNDING, ValueStatistics, value_statistics

_NOISE = 8 * ROUNDING  # of the largest: what one place of an answer may differ by, and be the same


@dataclass(frozen=True, eq=False)
class Answers:
    """One output of a model on some items, summed up.

    Attributes:
        mean: Over items, of the shape of one item, float32.
        low: (k,) float32, the least that each channel has been.
        high: (k,) float32, the most.
        statistics: Of k channels, of how far answers are from that mean: grids and anchors differ
            from place to place, and tell nothing of an item.
        dtype: Of the numbers that the model gives.
    """

    mean: NDArray[np.float32]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    statistics: ValueStatistics
    dtype: "np.dtype[Any]"

    @classmethod
    def of(cls, name: str, values: NDArray[Any]) -> "Answers":
        """Sum up (n, ...) answers of the output of that name.

        Raises:
            DataError: If one is not finite, or there is no number in them.
        """
        if values[0].size == 0:
            raise DataError(
                f"the model's output '{name}' has shape {values.shape}, without any number in it: "
                "give inputs for which it answers"
            )
        answers = values.astype(np.float32)
        if not np.isfinite(answers).all():
            raise DataError(
                f"the model's output '{name}' is NaN or infinite for some of {len(values)} train "
                "inputs: there is nothing to be learnt from it. Look for a division, a logarithm "
                "or inputs of another scale than it was trained with"
            )
        mean = answers.mean(axis=0, dtype=np.float64).astype(np.float32)
        low, high = answers.min(axis=0), answers.max(axis=0)
        still = high - low <= _NOISE * np.maximum(np.abs(low), np.abs(high))
        apart = np.where(still, np.float32(0.0), answers - mean)
        axis = channel_axis(values.shape)
        others = tuple(i for i in range(mean.ndim) if i != axis - 1)
        statistics = value_statistics([np.moveaxis(apart, axis, 1)])
        return cls(mean, low.min(axis=others), high.max(axis=others), statistics, values.dtype)

    @property
    def axis(self) -> int:
        """Of (n, ...) answers, along which the channels lie."""
        return channel_axis((1, *self.mean.shape))

    @property
    def teaches(self) -> bool:
        """Whether there is something to be learnt from it: reals that are not always the same."""
        return self.dtype.kind == "f" and not self.statistics.constant

    @property
    def broadcast(self) -> tuple[int, ...]:
        """Shape with which (k,) values are spread over (n, ...) answers."""
        return tuple(-1 if axis == self.axis else 1 for axis in range(1 + self.mean.ndim))

    def constant(self, answer: NDArray[np.float32], n_items: int) -> NDArray[Any]:
        """Return one answer, of the shape of `mean`, to each of `n_items`, in the model's type."""
        given = answer if self.dtype.kind == "f" else answer.round()
        whole = np.broadcast_to(given.astype(self.dtype), (n_items, *answer.shape))
        return np.ascontiguousarray(whole)


def channel_axis(shape: Sequence[int]) -> int:
    """Return the axis along which numbers of one meaning and unit lie, as far as a shape tells.

    Axis 1, as torch has it: (n, k, h, w). The last of (n, places, k) where there are fewer channels
    than places, such as boxes and scores of queries or anchors; and of maps that are square but for
    the last axis, (n, h, w, k) and (n, anchors, h, w, k).

    Args:
        shape: Of a batch of answers, (n, k) or (n, ...).
    """
    if len(shape) == 3:
        return 1 if shape[1] <= shape[2] else 2
    if len(shape) > 3 and shape[-1] != shape[-2] == shape[-3]:
        return len(shape) - 1
    return 1
