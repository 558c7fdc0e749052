"""Data for a model whose tasks nobody declared: told by its outputs and the targets, or by itself.

Without targets, the model's own answers are what its smaller versions have to give: class scores
become labels, so that the score is the share of inputs on which both name the same class, and other
outputs become values. Which they are, `taken_for` says.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from niwaki.core.errors import ConfigError, DataError
from niwaki.core.wording import kind_of
from niwaki.evaluation.compression.given_data.answers import not_batch_first
from niwaki.evaluation.compression.given_data.asked_tasks import asked_tasks, is_of_ones_own
from niwaki.evaluation.compression.given_data.given_batches import (
    GivenInputs,
    Items,
    by_output,
    gather,
    names_by_position,
    read_split,
    require_targets,
)
from niwaki.evaluation.compression.given_data.taken_for import are_embeddings, taken_for
from niwaki.evaluation.compression.given_model.arguments import arguments_of
from niwaki.evaluation.compression.given_model.first_call import fails, remedy
from niwaki.evaluation.compression.given_model.input_type import as_called, settle_input_type
from niwaki.evaluation.compression.given_model.plain_calls import note_answers
from niwaki.evaluation.compression.given_model.several_inputs import inputs_of, together
from niwaki.evaluation.compression.parts import calls_of_part
from niwaki.export.torch_outputs import named_outputs
from niwaki.tasks.arrays import Arrays
from niwaki.tasks.assembly import Preparation, declared_tasks, prepare
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.checks import Given
from niwaki.tasks.own import Scoring
from niwaki.tasks.preprocessing import AS_GIVEN
from niwaki.tasks.python_loaders import loaders_by_split, loaders_from
from niwaki.tasks.task import TaskKind, TaskSettings

_BATCH = 256
_ORIGIN = "the loaders"
Check: TypeAlias = Callable[[Tensor], None]
NO_SCORING: Mapping[str, Scoring] = MappingProxyType({})
_AXES = {
    TaskKind.CLASSIFICATION: (2,),
    TaskKind.REGRESSION: (2,),
    TaskKind.TAGGING: (3,),
    TaskKind.SEGMENTATION: (3, 4, 5),
    TaskKind.DEPTH: (3, 4, 5),
}
_DECLARE = "declare the tasks in a configuration with `data: {kind: python, tasks: ...}`"


def _nothing(inputs: Tensor) -> None:
    """Check nothing."""


def infer_data(
    function: str,
    module: nn.Module,
    *,
    seed: int,
    check: Check = _nothing,
    scoring: Mapping[str, Scoring] = NO_SCORING,
) -> TaskData:
    """Return tasks and splits for a model, from what a function's loaders give.

    Args:
        function: `path/to/file.py:name` or `package.module:name`; called without arguments, it
            returns a mapping from split name to an iterable of batches: inputs alone, or pairs of
            inputs and targets, targets by name where the model has several outputs, or in order
            where it returns a tuple. Splits that are missing are carved from train.
        module: The trained model, in evaluation mode.
        seed: Of the carving.
        check: Called with two inputs, (2, ...) float32, before the model is.
        scoring: How outputs are scored and trained, by name, in the place of what their shapes
            tell; an empty name is that of the only output.

    Raises:
        ConfigError: If the function is not found, or there is no such output.
        DataError: If what it gives does not fit the model's outputs.
    """
    loaders, origin = loaders_from(function), f"'{function}'"
    return _inferred(loaders, module, origin, seed=seed, check=check, scoring=scoring)


def infer_from(
    loaders: Mapping[str, Iterable[Any]],
    module: nn.Module,
    *,
    seed: int,
    check: Check = _nothing,
    scoring: Mapping[str, Scoring] = NO_SCORING,
) -> TaskData:
    """Return tasks and splits as `infer_data` does, from the loaders themselves.

    Raises:
        DataError: If they do not fit the model's outputs, or there are none for train.
    """
    return _inferred(_by_split(loaders), module, _ORIGIN, seed=seed, check=check, scoring=scoring)


def infer_for_part(
    loaders: Mapping[str, Iterable[Any]],
    whole: nn.Module,
    path: str,
    part: nn.Module,
    *,
    seed: int,
    check: Check = _nothing,
    check_whole: Check = _nothing,
) -> TaskData:
    """Return data for a part of a model: to answer as it does inside of the model.

    Args:
        loaders: Batches by split name, as the whole model takes them; targets are not used.
        whole: The model, in evaluation mode.
        path: Of the part in it.
        part: What is to be compressed.
        seed: Of the carving.
        check: Of the part, as of `infer_data`.
        check_whole: Of the whole model.

    Raises:
        DataError: If the model does not run on the inputs, or the part takes or returns something
            else than one tensor.
    """
    origins = {split: f"{_ORIGIN}, split {split}" for split in SplitName}
    takes = arguments_of(whole).takes
    read = {
        split: read_split(loader, origins[split]).apart(takes).inputs
        for split, loader in _by_split(loaders).items()
    }
    inputs = _settled(whole, read, origins, check_whole)
    calls = {
        str(split): calls_of_part(whole, path, _batches(each)) for split, each in inputs.items()
    }
    return infer_from(calls, part, seed=seed, check=check)


def _by_split(loaders: object) -> dict[SplitName, Iterable[Any]]:
    if not isinstance(loaders, Mapping):
        raise DataError(
            f"the tasks are {kind_of(loaders)}, but loaders are given by split: give "
            '{"train": batches}, and "test" and others where there are any'
        )
    return loaders_by_split(loaders, _ORIGIN)


def _inferred(
    loaders: Mapping[SplitName, Iterable[Any]],
    module: nn.Module,
    origin: str,
    *,
    seed: int,
    check: Check,
    scoring: Mapping[str, Scoring],
) -> TaskData:
    places = {split: f"{origin}, split {split}" for split in SplitName}
    takes = arguments_of(module).takes
    read = {
        split: read_split(loader, places[split]).apart(takes) for split, loader in loaders.items()
    }
    given = {split: batches.inputs for split, batches in read.items()}
    inputs = _settled(module, given, places, check)
    first = inputs[SplitName.TRAIN][:2]
    note_answers(module, as_called(first))
    names = output_names(module, first)
    asked = asked_tasks(names, scoring)
    gathered = {
        split: gather(batches, inputs[split], list(asked), places[split])
        for split, batches in read.items()
    }
    require_targets(gathered, origin)
    named = {split: by_output(items, list(asked), names) for split, items in gathered.items()}
    train, place = named[SplitName.TRAIN], places[SplitName.TRAIN]
    settings, told = _settings(module, train, names, asked, place)
    _require_values(module, named[SplitName.TRAIN], settings, names, origin)
    whole = {
        split: Given(_with_answers(items, module, settings, names, places[split]), places[split])
        for split, items in named.items()
    }
    for name in settings:
        if name not in named[SplitName.TRAIN].targets:
            answers = whole[SplitName.TRAIN].arrays.targets[name]
            told = (*told, *_always_the_same(answers, name, settings[name]))
    shaped = {split: _shaped(items, settings) for split, items in whole.items()}
    preparation = Preparation(AS_GIVEN)
    return prepare(declared_tasks(settings), shaped, preparation, seed=seed, warnings=told)


def _settled(
    module: nn.Module,
    given: Mapping[SplitName, GivenInputs],
    places: Mapping[SplitName, str],
    check: Check,
) -> dict[SplitName, NDArray[Any]]:
    """Return the inputs of each split as one array, of which the model has been proven to run."""
    train_first = {split: given[split] for split in sorted(given, key=SplitName.TRAIN.__ne__)}
    inputs = together(module, train_first, places)
    first = inputs[SplitName.TRAIN][:2]
    check(as_called(first))
    if inputs_of(module) is None:
        settle_input_type(module, first, places[SplitName.TRAIN])
    return inputs


def output_names(module: nn.Module, inputs: NDArray[Any]) -> list[str]:
    """Return a name for each output of a model: keys of a mapping, or `output`, `output_1`, ..."""
    with torch.no_grad():
        answer = module(as_called(inputs))
    if isinstance(answer, Mapping):
        return [str(name) for name in answer]
    return names_by_position(len(answer) if isinstance(answer, tuple | list) else 1)


def _with_answers(
    items: Items,
    module: nn.Module,
    settings: Mapping[str, TaskSettings],
    names: list[str],
    origin: str,
) -> Arrays:
    """Return the items with a target for each task: the one given, else the model's answer.

    Raises:
        DataError: If the model's answer is none.
    """
    targets = dict(items.targets)
    if missing := [name for name in settings if name not in targets]:
        for name in missing:
            if settings[name].kind == TaskKind.CUSTOM:  # whose targets are no answers of a model
                raise DataError(
                    f"{origin} has no targets for task '{name}', which is scored there, too: give "
                    "them, or leave the split out, and it is carved from train"
                )
        answers = _answers(module, items.inputs, names, origin)
        _require_finite({name: answers[name] for name in missing})
        targets |= {name: _as_target(answers[name], settings[name]) for name in missing}
    return Arrays(items.inputs, targets)


def _always_the_same(answers: NDArray[Any], name: str, task: TaskSettings) -> Iterator[str]:
    """Yield what is odd of a model that answers the same to several inputs.

    Raises:
        DataError: If it is a class: then there is nothing to agree about.
    """
    if len(answers) < 2 or not (answers == answers[:1]).all():
        return
    if TaskKind(task.kind).has_classes:
        raise DataError(
            f"the model's output '{name}' is class {answers.flat[0]} for all {len(answers)} train "
            "inputs, so a smaller one would have nothing to learn from it: give inputs that it "
            f"tells apart, as it was trained on, or targets; or, if it is values, say --kind "
            f'{name}=regression (in Python, Scoring(kind="regression"))'
        )
    yield (
        f"the model's output '{name}' is the same for all {len(answers)} train inputs, as grids "
        "and anchors are, so that smaller ones are mostly right in it, and mean_skill is higher "
        "than by the other outputs alone: leave it out of what the model returns, or let a task "
        f"read it with others, as in --task objects={name},... with a metric and a loss of yours"
    )


def _batches(inputs: NDArray[Any]) -> Iterator[Tensor]:
    for start in range(0, len(inputs), _BATCH):
        yield as_called(inputs[start : start + _BATCH])


def _answers(
    module: nn.Module, inputs: NDArray[Any], names: list[str], origin: str
) -> dict[str, NDArray[np.float32]]:
    """Return what the model answers to all inputs.

    Raises:
        DataError: If it fails on some of them, or answers in bfloat16, which numpy has not.
    """
    pieces: list[dict[str, NDArray[np.float32]]] = []
    with torch.no_grad():
        for batch in _batches(inputs):
            try:
                answered = module(batch)
            except Exception as error:  # the model's own code runs here: it may raise anything
                raise fails(module, f"of shape {tuple(batch.shape)}", origin, error) from error
            answer = named_outputs(answered, names)
            _require_batch_first(answer, len(batch))
            for name, values in answer.items():
                if values.dtype == torch.bfloat16:
                    raise DataError(
                        f"output '{name}' is bfloat16, in which nothing is scored here. "
                        f"{remedy(module)}"
                    )
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
    lost = [name for name, v in answer.items() if v.ndim < 2 or len(v) != n_items]
    if lost:
        shape = tuple(answer[lost[0]].shape)
        raise DataError(not_batch_first(lost[0], shape, n_items) + _or_keep(answer, lost))


def _or_keep(names: Iterable[str], lost: Sequence[str]) -> str:
    """Return how to keep other outputs alone; empty if there are none."""
    others = [f"--output {name}" for name in names if name not in lost]
    return f", or keep other outputs alone, as by {' '.join(others)}" if others else ""


def _require_each_by_itself(
    two: Mapping[str, NDArray[Any]], three: Mapping[str, NDArray[Any]]
) -> None:
    """Refuse outputs that have as many columns as there are inputs.

    Raises:
        DataError: On the first of them.
    """
    lost = [name for name in two if two[name].shape[1:] != three[name].shape[1:]]
    if lost:
        raise DataError(
            f"the model's output '{lost[0]}' has shape {two[lost[0]].shape} for 2 inputs, and "
            f"{three[lost[0]].shape} for 3: it compares the inputs of a batch with each other, but "
            "each has to be answered by itself. Return what they are compared by"
            f"{_or_keep(two, lost)}"
        )


def _as_target(answer: NDArray[np.float32], task: TaskSettings) -> NDArray[Any]:
    """Return scores of classes as labels, and anything else as it is."""
    if not TaskKind(task.kind).has_classes:
        return answer
    labels: NDArray[np.int64] = answer.argmax(axis=TaskKind(task.kind).class_axis)
    return labels


def _settings(
    module: nn.Module,
    items: Items,
    names: list[str],
    asked: Mapping[str, Scoring],
    origin: str,
) -> tuple[dict[str, TaskSettings], tuple[str, ...]]:
    """Return the tasks, each scored and trained as was said of it, and what answers have told.

    Raises:
        DataError: If an output and its targets tell no task.
    """
    outputs = _answers(module, items.inputs[:2], names, origin)
    if len(items.inputs) > 2:
        _require_each_by_itself(outputs, _answers(module, items.inputs[:3], names, origin))
    # Others are counted later.
    _require_finite({name: outputs[name] for name in items.targets if name in outputs})
    found, told = {}, list[str]()
    for name, wanted in asked.items():
        target = items.targets.get(name)
        if wanted.outputs and target is None:
            raise DataError(
                f"task '{name}' has no targets in {origin}, to compare {', '.join(wanted.outputs)} "
                "with: give them, or leave the task out, and smaller models learn the values of "
                "these outputs"
            )
        if wanted.outputs:
            task = TaskSettings(TaskKind.CUSTOM, outputs=wanted.outputs)
        elif wanted.kind:
            task = _said(name, outputs[name], wanted)
        else:
            if target is None:
                target = outputs[name]
                if _may_be_scores(target):
                    taken = taken_for(_answers(module, items.inputs[:_BATCH], names, origin)[name])
                    told.append(taken.told(name, target.shape[1]))
                    target = target.argmax(axis=1) if taken.is_choice else target
            _require_learnt(name, outputs, target)
            task = _task(name, outputs[name], target, of_ones_own=is_of_ones_own(wanted))
        found[name] = replace(task, metrics=wanted.metrics, loss=wanted.loss)
    return found, tuple(told)


def _require_learnt(
    name: str, outputs: Mapping[str, NDArray[np.float32]], target: NDArray[Any]
) -> None:
    """Check that an output is of reals, which can be learnt, or compared with such.

    Raises:
        DataError: If it is not.
    """
    kind = outputs[name].dtype
    if kind.kind == "f" or target.dtype.kind == "f":
        return
    why = "from choices that are made already, nothing can be learnt"
    instead = "the scores that it is made from"
    if kind.kind == "c":
        why, instead = "models here answer with reals", "torch.view_as_real of it"
    others = [each for each, values in outputs.items() if values.dtype.kind != "f"]
    raise DataError(
        f"output '{name}' is of type {kind}, and {why}: return {instead} in its place, "
        f"or leave it out of what the model returns{_or_keep(outputs, others)}"
    )


def _may_be_scores(output: NDArray[np.float32]) -> bool:
    return output.dtype.kind == "f" and output.ndim == 2 and output.shape[1] > 1


def _said(name: str, output: NDArray[Any], scoring: Scoring) -> TaskSettings:
    """Return the task of an output of which it was said what it is.

    Raises:
        ConfigError: If there is no such kind, or it is of other outputs.
    """
    given = scoring.kind
    if given == TaskKind.CUSTOM and is_of_ones_own(scoring):
        return TaskSettings(TaskKind.CUSTOM)
    kinds = [kind for kind, n_axes in _AXES.items() if output.ndim in n_axes]
    if output.dtype.kind != "f":
        raise ConfigError(
            f"output '{name}' is said to be '{given}', but is of type {output.dtype}: such choices "
            "can be read by a metric and a loss of your own alone, with the kind custom"
        )
    if given not in kinds:
        raise ConfigError(
            f"output '{name}', of shape {output.shape}, is said to be '{given}': such an output "
            f"may be one of {', '.join(kinds)}, or custom, with a metric and a loss of your own"
        )
    kind = TaskKind(given)
    if kind.has_classes:
        return TaskSettings(given, classes=output.shape[kind.class_axis])
    return TaskSettings(given, n_outputs=output.shape[1])


def _are_last(scores: NDArray[np.float32], target: NDArray[Any]) -> bool:
    """Whether classes lie last in (n, ...) scores of places that a target has, one for each."""
    return target.shape[1:] in (scores.shape[1:3], (*scores.shape[1:3], 1))


def _task(
    name: str,
    output: NDArray[np.float32],
    target: NDArray[Any],
    *,
    of_ones_own: bool,
) -> TaskSettings:
    """Return the task that an output and its targets tell.

    Args:
        name: Of the output.
        output: What the model answers, (n, ...).
        target: (n, ...); the output itself, or its largest places, if there is none.
        of_ones_own: Whether it may be one that the user's own functions know alone.

    Raises:
        DataError: If they tell none.
    """
    n_outputs = output.shape[1]
    if target.dtype.kind in "iub" and n_outputs > 1:
        if output.ndim == target.ndim != 3 and target.shape[1] == 1:
            target = target[:, 0]
        if (output.ndim, target.ndim) == (2, 1):
            is_embedding = are_embeddings(output)
            if is_embedding and not of_ones_own:
                raise DataError(
                    f"output '{name}' has rows of length 1, as embeddings have, so that its "
                    "integer targets are no places in them: give a metric and a loss of your own, "
                    "which read both, or leave the targets out, and smaller models learn its "
                    f"values; or, if it is scores of classes, say --kind {name}=classification "
                    '(in Python, Scoring(kind="classification"))'
                )
            if not is_embedding and (not of_ones_own or int(target.max(initial=0)) < n_outputs):
                return TaskSettings("classification", classes=n_outputs)
        if output.ndim == 3 and target.shape[1:] == output.shape[1:2]:
            return TaskSettings("tagging", classes=output.shape[2])
        if output.ndim in (3, 4, 5) and target.shape[1:] == output.shape[2:]:
            return TaskSettings("segmentation", classes=n_outputs)
        if output.ndim == 4 and not of_ones_own and _are_last(output, target):
            raise DataError(
                f"output '{name}' has the scores of its {output.shape[3]} classes last, as "
                "TensorFlow has them, and they are read where they come first, (n, classes, "
                "height, width): let the model end with a transpose, in Keras "
                "`Permute((3, 1, 2))`; or give a metric and a loss of your own"
            )
        if output.ndim == target.ndim + 1 >= 4 and not of_ones_own:
            sizes = [" x ".join(map(str, each)) for each in (output.shape[2:], target.shape[1:])]
            raise DataError(
                f"output '{name}' has scores of {sizes[0]} places, and its targets are classes of "
                f"{sizes[1]}: bring the targets to the size of the scores, or let the model return "
                "scores of that of the targets, as by torch.nn.functional.interpolate"
            )
    shapes = [output.shape[1:], ()] if output.shape[1:] == (1,) else [output.shape[1:]]
    is_value = target.dtype.kind == "f" or _zeros_and_ones(target)
    if is_value and target.shape[1:] in shapes:
        kind = "regression" if output.ndim == 2 else "depth"
        return TaskSettings(kind, n_outputs=n_outputs)
    if of_ones_own:
        return TaskSettings(TaskKind.CUSTOM)
    classes = "give the numbers of classes as integers, or " if target.dtype.kind == "f" else ""
    raise DataError(
        f"output '{name}' has shape {output.shape} and its targets {target.shape} of type "
        f"{target.dtype}, which is no task that can be told by itself: {classes}{_DECLARE}, or "
        "give a metric and a loss of your own, which may read any targets"
    )


def _require_values(
    module: nn.Module,
    items: Items,
    settings: Mapping[str, TaskSettings],
    names: list[str],
    origin: str,
) -> None:
    """Check that no target that would be learnt as values is the answer to a choice.

    Classes may be given one-hot. Answers to yes-or-no questions are far from the logits of an
    output that knows them, so that no answer at all would be nearer, and to learn them as values
    would spoil it. With a loss of its own, a task may be anything.

    Raises:
        DataError: If one is.
    """
    chosen = {
        name: target
        for name, target in items.targets.items()
        if TaskKind(settings[name].kind).has_values
        and not settings[name].loss
        and _zeros_and_ones(target)
    }
    if not chosen:
        return
    answers = _answers(module, items.inputs[:_BATCH], names, origin)
    for name, target in chosen.items():
        if _one_hot(target):
            raise DataError(
                f"output '{name}' has targets that are one-hot, of shape {target.shape}: give the "
                "numbers of the classes, as `targets.argmax(1)`, and let the model return scores, "
                "no probabilities; then the task is one of classes"
            )
        answer = answers[name]
        wanted = target[:_BATCH].reshape(answer.shape)
        known = ~np.isnan(wanted) if wanted.dtype.kind == "f" else np.ones(wanted.shape, np.bool_)
        answer, wanted = answer[known], wanted[known]
        share = wanted.mean() if wanted.size else 0.0
        value_is_no_better = np.square(answer - wanted).mean() > share * (1 - share)
        if value_is_no_better and ((answer > 0) == wanted).mean() > max(share, 1 - share):
            raise DataError(
                f"output '{name}' has targets of 0 and 1 alone, as yes-or-no questions have, and "
                "answers them by logits, which are no values to be learnt: give a loss and a "
                "metric for them, as `--loss my_own.py:bce --metric my_own.py:accuracy`, or let "
                "the model return probabilities, `torch.sigmoid` of them"
            )


def _zeros_and_ones(target: NDArray[Any]) -> bool:
    """Whether there are both, and nothing else, but for NaN: what is not known."""
    if target.dtype.kind not in "iubf":
        return False
    seen = set[bool]()
    for start in range(0, len(target), _BATCH):
        some = target[start : start + _BATCH]
        some = some[~np.isnan(some)] if some.dtype.kind == "f" else some
        are_ones = some == 1
        if not (are_ones | (some == 0)).all():
            return False
        seen.update(value for value in (False, True) if (are_ones == value).any())
    return seen == {False, True}


def _one_hot(target: NDArray[Any]) -> bool:
    return target.ndim > 1 and target.shape[1] > 1 and bool((target.sum(axis=1) == 1).all())


def _shaped(given: Given, settings: Mapping[str, TaskSettings]) -> Given:
    """Return the items with a column for targets that are single numbers, and values as floats."""
    targets = dict(given.arrays.targets)
    for name, values in given.arrays.targets.items():
        if not TaskKind(settings[name].kind).has_values:
            continue
        is_column = settings[name].kind == "regression" and values.ndim == 1
        columns = values[:, None] if is_column else values
        targets[name] = columns if columns.dtype.kind == "f" else columns.astype(np.float32)
    return Given(Arrays(given.arrays.inputs, targets), given.origin)
