"""Data for a model whose tasks nobody declared: told by its outputs and the targets, or by itself.

Without targets, the model's own answers are what its smaller versions have to give: class scores
become labels, so that the score is the share of inputs on which both name the same class, and other
outputs become values.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from niwaki.compress.pruning.model_calls import named_tensors, repeatable
from niwaki.core.errors import DataError
from niwaki.core.user_randomness import seeded
from niwaki.core.wording import kind_of
from niwaki.evaluation.compression.faithful import other_output
from niwaki.evaluation.compression.parts import calls_of_part
from niwaki.evaluation.compression.plain_calls import note_answers, take_integers
from niwaki.export.torch_outputs import named_outputs
from niwaki.export.user_code import place_of
from niwaki.tasks.arrays import Arrays
from niwaki.tasks.assembly import Preparation, declared_tasks, prepare
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.checks import Given, require_finite
from niwaki.tasks.preprocessing import AS_GIVEN
from niwaki.tasks.python_loaders import loaders_by_split, loaders_from, plain_array
from niwaki.tasks.task import TaskKind, TaskSettings

_BATCH = 256
_ORIGIN = "the loaders"
_DECLARE = "declare the tasks in a configuration with `data: {kind: python, tasks: ...}`"


def infer_data(function: str, module: nn.Module, *, seed: int) -> TaskData:
    """Return tasks and splits for a model, from what a function's loaders give.

    Args:
        function: `path/to/file.py:name` or `package.module:name`; called without arguments, it
            returns a mapping from split name to an iterable of batches: inputs alone, or pairs of
            inputs and targets, targets by name where the model has several outputs, or in order
            where it returns a tuple. Splits that are missing are carved from train.
        module: The trained model, in evaluation mode.
        seed: Of the carving.

    Raises:
        ConfigError: If the function is not found.
        DataError: If what it gives does not fit the model's outputs.
    """
    return _inferred(loaders_from(function), module, f"'{function}'", seed=seed)


def infer_from(loaders: Mapping[str, Iterable[Any]], module: nn.Module, *, seed: int) -> TaskData:
    """Return tasks and splits as `infer_data` does, from the loaders themselves.

    Raises:
        DataError: If they do not fit the model's outputs, or there are none for train.
    """
    return _inferred(_by_split(loaders), module, _ORIGIN, seed=seed)


def infer_for_part(
    loaders: Mapping[str, Iterable[Any]],
    whole: nn.Module,
    path: str,
    part: nn.Module,
    *,
    seed: int,
) -> TaskData:
    """Return data for a part of a model: to answer as it does inside of the model.

    Args:
        loaders: Batches by split name, as the whole model takes them; targets are not used.
        whole: The model, in evaluation mode.
        path: Of the part in it.
        part: What is to be compressed.
        seed: Of the carving.

    Raises:
        DataError: If the model does not run on the inputs, or the part takes or returns something
            else than one tensor.
    """
    calls: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for name, loader in _by_split(loaders).items():
        origin = f"{_ORIGIN}, split {name}"
        inputs = _read(loader, origin).inputs
        _require_runs(whole, inputs[:2], origin)
        calls[name] = calls_of_part(whole, path, _batches(inputs))
    return infer_from(calls, part, seed=seed)


def _by_split(loaders: object) -> dict[SplitName, Iterable[Any]]:
    if not isinstance(loaders, Mapping):
        raise DataError(
            f"the tasks are {kind_of(loaders)}, but loaders are given by split: give "
            '{"train": batches}, and "test" and others where there are any'
        )
    return loaders_by_split(loaders, _ORIGIN)


def _inferred(
    loaders: Mapping[SplitName, Iterable[Any]], module: nn.Module, origin: str, *, seed: int
) -> TaskData:
    read = {split: _read(loader, f"{origin}, split {split}") for split, loader in loaders.items()}
    first = read[SplitName.TRAIN].inputs[:2]
    _require_runs(module, first, origin)
    note_answers(module, _as_called(first))
    names = output_names(module, first)
    gathered = {
        split: _gathered(batches, len(names), f"{origin}, split {split}")
        for split, batches in read.items()
    }
    _require_targets(gathered, origin)
    named = {split: _by_output(items, names) for split, items in gathered.items()}
    settings = _settings(module, named[SplitName.TRAIN], names, origin)
    places = {split: f"{origin}, split {split}" for split in named}
    given = {
        split: Given(_with_answers(items, module, settings, places[split]), places[split])
        for split, items in named.items()
    }
    for name in set(settings) - set(named[SplitName.TRAIN].targets):
        if TaskKind(settings[name].kind).has_classes:
            _require_several_classes(given[SplitName.TRAIN].arrays.targets[name], name)
    shaped = {split: _shaped(items, settings) for split, items in given.items()}
    preparation = Preparation(AS_GIVEN)
    return prepare(declared_tasks(settings), shaped, preparation, seed=seed)


def _require_runs(module: nn.Module, inputs: NDArray[Any], origin: str) -> None:
    """Check that the model runs, and answers as it does to inputs of the type that is given.

    One that fails on float inputs, or answers otherwise, is given integers from then on.

    Raises:
        DataError: If it fails on these inputs: names the line of its code. If neither is answered
            as what is given is.
    """
    is_whole = inputs.dtype.kind in "iub"
    wanted = _answer(module, inputs) if is_whole else None
    failure, other = _failure(module, inputs), _other(module, inputs, wanted)
    if is_whole and (failure is not None or other):
        take_integers(module)
        again = _failure(module, inputs)
        other = _other(module, inputs, wanted) if again is None else other
        failure = again if failure is not None else None
    if failure is not None:
        raise _fails(module, inputs.shape, origin, failure) from failure
    if other:
        raise DataError(
            f"the model goes by the type of its inputs: those of {origin} are {inputs.dtype}, and "
            f"its output '{other}' is another for the same numbers in float32, in which all inputs "
            "arrive. Give inputs in float32, in the numbers that the model was trained on"
        )


def _fails(module: nn.Module, shape: tuple[int, ...], origin: str, failure: Exception) -> DataError:
    place = place_of(failure)
    where = f" at {place}" if place else ""
    return DataError(
        f"the model fails on inputs of shape {shape} from {origin}{where}: "
        f"{type(failure).__name__}: {failure}. {_remedy(module)}"
    )


def _other(
    module: nn.Module, inputs: NDArray[Any], wanted: Mapping[str, NDArray[Any]] | None
) -> str:
    """Return the output that is another than for inputs as they were given, if that is known."""
    found = None if wanted is None else _answer(module, inputs.astype(np.float32))
    return "" if wanted is None or found is None else other_output(wanted, found)


def _answer(module: nn.Module, inputs: NDArray[Any]) -> dict[str, NDArray[Any]] | None:
    """Return what a model answers; None if it fails."""
    try:
        with torch.no_grad(), repeatable(module):
            answer = list(named_tensors(module(torch.from_numpy(inputs))))
    except Exception:  # the model's own code runs here: it may raise anything
        return None
    return {name or "output": values.detach().float().cpu().numpy() for name, values in answer}


def _remedy(module: nn.Module) -> str:
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            kind = str(tensor.dtype).removeprefix("torch.")
            return f"Its '{name}' is {kind}, and inputs arrive as float32: give `model.float()`"
    return (
        "Give it the inputs that it takes, batch first; they arrive as one float32 tensor, or as "
        "integers if they are"
    )


def _failure(module: nn.Module, inputs: NDArray[Any]) -> Exception | None:
    try:
        with torch.no_grad():
            module(_as_called(inputs))
    except Exception as error:  # the model's own code runs here: it may raise anything
        return error
    return None


def output_names(module: nn.Module, inputs: NDArray[Any]) -> list[str]:
    """Return a name for each output of a model: keys of a mapping, or `output`, `output_1`, ..."""
    with torch.no_grad():
        answer = module(_as_called(inputs))
    if isinstance(answer, Mapping):
        return [str(name) for name in answer]
    return _names_by_position(len(answer) if isinstance(answer, tuple | list) else 1)


def _names_by_position(n: int) -> list[str]:
    return ["output", *(f"output_{i}" for i in range(1, n))]


@dataclass(frozen=True, eq=False)
class _Batches:
    """One split as read: the targets of each batch by name, or one array each of something."""

    inputs: NDArray[Any]
    targets: list[dict[str, NDArray[Any]] | list[NDArray[Any]]]


@dataclass(frozen=True, eq=False)
class _Items:
    """One split as given: targets by output name, under "" if there is one array of them."""

    inputs: NDArray[Any]
    targets: Mapping[str, NDArray[Any]]


def _read(loader: Iterable[Any], origin: str) -> _Batches:
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
    require_finite(whole, f"{origin}: inputs")
    return _Batches(whole, targets)


def _gathered(batches: _Batches, n_outputs: int, origin: str) -> _Items:
    """Return a split with the targets of all its batches joined, by name."""
    targets: dict[str, list[NDArray[Any]]] = {}
    by_item = _are_by_item(batches.targets, n_outputs)
    for given in batches.targets:
        if isinstance(given, dict):
            named = given
        elif by_item and _may_be_by_item(given):
            named = {"": np.stack(given)}
        else:
            named = dict(zip(_names_by_position(len(given)), given, strict=True))
        for name, values in named.items():
            targets.setdefault(name, []).append(values)
    joined = {
        name: _joined(parts, f"targets {name}".strip(), origin) for name, parts in targets.items()
    }
    return _Items(batches.inputs, joined)


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


def _require_targets(gathered: Mapping[SplitName, _Items], origin: str) -> None:
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


def _by_output(items: _Items, names: list[str]) -> _Items:
    """Return the items with their targets by output name.

    Raises:
        DataError: If they do not fit the names.
    """
    targets = dict(items.targets)
    if "" in targets:
        if len(names) > 1:
            raise DataError(
                f"the model has outputs {', '.join(names)}, but targets came as one array: give a "
                "mapping by these names"
            )
        targets[names[0]] = targets.pop("")
    if unknown := sorted(set(targets) - set(names)):
        raise DataError(
            f"there are targets for '{unknown[0]}', but the model's outputs are "
            f"{', '.join(names)}: give targets these names, or return a mapping with yours"
        )
    return _Items(items.inputs, targets)


def _with_answers(
    items: _Items, module: nn.Module, settings: Mapping[str, TaskSettings], origin: str
) -> Arrays:
    """Return the items with a target for each output: the one given, else the model's answer."""
    targets = dict(items.targets)
    if missing := [name for name in settings if name not in targets]:
        answers = _answers(module, items.inputs, list(settings), origin)
        _require_finite(answers)
        targets |= {name: _as_target(answers[name], settings[name]) for name in missing}
    return Arrays(items.inputs, targets)


