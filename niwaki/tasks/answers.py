"""What a trained model answers: the scale of what custom tasks read, and answers that know nothing.

Of a custom task, only functions of the user's know what its outputs are. What can be counted on is
that the model that was given answers well, so that its answers say in which range, and how far
apart, answers lie.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import DataError
from niwaki.tasks.statistics import ValueStatistics, value_statistics


@dataclass(frozen=True, eq=False)
class Answers:
    """One output of a model on some items, summed up.

    Attributes:
        shape: Of one item.
        dtype: Of its numbers.
        statistics: Of k channels.
        low: (k,) float32, the least that each channel has been.
        high: (k,) float32, the most.
    """

    shape: tuple[int, ...]
    dtype: "np.dtype[Any]"
    statistics: ValueStatistics
    low: NDArray[np.float32]
    high: NDArray[np.float32]

    @classmethod
    def of(cls, name: str, values: NDArray[Any]) -> "Answers":
        """Sum up (n, ...) answers.

        Raises:
            DataError: If one is not finite, or there is not one number for each item.
        """
        if values[0].size == 0:
            raise DataError(
                f"the model's output '{name}' has shape {values.shape}, without any number in it: "
                "give inputs for which it answers"
            )
        by_channel = np.moveaxis(values, channel_axis(values.shape), 1).astype(np.float32)
        if not np.isfinite(by_channel).all():
            raise DataError(
                f"the model's output '{name}' is NaN or infinite for some of {len(values)} train "
                "inputs: there is nothing to be learnt from it. Look for a division, a logarithm "
                "or inputs of another scale than it was trained with"
            )
        axes = (0, *range(2, by_channel.ndim))
        return cls(
            values.shape[1:],
            values.dtype,
            value_statistics([by_channel]),
            by_channel.min(axis=axes),
            by_channel.max(axis=axes),
        )

    @property
    def axis(self) -> int:
        """Of (n, ...) answers, along which the channels lie."""
        return channel_axis((1, *self.shape))

    @property
    def size(self) -> int:
        """Numbers of one item."""
        return int(np.prod(self.shape))

    @property
    def teaches(self) -> bool:
        """Whether there is something to be learnt from it: reals that are not always the same."""
        return self.dtype.kind == "f" and not self.statistics.constant

    @property
    def broadcast(self) -> tuple[int, ...]:
        """Shape with which (k,) values are spread over (n, ...) answers."""
        return tuple(-1 if axis == self.axis else 1 for axis in range(1 + len(self.shape)))

    def spread(self, constant: NDArray[np.float32], n_items: int) -> NDArray[Any]:
        """Return (k,) values as answers to `n_items`, all the same, in the type that they have."""
        shaped = constant.reshape(self.broadcast)
        if self.dtype.kind != "f":
            shaped = shaped.round().astype(self.dtype)
        return np.ascontiguousarray(np.broadcast_to(shaped, (n_items, *self.shape)))


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


def constant_answers(
    answers: Mapping[str, Answers], constants: Mapping[str, NDArray[np.float32]], n_items: int
) -> dict[str, NDArray[Any]]:
    """Return outputs by name that are the same for each of `n_items`, from (k,) values of each."""
    return {name: each.spread(constants[name], n_items) for name, each in answers.items()}
