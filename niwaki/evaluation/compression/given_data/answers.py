"""What the model that was given answers, summed up for tasks of the user's own."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from niwaki.core.errors import DataError
from niwaki.evaluation.compression.proposing.importance import looked_at
from niwaki.export.torch_outputs import named_outputs
from niwaki.tasks.answers import Answers
from niwaki.tasks.base import TaskData
from niwaki.tasks.own import MOST_NUMBERS
from niwaki.tasks.task import Task, TaskKind

_LEAST_ITEMS, _MOST_ITEMS = 16, 256


def answers_to(tasks: Sequence[Task], module: nn.Module, data: TaskData) -> dict[str, Answers]:
    """Return what a model answers to some train items, by name of the outputs that tasks read.

    Args:
        tasks: Custom, or with a loss of the user's; none for nothing.
        module: In evaluation mode.
        data: Whose train split; with the names of the model's outputs.

    Raises:
        DataError: If an answer is not finite, or not one for each item, or if nothing can be learnt
            from those to a custom task.
    """
    names = list(dict.fromkeys(name for task in tasks for name in task.outputs))
    if not names:
        return {}
    first = _answered(module, data, names, _LEAST_ITEMS)
    most = MOST_NUMBERS // max(sum(values[0].size for values in first.values()), 1)
    n_items = min(most, _MOST_ITEMS)
    values = _answered(module, data, names, n_items) if n_items > _LEAST_ITEMS else first
    answers = {name: Answers.of(name, each) for name, each in values.items()}
    for task in tasks:
        if task.kind is TaskKind.CUSTOM and not any(answers[name].teaches for name in task.outputs):
            raise DataError(
                f"task '{task.name}': the model's outputs {', '.join(task.outputs)} are the same "
                "for all train inputs, or no reals, so that nothing can be learnt of them: give "
                "inputs that it tells apart, and let it return the scores that its choices are "
                "made from"
            )
    return answers


def not_batch_first(name: str, shape: tuple[int, ...], n_items: int) -> str:
    """Return what is wrong with an output that has no row for each item, and how to mend it."""
    where = [axis for axis, size in enumerate(shape) if axis and size == n_items > 1]
    how = f", as by `output.movedim({where[0]}, 0)`" if len(where) == 1 else ""
    return (
        f"the model's output '{name}' has shape {shape} for {n_items} inputs, but the batch comes "
        f"first: return one row for each input{how}"
    )


def _answered(
    module: nn.Module, data: TaskData, names: Sequence[str], n_items: int
) -> dict[str, "np.ndarray[tuple[int, ...], np.dtype[np.generic]]"]:
    """Return (n, ...) answers by name."""
    pieces = []
    for inputs in looked_at(data, n_items, seed=0):
        with torch.no_grad():
            answer = named_outputs(module(inputs), data.output_names)
        for name in names:
            shape = tuple(answer[name].shape)
            if len(shape) < 2 or shape[0] != len(inputs):
                raise DataError(
                    f"{not_batch_first(name, shape, len(inputs))}, padded where their sizes differ"
                )
        pieces.append({name: answer[name].detach().cpu().numpy() for name in names})
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in names}