def _require_several_classes(labels: NDArray[Any], name: str) -> None:
    """Check that there is something to agree about.

    Raises:
        DataError: If a model names one class for several inputs.
    """
    if len(labels) > 1 and (labels == labels[0]).all():
        raise DataError(
            f"the model's output '{name}' is class {labels[0]} for all {len(labels)} train inputs, "
            "so a smaller one would have nothing to learn from it: give inputs that it tells "
            "apart, as it was trained on, or targets"
        )


def _batches(inputs: NDArray[Any]) -> Iterator[Tensor]:
    for start in range(0, len(inputs), _BATCH):
        yield _as_called(inputs[start : start + _BATCH])


def _as_called(inputs: NDArray[Any]) -> Tensor:
    return torch.from_numpy(inputs.astype(np.float32))


def _answers(
    module: nn.Module, inputs: NDArray[Any], names: list[str], origin: str
) -> dict[str, NDArray[np.float32]]:
    """Return what the model answers to all inputs.

    Raises:
        DataError: If it fails on some of them.
    """
    pieces: list[dict[str, NDArray[np.float32]]] = []
    with torch.no_grad():
        for batch in _batches(inputs):
            try:
                answered = module(batch)
            except Exception as error:  # the model's own code runs here: it may raise anything
                raise _fails(module, tuple(batch.shape), origin, error) from error
            answer = named_outputs(answered, names)
            _require_batch_first(answer, len(batch))
            pieces.append({name: values.numpy() for name, values in answer.items()})
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in names}


