"""Batches as users' loaders give them, read into arrays, with targets by output."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from niwaki.core.errors import DataError
from niwaki.core.user_randomness import seeded
from niwaki.tasks.base import SplitName
from niwaki.tasks.checks import require_finite
from niwaki.tasks.python_loaders import plain_array


@dataclass(frozen=True, eq=False)
class Batches:
    """One split as read: the targets of each batch by name, or one array each of something."""

    inputs: NDArray[Any]
    targets: list[dict[str, NDArray[Any]] | list[NDArray[Any]]]


@dataclass(frozen=True, eq=False)
class Items:
    """One split as given: targets by output name, under "" if there is one array of them."""

    inputs: NDArray[Any]
    targets: Mapping[str, NDArray[Any]]


def read_split(loader: Iterable[Any], origin: str) -> Batches:
    """Return all that a loader gives; each batch is (inputs, targets), or inputs alone.

    Raises:
        DataError: If it gives nothing, or something else, or inputs that are no finite numbers.
    """
    inputs: list[NDArray[Any]] = []
    targets: list[dict[str, NDArray[Any]] | list[NDArray[Any]]] = []
    with seeded():
        for batch in loader:
            given, wanted = _in_and_out(batch, origin)
            inputs.append(given)
            targets.append(wanted)
    if not inputs:
        raise DataError(f"{origin} gave no batches: give at least one item")
    whole = _joined(inputs, "inputs", origin)
    if not len(whole):
        raise DataError(f"{origin} gave batches without items: give at least one item")
    if whole.dtype.kind not in "buif":
        raise DataError(f"{origin}: inputs are of type {whole.dtype}, but numbers are needed")
    require_finite(whole, f"{origin}: inputs")
    return Batches(whole, targets)


def first_inputs(loader: Iterable[Any], origin: str) -> NDArray[Any]:
    """Return the inputs of the first batch that a loader gives.

    Raises:
        DataError: If it gives nothing, or something else than batches.
    """
    with seeded():
        batch = next(iter(loader), None)
    if batch is None:
        raise DataError(f"{origin} gave no batches: give at least one item")
    return _in_and_out(batch, origin)[0]


def gather(batches: Batches, n_outputs: int, origin: str) -> Items:
    """Return a split with the targets of all its batches joined, by name.

    Raises:
        DataError: If shapes of batches differ.
    """
    targets: dict[str, list[NDArray[Any]]] = {}
    by_item = _are_by_item(batches.targets, n_outputs)
    for given in batches.targets:
        if isinstance(given, dict):
            named = given
        elif by_item and _may_be_by_item(given):
            named = {"": np.stack(given)}
        else:
            named = dict(zip(names_by_position(len(given)), given, strict=True))
        for name, values in named.items():
            targets.setdefault(name, []).append(values)
    joined = {
        name: _joined(parts, f"targets {name}".strip(), origin) for name, parts in targets.items()
    }
    return Items(batches.inputs, joined)


def by_output(items: Items, names: list[str]) -> Items:
    """Return the items with their targets by output name.

    Raises:
        DataError: If they do not fit the names.
    """
    targets = dict(items.targets)
    if "" in targets:
        if len(names) > 1:
            raise DataError(
                f"the model has outputs {', '.join(names)}, but targets came as one array: give a "
                f"mapping by these names, or let one task read them, {_together(names)}"
            )
        targets[names[0]] = targets.pop("")
    if unknown := sorted(set(targets) - set(names)):
        raise DataError(
            f"there are targets for '{unknown[0]}', but the model's outputs are "
            f"{', '.join(names)}: give targets these names, return a mapping with yours, or let "
            f"one task read several outputs, {_together(names)}"
        )
    return Items(items.inputs, targets)


def _together(names: list[str]) -> str:
    return f"as in --task objects={','.join(names[:3])} with a metric and a loss of your own"


def require_targets(gathered: Mapping[SplitName, Items], origin: str) -> None:
    """Check that what is learnt from labels is not scored by the model's own answers.

    Raises:
        DataError: If a split that is scored lacks targets that train has.
    """
    for split in (SplitName.SEARCH, SplitName.VAL, SplitName.TEST):
        items = gathered.get(split, gathered[SplitName.TRAIN])
        if lacking := sorted(set(gathered[SplitName.TRAIN].targets) - set(items.targets)):
            raise DataError(
                f"{origin}, split {split} has no targets {lacking[0]}".rstrip()
                + ", but the train split has: give them, or leave the split out, and it is carved "
                "from train"
            )


def names_by_position(n: int) -> list[str]:
    """Return names for outputs, or targets, that come in order: `output`, `output_1`, ..."""
    return ["output", *(f"output_{i}" for i in range(1, n))]


def _are_by_item(
    targets: Iterable[dict[str, NDArray[Any]] | list[NDArray[Any]]], n_outputs: int
) -> bool:
    """Whether several arrays are one for each item, not one for each output of a model.

    A short last batch may have as many items as an array has entries: the others tell.
    """
    listed = [given for given in targets if isinstance(given, list)]
    if any("" in given for given in targets if isinstance(given, dict)):
        return True
    return all(_may_be_by_item(arrays) and len(arrays) != n_outputs for arrays in listed)


def _may_be_by_item(arrays: list[NDArray[Any]]) -> bool:
    """Whether there are as many alike arrays as items; each has an entry for every item."""
    return len(arrays) == len(arrays[0]) and len({array.shape for array in arrays}) == 1


def _in_and_out(
    batch: Any, origin: str
) -> tuple[NDArray[Any], dict[str, NDArray[Any]] | list[NDArray[Any]]]:
    """Return the inputs of a batch, and its targets: by name, or as several arrays."""
    parts = list(batch) if isinstance(batch, tuple | list) else [batch]
    if isinstance(batch, Mapping) or len(parts) not in (1, 2):
        found = f"keys {', '.join(map(str, batch))}" if isinstance(batch, Mapping) else len(parts)
        raise DataError(
            f"a batch of {origin} is (inputs, targets), or inputs alone, but a batch of {found} "
            "came: yield (batch[...], batch[...]) with what the model reads and what it should say"
        )
    given = parts[1] if len(parts) == 2 else {}
    if _are_arrays(given, getattr(parts[0], "shape", ())[:1]):
        arrays = [plain_array(values, f"{origin}: targets") for values in given]
        return plain_array(parts[0], f"{origin}: inputs"), arrays
    named = given if isinstance(given, Mapping) else {"": given}
    targets = {
        str(name): plain_array(values, f"{origin}: targets {name}".strip())
        for name, values in named.items()
    }
    for name, values in targets.items():
        _require_entries(values, f"targets {name}".strip(), origin)
    if _is_several(parts[0], targets):
        raise DataError(
            f"{origin} gives several inputs, but models here have one input tensor: give one, and "
            "wrap the model in a module that takes it apart"
        )
    inputs = plain_array(parts[0], f"{origin}: inputs")
    _require_entries(inputs, "inputs", origin)
    return inputs, targets


def _require_entries(values: NDArray[Any], what: str, origin: str) -> None:
    if values.ndim == 0:
        raise DataError(
            f"{what} of {origin} hold {values} in place of a batch: give an entry for each item, "
            "the batch first"
        )


def _are_arrays(values: Any, n_items: tuple[int, ...]) -> bool:
    """Whether these are several arrays, each with an entry for every item."""
    return (
        isinstance(values, tuple | list)
        and len(values) > 0
        and all(
            isinstance(each, np.ndarray | Tensor) and each.ndim and each.shape[:1] == n_items
            for each in values
        )
    )


def _is_several(inputs: Any, targets: Mapping[str, NDArray[Any]]) -> bool:
    """Whether these are several inputs; torch's DataLoader makes a list of a sample's tuple."""
    if isinstance(inputs, Mapping | tuple):
        return True
    n_items = {len(values) for values in targets.values() if values.ndim}
    if not isinstance(inputs, list) or len(inputs) in n_items:
        return False
    return bool(inputs) and {len(x) if getattr(x, "ndim", 0) else 0 for x in inputs} == n_items


def _joined(parts: list[NDArray[Any]], what: str, origin: str) -> NDArray[Any]:
    shapes = sorted({part.shape[1:] for part in parts})
    if len(shapes) > 1:
        raise DataError(
            f"{what} of {origin} come in batches of items of different shapes, "
            f"{', '.join(map(str, shapes))}: bring all to one shape, the batch first"
        )
    return np.concatenate(parts)
