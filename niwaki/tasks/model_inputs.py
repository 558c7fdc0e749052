"""What a model takes: one tensor or several, which travel side by side in one array.

Data, teachers and trainers know one array of inputs. A model of several inputs, such as tokens and
their mask, gets them from it: each item is a row of all its numbers, one input after the other.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import DataError

MOST_EXACT = 2**24
"""Largest integer of those that float32, in which inputs travel, holds all of."""

FLOAT = "float32"
_UNSIGNED = ("uint16", "uint32", "uint64")  # of which torch knows little more than the name

Values = TypeVar("Values", bound=Any)
"""A numpy array or a torch tensor."""


@dataclass(frozen=True)
class ModelInput:
    """One input of a model.

    Attributes:
        name: Of the input in the exported file.
        shape: Of one item, without the batch.
        dtype: Type of the numbers that the model takes, `float32`, `int64`, `bool`, ...
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = FLOAT

    @property
    def limits(self) -> tuple[int, int]:
        """Least and largest number of its type, which is no float."""
        kind = np.dtype(self.dtype)
        return (0, 1) if kind.kind == "b" else (np.iinfo(kind).min, np.iinfo(kind).max)

    @property
    def size(self) -> int:
        """Numbers of one item."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class ModelInputs:
    """All inputs of a model, in order; at least one.

    Attributes:
        each: With different names.
    """

    each: tuple[ModelInput, ...]

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]]) -> "ModelInputs":
        """Return the inputs that arrays, (n, ...) by name, are: reals are given in float32."""
        return cls(
            tuple(
                ModelInput(name, values.shape[1:], _type_of(values))
                for name, values in arrays.items()
            )
        )

    def __len__(self) -> int:
        return len(self.each)

    def __iter__(self) -> Iterator[ModelInput]:
        return iter(self.each)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of the inputs, in order."""
        return tuple(each.name for each in self.each)

    def apart(self, together: Values) -> tuple[Values, ...]:
        """Return each input, (n, ...) as the model takes it, but in float32.

        Args:
            together: What `packed` returned, or a tensor of it; if there is one input, that itself.
        """
        if len(self.each) == 1:
            return (together,)
        parts, start = [], 0
        for each in self.each:
            rows = together[:, start : start + each.size]
            parts.append(rows.reshape(len(together), *each.shape))
            start += each.size
        return tuple(parts)

    def feeds(self, together: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """Return each input by name, in its type, as an exported file takes it."""
        parts = zip(self.each, self.apart(together), strict=True)
        return {each.name: np.ascontiguousarray(part, each.dtype) for each, part in parts}

    def packed(self, arrays: Mapping[str, NDArray[Any]], origin: str) -> NDArray[np.float32]:
        """Return inputs side by side: (n, numbers of an item).

        Args:
            arrays: (n, ...) by name.
            origin: Of the arrays, for messages.

        Raises:
            DataError: If they are not these inputs, or a model would get other integers than there
                are.
        """
        self._require_alike(arrays, origin)
        for each in self.each:
            if each.dtype != FLOAT:
                _require_exact(each, arrays[each.name], origin)
        if len(self.each) == 1:
            return arrays[self.each[0].name].astype(np.float32)
        rows = [arrays[each.name].reshape(-1, each.size).astype(np.float32) for each in self.each]
        return np.concatenate(rows, axis=1)

    def _require_alike(self, arrays: Mapping[str, NDArray[Any]], origin: str) -> None:
        if lost := [each.name for each in self.each if each.name not in arrays]:
            raise DataError(f"{origin}: there is no input '{lost[0]}', as elsewhere: give it")
        if more := sorted(arrays.keys() - set(self.names)):
            raise DataError(
                f"{origin}: there is an input '{more[0]}', which is not elsewhere: leave it out"
            )
        for each in self.each:
            shape = arrays[each.name].shape[1:]
            if shape != each.shape:
                raise DataError(
                    f"{origin}: items of input '{each.name}' have shape {shape}, and elsewhere "
                    f"{each.shape}: bring all to one shape"
                )


def _type_of(values: NDArray[Any]) -> str:
    if values.dtype.kind == "f":
        return FLOAT
    return "int64" if values.dtype.name in _UNSIGNED else values.dtype.name


def _require_exact(each: ModelInput, values: NDArray[Any], origin: str) -> None:
    """Check that whole numbers arrive as they are, through float32 and in the model's type."""
    if not values.size:
        return
    kind, (low, high) = each.dtype, each.limits
    if values.dtype.kind == "f" and not (values == np.floor(values)).all():
        other = values[values != np.floor(values)][0]
        raise DataError(
            f"{origin}: input '{each.name}' is {other:g} among others, and {kind} elsewhere: give "
            "it in one type throughout"
        )
    least, most = int(values.min()), int(values.max())
    if least < low or most > high:
        raise DataError(
            f"{origin}: input '{each.name}' goes from {least} to {most}, and is {kind} elsewhere "
            f"({low} to {high}): give it in one type throughout"
        )
    if max(most, -least) > MOST_EXACT:
        raise DataError(
            f"{origin}: input '{each.name}' goes from {least} to {most}, and integers travel "
            f"exactly up to {MOST_EXACT}: count what they stand for from 0 on"
        )