def _require_finite(answers: Mapping[str, NDArray[np.float32]]) -> None:
    for name, values in answers.items():
        n_lost = int((~np.isfinite(values.reshape(len(values), -1)).all(axis=1)).sum())
        if n_lost:
            raise DataError(
                f"the model's output '{name}' is NaN or infinite for {n_lost} of {len(values)} "
                "inputs: there is nothing to be learnt from it. Look for a division, a logarithm "
                "or inputs of another scale than it was trained with"
            )


def _require_batch_first(answer: Mapping[str, Tensor], n_items: int) -> None:
    for name, values in answer.items():
        if values.ndim < 2 or len(values) != n_items:
            raise DataError(
                f"the model's output '{name}' has shape {tuple(values.shape)} for {n_items} "
                "inputs, but the batch comes first: return one row for each input"
            )


def _as_target(answer: NDArray[np.float32], task: TaskSettings) -> NDArray[Any]:
    """Return scores of classes as labels, and anything else as it is."""
    if not TaskKind(task.kind).has_classes:
        return answer
    labels: NDArray[np.int64] = answer.argmax(axis=TaskKind(task.kind).class_axis)
    return labels


def _settings(
    module: nn.Module, items: _Items, names: list[str], origin: str
) -> dict[str, TaskSettings]:
    outputs = _answers(module, items.inputs[:2], names, origin)
    _require_finite({name: outputs[name] for name in items.targets})  # others are counted later
    return {name: _task(name, outputs[name], items.targets.get(name)) for name in names}


