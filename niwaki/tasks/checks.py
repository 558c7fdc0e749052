"""Checks of what users give, which also bring targets to the shapes of `TaskKind`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import DataError
from niwaki.core.registry import nearest
from niwaki.tasks.arrays import Arrays
from niwaki.tasks.base import SplitName
from niwaki.tasks.preprocessing import AS_GIVEN, LAYOUTS, default_scale
from niwaki.tasks.statistics import RunningMoments, spread_of
from niwaki.tasks.task import Task, TaskKind

PADDED = (
    "What items have more or less of, such as boxes, is padded to the most that one has, as in "
    "(n, most_boxes, 5), with rows that your metric and loss leave out"
)
"""What becomes of ragged targets, which are mostly a list, or have rows of all items in one."""

_CHUNK = 256  # items looked at together, so that a check needs little memory beside the data
_SHAPES = {
    TaskKind.CLASSIFICATION: "(n,)",
    TaskKind.SEGMENTATION: "(n, h, w) or (n, length); of volumes, (n, depth, h, w)",
    TaskKind.TAGGING: "(n, length)",
    TaskKind.DEPTH: "(n, h, w) or (n, n_outputs, h, w)",
    TaskKind.REGRESSION: "(n, n_outputs)",
}


@dataclass(frozen=True, eq=False)
class Given:
    """Items as a user gave them, not yet looked at.

    Attributes:
        arrays: Inputs and targets.
        origin: Where they come from, in the user's own words: a file, a function.
    """

    arrays: Arrays
    origin: str


def checked(given: Given, tasks: Sequence[Task]) -> Arrays:
    """Return the same items with targets in canonical shapes.

    Raises:
        DataError: If there are no items, a task's targets are missing or of the wrong shape, a
            label is outside its classes, or a number is not finite.
    """
    inputs, origin = given.arrays.inputs, given.origin
    if inputs.ndim == 0 or len(inputs) == 0:
        raise DataError(
            f"{origin} has no items (inputs of shape {inputs.shape}): give at least one"
        )
    if inputs.dtype.kind not in "uif":
        raise DataError(f"{origin}: inputs are of type {inputs.dtype}, but numbers are needed")
    require_finite(inputs, f"{origin}: inputs")
    targets = {
        task.name: _target(task, _named(given, task), inputs=inputs, origin=origin)
        for task in tasks
    }
    return Arrays(inputs, targets)


def require_finite(values: NDArray[Any], what: str) -> None:
    """Check that numbers are finite, in float32 too.

    Raises:
        DataError: With the first that is not, and its index.
    """
    if values.dtype.kind != "f":
        return
    _refuse(values, lambda chunk: ~np.isfinite(chunk), what, "remove such items, or fill them in")
    _require_float32(values, what)


def require_same_shapes(splits: Mapping[SplitName, Arrays]) -> None:
    """Check that items of all splits have one shape.

    Raises:
        DataError: With the two splits that differ.
    """
    train = splits[SplitName.TRAIN].shapes
    for split, arrays in splits.items():
        for name, shape in arrays.shapes.items():
            if shape != train[name]:
                raise DataError(
                    f"{name} have shape {train[name]} per item in the train split, but {shape} in "
                    f"the {split} split: make them equal"
                )


def require_one_scale(splits: Mapping[SplitName, Arrays]) -> None:
    """Check that what scales the train inputs suits those of all splits.

    Raises:
        DataError: With two splits whose inputs have ranges of their own, such as bytes and floats.
    """
    train = splits[SplitName.TRAIN].inputs.dtype
    for split, arrays in splits.items():
        dtype = arrays.inputs.dtype
        if default_scale(dtype) != default_scale(train):
            raise DataError(
                f"inputs are of type {train} in the train split, but {dtype} in the {split} split, "
                "and all are scaled alike: give them one type and range"
            )


def require_known_targets(splits: Mapping[SplitName, Arrays], tasks: Sequence[Task]) -> None:
    """Check that each split that is learnt from or judged by has a known target of each task.

    Raises:
        DataError: With a split and a task for which all of them are to be ignored.
    """
    for split, arrays in splits.items():
        if split is SplitName.CALIBRATION:  # of which the inputs alone are looked at
            continue
        for task in tasks:
            if not any(
                _known(chunk, task).any() for _, chunk in _chunks(arrays.targets[task.name])
            ):
                nothing = "NaN" if task.ignore_index is None else str(task.ignore_index)
                raise DataError(
                    f"task '{task.name}' has no known target in the {split} split, where all are "
                    f"{nothing}: label some of its {len(arrays)} items, or divide them otherwise"
                )


def _known(targets: NDArray[Any], task: Task) -> NDArray[np.bool_]:
    if task.kind is TaskKind.CUSTOM:  # where targets are padded, its functions know alone
        return np.ones(1, np.bool_)
    if task.kind.has_values:
        return np.asarray(~np.isnan(targets))
    return np.asarray(targets != task.ignore_index)


def absent_classes(tasks: Sequence[Task], train: Arrays) -> tuple[str, ...]:
    """Return a sentence for each task some of whose classes never occur in the train targets."""
    sentences = []
    for task in tasks:
        if not task.kind.has_classes:
            continue
        chunks = _chunks(train.targets[task.name])
        present = {int(label) for _, chunk in chunks for label in np.unique(chunk)}
        absent = [name for i, name in enumerate(task.classes) if i not in present]
        if absent:
            sentences.append(
                f"task '{task.name}': no train item shows {_some(absent)}, so that "
                f"{'this class' if len(absent) == 1 else 'these classes'} cannot be learnt"
            )
    return tuple(sentences)


def missing_values(tasks: Sequence[Task], train: Arrays) -> tuple[str, ...]:
    """Return a sentence for each task some of whose real train targets are NaN."""
    sentences = []
    for task in tasks:
        if not task.kind.has_values:
            continue
        targets = train.targets[task.name]
        n_missing = sum(int(np.isnan(chunk).sum()) for _, chunk in _chunks(targets))
        if n_missing:
            sentences.append(
                f"task '{task.name}': {_part(n_missing, targets.size)} of the train targets are "
                "NaN and do not count"
            )
    return tuple(sentences)


def unknown_outputs(tasks: Sequence[Task], train: Arrays) -> tuple[str, ...]:
    """Return a sentence for each task of which some outputs have no train target."""
    sentences = []
    for task in tasks:
        if not task.kind.has_values:
            continue
        targets = train.targets[task.name]
        known = np.zeros(targets.shape[1], np.bool_)
        for _, chunk in _chunks(targets):
            known |= (~np.isnan(chunk)).any(axis=(0, *range(2, chunk.ndim)))
        if not known.all():
            outputs = [str(output) for output in np.flatnonzero(~known)]
            sentences.append(
                f"task '{task.name}': no train item has a target of output"
                f"{'' if len(outputs) == 1 else 's'} {_some(outputs)}, which cannot be learnt"
            )
    return tuple(sentences)


def constant_outputs(tasks: Sequence[Task], train: Arrays) -> tuple[str, ...]:
    """Return a sentence for each task of which some outputs, not all, never change in train."""
    sentences = []
    for task in tasks:
        targets = train.targets[task.name]
        if not task.kind.has_values or targets.shape[1] == 1:
            continue
        moments = RunningMoments()
        for _, chunk in _chunks(targets):
            moments.update(chunk)
        still = (spread_of(moments) == 0.0) & (moments.n > 0)
        same = [str(output) for output in np.flatnonzero(still)]
        if same:
            outputs = "output" if len(same) == 1 else "outputs"
            sentences.append(
                f"task '{task.name}': the train targets of {outputs} {_some(same)} never change, "
                "and yet they count in its scores"
            )
    return tuple(sentences)


def unlike_types(splits: Mapping[SplitName, Arrays]) -> tuple[str, ...]:
    """Return a sentence for each split whose inputs seem to be scaled unlike those of train."""
    train = splits[SplitName.TRAIN].inputs.dtype
    return tuple(
        f"inputs are of type {train} in the train split, but {arrays.inputs.dtype} in the {split} "
        "split, and reach the network as they are: give them one type and range"
        for split, arrays in splits.items()
        if default_scale(arrays.inputs.dtype) != default_scale(train)
    )


def _named(given: Given, task: Task) -> NDArray[Any]:
    targets = given.arrays.targets
    if task.name not in targets:
        raise DataError(
            f"{given.origin} has no targets for task '{task.name}'"
            f"{nearest(task.name, list(targets))} There are {_some(list(targets))}"
        )
    return targets[task.name]


def require_fitting_layout(tasks: Sequence[Task], items: Arrays, layout: str) -> None:
    """Raise if targets have other places than inputs in a layout, and the same in another one.

    Raises:
        DataError: With the layout that fits.
    """
    shape = items.inputs.shape
    found = _places(shape, layout)
    for task in tasks:
        if task.kind not in (TaskKind.SEGMENTATION, TaskKind.DEPTH) or found is None:
            continue
        wanted = items.targets[task.name].shape[1 if task.kind.has_classes else 2 :]
        fitting = [each for each in LAYOUTS if _places(shape, each) == wanted]
        if fitting and found != wanted:
            raise DataError(
                f"task '{task.name}' has targets of shape {wanted}, but inputs of shape {shape} "
                f"have {found} in layout {layout}: set 'layout' to {fitting[0]}"
            )


def _places(shape: tuple[int, ...], layout: str) -> tuple[int, ...] | None:
    """Return the sizes of the axes that are neither items nor channels; None if it cannot be."""
    if layout not in LAYOUTS or layout == AS_GIVEN or len(layout) != len(shape):
        return None
    return tuple(size for size, axis in zip(shape, layout, strict=True) if axis not in "NC")


def _target(task: Task, values: NDArray[Any], *, inputs: NDArray[Any], origin: str) -> NDArray[Any]:
    where = f"{origin}: task '{task.name}'"
    custom = task.kind is TaskKind.CUSTOM
    if values.ndim == 0 or len(values) != len(inputs):
        padded = f". {PADDED}" if custom else ""
        raise DataError(
            f"{where} has targets of shape {values.shape} for inputs of shape {inputs.shape}: "
            f"give as many targets as inputs{padded}"
        )
    if custom:
        if values.dtype.kind not in "buif":
            raise DataError(
                f"{where} has targets of type {values.dtype}, but numbers are needed. {PADDED}"
            )
        return values
    shaped = _shaped(task, values, inputs.ndim, where)
    if task.kind.has_classes:
        _require_labels(task, shaped, where)
        return shaped
    if shaped.dtype.kind not in "uif":
        raise DataError(f"{where} has targets of type {values.dtype}, but numbers are needed")
    _require_known(shaped, f"{where}: targets")
    return shaped if shaped.dtype.kind == "f" else shaped.astype(np.float32)


def _shaped(task: Task, values: NDArray[Any], n_axes: int, where: str) -> NDArray[Any]:
    """Add or drop an axis of one, where that is all that is missing; inputs have `n_axes`."""
    match task.kind, values.ndim:
        case (TaskKind.SEGMENTATION, 4) if n_axes == 5:
            return values
        case (TaskKind.CLASSIFICATION, 1) | (TaskKind.SEGMENTATION, 2 | 3) | (TaskKind.TAGGING, 2):
            return values
        case (TaskKind.CLASSIFICATION, 2) | (TaskKind.SEGMENTATION, 4 | 5) if values.shape[1] == 1:
            return values[:, 0]
        case (TaskKind.SEGMENTATION, 4) if n_axes == 2:  # several inputs, side by side
            return values
        case (TaskKind.REGRESSION, 2) if values.shape[1] == task.n_outputs:
            return values
        case (TaskKind.DEPTH, n) if n > 2 and values.shape[1] == task.n_outputs:
            return values
        case (TaskKind.DEPTH, 3) | (TaskKind.REGRESSION, 1) if task.n_outputs == 1:
            return values[:, None]
    n_outputs = "" if task.kind.has_classes else f" with n_outputs = {task.n_outputs}"
    raise DataError(
        f"{where} has targets of shape {values.shape}, but a {task.kind} task{n_outputs} needs "
        f"{_SHAPES[task.kind]}: give that shape, or declare another kind"
    )


def _require_labels(task: Task, labels: NDArray[Any], where: str) -> None:
    if labels.dtype.kind not in "uib":
        raise DataError(f"{where} has labels of type {labels.dtype}: give integers")
    for start in range(0, len(labels), _CHUNK):
        chunk = labels[start : start + _CHUNK]
        outside = (chunk < 0) | (chunk >= task.n_outputs)
        if task.ignore_index is not None:
            outside &= chunk != task.ignore_index
        if outside.any():
            first = np.argwhere(outside)[0]
            index = (start + int(first[0]), *(int(axis) for axis in first[1:]))
            ignored = task.ignore_index
            left_out = "" if ignored is None else f", and {ignored} is where none counts"
            raise DataError(
                f"{where} has label {chunk[tuple(first)]} at index {_spelled(index)}, but its "
                f"{task.n_outputs} classes are 0 to {task.n_outputs - 1}{left_out}: correct the "
                "label, or declare more classes"
            )


def _require_known(values: NDArray[Any], what: str) -> None:
    """Check that real targets are finite where they are known; NaN says that one is not."""
    if values.dtype.kind != "f":
        return
    _refuse(values, np.isinf, what, "give numbers, or NaN where there is no label")
    _require_float32(values, what)


def _require_float32(values: NDArray[Any], what: str) -> None:
    if values.dtype.itemsize > np.dtype(np.float32).itemsize:
        largest = float(np.finfo(np.float32).max)
        remedy = f"networks compute in float32, which ends at {largest:.2g}: scale them down"
        _refuse(values, lambda chunk: np.abs(chunk) > largest, what, remedy)


def _refuse(
    values: NDArray[Any],
    is_bad: Callable[[NDArray[Any]], NDArray[np.bool_]],
    what: str,
    remedy: str,
) -> None:
    """Raise on the first value that is bad, with its index; in pieces, as arrays may be large."""
    for start, chunk in _chunks(values):
        bad = is_bad(chunk)
        if bad.any():
            first = np.argwhere(bad)[0]
            index = (start + int(first[0]), *(int(axis) for axis in first[1:]))
            raise DataError(
                f"{what} hold {chunk[tuple(first)]} at index {_spelled(index)}: {remedy}"
            )


def _part(n: int, total: int) -> str:
    """Spell a part of a total, 0 < n <= total, so that few are not none, nor most of them all."""
    if 0.001 <= n / total <= 0.999 or n == total:
        return f"{n / total:.1%}"
    return f"{n:,}" if n < total / 2 else f"all but {total - n:,}"


def _chunks(values: NDArray[Any]) -> Iterator[tuple[int, NDArray[Any]]]:
    for start in range(0, len(values), _CHUNK):
        yield start, values[start : start + _CHUNK]


def _spelled(index: tuple[int, ...]) -> str:
    return str(index[0]) if len(index) == 1 else str(index)


def _some(names: Sequence[str], limit: int = 10) -> str:
    shown = ", ".join(names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown or "none"
