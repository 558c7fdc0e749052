"""Real inputs and the answers to them, small enough to travel with a model."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import ExportError
from niwaki.tasks.npz_damage import NPZ_DAMAGE

Arrays: TypeAlias = Mapping[str, NDArray[Any]]

MAX_ITEMS = 32
MAX_BYTES = 1_000_000
MAX_SAMPLED = 1024
"""Values of one item's output that are kept."""

NO_CLASSES: Mapping[str, int] = {}

_GROUPS = ("inputs", "torch", "recorded")

# `export` copies what is in a run's folder, which only its search writes.
WRITE_AGAIN = "export the model again, or, in the folder of a run, start the same search again"


@dataclass(frozen=True, eq=False)
class VerificationData:
    """What a bundle carries so that it can be verified anywhere, without the code that made it.

    Attributes:
        inputs: (n, ...) by input name, as the network takes them.
        torch: (n, ...) outputs of the float network in torch, by output name; sampled.
        recorded: Outputs of the exported file on the machine that exported it; sampled.
    """

    inputs: Arrays
    torch: Arrays
    recorded: Arrays

    def save(self, path: Path) -> None:
        """Write one compressed `.npz`."""
        groups = zip(_GROUPS, (self.inputs, self.torch, self.recorded), strict=True)
        arrays = {f"{group}:{k}": v for group, values in groups for k, v in values.items()}
        with path.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path) -> "VerificationData":
        """Read what `save` wrote.

        Raises:
            ExportError: If the file is missing or damaged, or a part of it is not there, or without
                items.
        """
        groups: dict[str, dict[str, NDArray[Any]]] = {group: {} for group in _GROUPS}
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                for key in arrays.files:
                    group, _, name = key.partition(":")
                    groups[group][name] = arrays[key]
        except (*NPZ_DAMAGE, KeyError) as error:
            raise ExportError(f"'{path}' cannot be read ({error}): {WRITE_AGAIN}") from error
        if empty := [group for group, values in groups.items() if not values]:
            raise ExportError(f"'{path}' holds no {empty[0]} arrays: {WRITE_AGAIN}")
        found = ((f"{group}:{k}", v) for group, values in groups.items() for k, v in values.items())
        if blank := [name for name, values in found if not values.ndim or not len(values)]:
            raise ExportError(f"'{path}' holds no items in '{blank[0]}': {WRITE_AGAIN}")
        return cls(groups["inputs"], groups["torch"], groups["recorded"])


def sampled(outputs: Arrays, class_axes: Mapping[str, int] = NO_CLASSES) -> dict[str, NDArray[Any]]:
    """Return every output thinned out to `MAX_SAMPLED` values per item, all channels kept.

    Args:
        outputs: (n, ...) by name, whole.
        class_axes: Axis of the channels, 1 or the last one, by name; where it is not given, 1.

    Returns:
        (n, c), (n, c, m) or (n, m, c) by name: the positions are every k-th, the same on each call.
    """
    return {name: _sampled(values, class_axes.get(name, 1)) for name, values in outputs.items()}


def fitting_items(
    inputs: Arrays, outputs: Arrays, class_axes: Mapping[str, int] = NO_CLASSES
) -> int:
    """Return how many items a file of `MAX_BYTES` has room for, at least 1, at most `MAX_ITEMS`.

    Args:
        inputs: (n, ...) by name.
        outputs: (n, ...) by name, whole; they are counted as sampled, twice.
        class_axes: As for `sampled`.
    """
    n_items = min(len(values) for values in inputs.values())
    per_item = sum(values[:1].nbytes for values in inputs.values())
    per_item += 2 * sum(values[:1].nbytes for values in sampled(outputs, class_axes).values())
    return max(1, min(n_items, MAX_ITEMS, MAX_BYTES // per_item))


def first_items(arrays: Arrays, n_items: int) -> dict[str, NDArray[Any]]:
    """Return the first items of every array."""
    return {name: values[:n_items] for name, values in arrays.items()}


def _sampled(values: NDArray[Any], axis: int) -> NDArray[Any]:
    if values.ndim <= 2:
        return values
    channels_first = np.moveaxis(values, axis, 1)
    flat = channels_first.reshape(*channels_first.shape[:2], -1)  # (n, c, positions)
    n_kept = max(1, MAX_SAMPLED // flat.shape[1])
    stride = -(-flat.shape[2] // n_kept)
    # A stride that shares a factor with the width would see a few columns only.
    while stride > 1 and np.gcd(stride, channels_first.shape[-1]) > 1:
        stride += 1
    return np.ascontiguousarray(np.moveaxis(flat[:, :, ::stride], 1, axis))