def _task(name: str, output: NDArray[np.float32], target: NDArray[Any] | None) -> TaskSettings:
    """Return the task that an output and its targets tell; without targets, scores are of classes.

    Raises:
        DataError: If they tell none.
    """
    n_outputs = output.shape[1]
    if output.dtype.kind != "f" and (target is None or target.dtype.kind != "f"):
        raise DataError(
            f"output '{name}' is of type {output.dtype}, and from choices that are made already, "
            "nothing can be learnt: return the scores that they are made from in its place, or "
            "leave it out of what the model returns"
        )
    if target is None:
        is_scores = output.ndim == 2 and n_outputs > 1
        target = output.argmax(axis=1) if is_scores else output
    if target.dtype.kind in "iub" and n_outputs > 1:
        if (output.ndim, target.ndim) == (2, 1):
            return TaskSettings("classification", classes=n_outputs)
        if output.ndim == 3 and target.shape[1:] == output.shape[1:2]:
            return TaskSettings("tagging", classes=output.shape[2])
        if output.ndim in (3, 4) and target.shape[1:] == output.shape[2:]:
            return TaskSettings("segmentation", classes=n_outputs)
    shapes = [output.shape[1:], ()] if output.shape[1:] == (1,) else [output.shape[1:]]
    if target.dtype.kind == "f" and target.shape[1:] in shapes:
        kind = "regression" if output.ndim == 2 else "depth"
        return TaskSettings(kind, n_outputs=n_outputs)
    raise DataError(
        f"output '{name}' has shape {output.shape} and its targets {target.shape} of type "
        f"{target.dtype}, which is no task that can be told by itself: {_DECLARE}"
    )


def _shaped(given: Given, settings: Mapping[str, TaskSettings]) -> Given:
    """Return the items with a column for targets that are single numbers."""
    targets = {
        name: values[:, None]
        if settings[name].kind == "regression" and values.ndim == 1
        else values
        for name, values in given.arrays.targets.items()
    }
    return Given(Arrays(given.arrays.inputs, targets), given.origin)
