"""Batches as users' loaders give them, read into arrays, with targets by output."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from niwaki.core.errors import DataError
from niwaki.core.user_randomness import seeded
from niwaki.tasks.base import SplitName
from niwaki.tasks.checks import require_finite
from niwaki.tasks.python_loaders import arrays_by_name, input_called, plain_array

GivenInputs: TypeAlias = Mapping[str | int, NDArray[Any]]
"""Inputs of a model by name, or by position; one alone is under "", however it was given."""

ALONE = ""
LABELS = "labels"
_Read: TypeAlias = "dict[str | int, NDArray[Any]] | _Listed"
_Wanted: TypeAlias = dict[str, NDArray[Any]] | list[NDArray[Any]]


@dataclass(frozen=True, eq=False)
class _Listed:
    """Arrays that came as a list, and how many items their targets say there are."""

    arrays: list[NDArray[Any]]
    n_items: int | None

    @property
    def may_be_several(self) -> bool:
        """Whether they may be several inputs, as torch's DataLoader makes of a sample's tuple."""
        sizes = {len(each) for each in self.arrays}
        return len(sizes) == 1 and (self.n_items is None or sizes == {self.n_items})

    @property
    def may_be_items(self) -> bool:
        """Whether they may be items that are not stacked yet."""
        n_fits = self.n_items is None or len(self.arrays) == self.n_items
        return n_fits and len({each.shape for each in self.arrays}) == 1


@dataclass(frozen=True, eq=False)
class Batches:
    """One split as read: the targets of each batch by name, or one array each of something."""

    inputs: GivenInputs
    targets: list[_Wanted]

    def apart(self, takes: Callable[[str], bool]) -> "Batches":
        """Return the split with what came among its inputs, and is none, among its targets.

        Batches may be one mapping of all that belongs to an item, as Hugging Face's collators make
        them. There, `labels` are no input, although models take them to compute a loss.

        Args:
            takes: Whether the model can be given something by a name.
        """
        given = {key: values for key, values in self.inputs.items() if takes(str(key))}
        rest = {str(key): values for key, values in self.inputs.items() if key not in given}
        if LABELS in given and len(given) > 1:
            rest[LABELS] = given.pop(LABELS)
        if any(self.targets) or not given or not rest:
            return self
        return Batches(given, [rest])


@dataclass(frozen=True, eq=False)
class Items:
    """One split as given: targets by output name, under "" if there is one array of them.

    Several inputs are side by side: see `niwaki.tasks.model_inputs`.
    """

    inputs: NDArray[Any]
    targets: Mapping[str, NDArray[Any]]


def read_split(loader: Iterable[Any], origin: str) -> Batches:
    """Return all that a loader gives; each batch is (inputs, targets), or inputs alone.

    Raises:
        DataError: If it gives nothing, or something else, or inputs that are no finite numbers.
    """
    given: list[_Read] = []
    targets: list[_Wanted] = []
    with seeded():
        for batch in loader:
            inputs, wanted = _in_and_out(batch, origin)
            given.append(inputs)
            targets.append(wanted)
    if not given:
        raise DataError(f"{origin} gave no batches: give at least one item")
    parts: dict[str | int, list[NDArray[Any]]] = {}
    for named in _told_apart(given, origin):
        if parts and named.keys() != parts.keys():
            raise DataError(
                f"{origin} gave batches with {_listed(parts)}, and one with {_listed(named)}: "
                "give each the same"
            )
        for key, values in named.items():
            parts.setdefault(key, []).append(values)
    whole = {key: _joined(each, input_called(key), origin) for key, each in parts.items()}
    for key, values in whole.items():
        if not len(values):
            raise DataError(f"{origin} gave batches without items: give at least one item")
        require_finite(values, f"{origin}: {input_called(key)}")
    return Batches(whole, targets)


def first_inputs(loader: Iterable[Any], origin: str) -> GivenInputs:
    """Return the inputs of the first batch that a loader gives.

    Raises:
        DataError: If it gives nothing, or something else than batches.
    """
    with seeded():
        batch = next(iter(loader), None)
    if batch is None:
        raise DataError(f"{origin} gave no batches: give at least one item")
    (inputs,) = _told_apart([_in_and_out(batch, origin)[0]], origin)
    return inputs


def read_inputs(batches: Iterable[Any], origin: str) -> list[GivenInputs]:
    """Return the inputs of batches that are inputs alone, as arrays.

    Raises:
        DataError: If they are no arrays with an entry for each item.
    """
    return list(_told_apart([_read(batch, None, origin) for batch in batches], origin))


def gather(batches: Batches, inputs: NDArray[Any], outputs: Sequence[str], origin: str) -> Items:
    """Return a split with the targets of all its batches joined, by name.

    Args:
        batches: As read.
        inputs: Of all of them, as one array.
        outputs: Names of the model's outputs, in their order.
        origin: Of the split, for messages.

    Raises:
        DataError: If shapes of batches differ.
    """
    targets: dict[str, list[NDArray[Any]]] = {}
    by_item = _are_by_item(batches.targets, len(outputs))
    for given in batches.targets:
        if isinstance(given, dict):
            named = given
        elif by_item and _may_be_by_item(given):
            named = {"": np.stack(given)}
        else:
            alike = len(given) == len(outputs)
            names = outputs if alike else names_by_position(len(given))
            named = dict(zip(names, given, strict=True))
        for name, values in named.items():
            targets.setdefault(name, []).append(values)
    joined = {
        name: _joined(parts, f"targets {name}".strip(), origin) for name, parts in targets.items()
    }
    return Items(inputs, joined)


def by_output(items: Items, names: Sequence[str], outputs: Sequence[str]) -> Items:
    """Return the items with their targets by name of the task; of one task, they may have any.

    Args:
        items: As given.
        names: Of the tasks: each is an output, or reads several.
        outputs: Names of the model's.

    Raises:
        DataError: If they do not fit the names.
    """
    targets = dict(items.targets)
    if len(targets) == len(names) == 1:
        targets = dict(zip(names, targets.values(), strict=True))
    if "" in targets:
        raise DataError(
            f"{_listed_tasks(names, outputs)}, but targets came as one array: give a mapping by "
            f"these names, keep the one output that they are for, as in --output {outputs[0]} (in "
            "Python and configurations, the setting `outputs`), or let one task read several "
            f"outputs, {_read_together(outputs)}"
        )
    if unknown := sorted(set(targets) - set(names)):
        if unknown[0] in outputs:
            raise DataError(
                f"there are targets for '{unknown[0]}', which a task reads with others: "
                f"{_listed_tasks(names, outputs)}; give it targets under its own name"
            )
        raise DataError(
            f"there are targets for '{unknown[0]}', but {_listed_tasks(names, outputs)}: give "
            "targets these names, return a mapping with yours, or let one task read several "
            f"outputs, {_read_together(outputs)}"
        )
    return Items(items.inputs, targets)


def _listed_tasks(names: Sequence[str], outputs: Sequence[str]) -> str:
    what = "the model's outputs" if set(names) == set(outputs) else "the tasks"
    return f"{what} are {', '.join(names)}"


def _read_together(outputs: Sequence[str]) -> str:
    return f"as in --task objects={','.join(outputs[:3])} with a metric and a loss of your own"


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


def _in_and_out(batch: Any, origin: str) -> tuple[_Read, _Wanted]:
    """Return the inputs of a batch, and its targets: by name, or as several arrays."""
    parts = list(batch) if isinstance(batch, tuple | list) else [batch]
    if len(parts) not in (1, 2):
        raise DataError(
            f"a batch of {origin} is (inputs, targets), or inputs alone, but a batch of "
            f"{len(parts)} came: yield (batch[...], batch[...]) with what the model reads and what "
            "it should say, several inputs or targets as a mapping by name"
        )
    given = parts[1] if len(parts) == 2 else {}
    first = next(iter(_each(parts[0]).values()), None)
    if _are_arrays(given, getattr(first, "shape", ())[:1]):
        arrays = [plain_array(values, f"{origin}: targets") for values in given]
        return _read(parts[0], len(arrays[0]), origin), arrays
    named = given if isinstance(given, Mapping) else {"": given}
    targets = {
        str(name): plain_array(values, f"{origin}: targets {name}".strip())
        for name, values in named.items()
    }
    for name, values in targets.items():
        _require_entries(values, f"targets {name}".strip(), origin)
    n_items = next((len(values) for values in targets.values()), None)
    return _read(parts[0], n_items, origin), targets


def _read(given: Any, n_items: int | None, origin: str) -> _Read:
    """Return the inputs of a batch as arrays of their own: a loader may fill its arrays anew."""
    is_list = isinstance(given, list) and len(given) > 0
    if is_list and all(isinstance(x, np.ndarray | Tensor) and x.ndim for x in given):
        return _Listed([plain_array(x, f"{origin}: inputs") for x in given], n_items)
    return arrays_by_name({ALONE: given} if isinstance(given, list) else _each(given), origin)


def _told_apart(given: Sequence[_Read], origin: str) -> Iterator[dict[str | int, NDArray[Any]]]:
    """Yield the inputs of batches; what lists are, is the same in all of them.

    A list of two arrays may be two inputs of a batch, or a batch of two items. The last batch may
    have any size: the others tell.

    Raises:
        DataError: If they do not have an entry for each item, or nothing tells.
    """
    lists = [each for each in given if isinstance(each, _Listed)]
    several = all(each.may_be_several for each in lists)
    if several and all(each.may_be_items for each in lists):
        if any(each.n_items is not None for each in lists):
            n = len(lists[0].arrays)
            raise DataError(
                f"{origin}: each batch has {n} items and a list of {n} arrays, which may be {n} "
                "inputs or as many items: give inputs as a mapping by name, or as one array"
            )
        several = False
    for each in given:
        if not isinstance(each, _Listed):
            yield each
        elif several:
            yield arrays_by_name(dict(enumerate(each.arrays)), origin)
        else:
            yield arrays_by_name({ALONE: each.arrays}, origin)


def _each(inputs: Any) -> Mapping[str | int, Any]:
    """Return what may be several inputs, by name or by position; else what is one alone."""
    if isinstance(inputs, Mapping):
        return {str(name): values for name, values in inputs.items()}
    if isinstance(inputs, tuple) and isinstance(getattr(inputs, "_fields", None), tuple):
        return dict(zip(inputs._fields, inputs, strict=True))  # type: ignore[attr-defined]
    return dict(enumerate(inputs)) if isinstance(inputs, tuple | list) else {ALONE: inputs}


def _listed(keys: Iterable[str | int]) -> str:
    return ", ".join(map(input_called, keys))


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


def _joined(parts: list[NDArray[Any]], what: str, origin: str) -> NDArray[Any]:
    shapes = sorted({part.shape[1:] for part in parts})
    if len(shapes) > 1:
        raise DataError(
            f"{what} of {origin} come in batches of items of different shapes, "
            f"{', '.join(map(str, shapes))}: bring all to one shape, the batch first"
        )
    return np.concatenate(parts)
