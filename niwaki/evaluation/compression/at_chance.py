"""Tasks at which the model that was given is no better than an answer that is always the same."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from niwaki.core.objectives import Direction
from niwaki.core.randomness import stream
from niwaki.export.torch_outputs import named_outputs
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.metrics import Metric
from niwaki.tasks.own import OwnMetric
from niwaki.tasks.scoring import score, skills
from niwaki.tasks.task import TaskKind

_BATCH = 64
_N_BATCHES = 16
_Arrays = Mapping[str, NDArray[Any]]


def at_chance(module: nn.Module, data: TaskData) -> list[str]:
    """Return a sentence for each such task, from some items of the search split.

    Mostly it is not the model that is at fault, but what it is given or asked for.

    Args:
        module: Trained, in evaluation mode.
        data: Its tasks, in the order of its outputs.
    """
    values = score(data.tasks, answered(module, data), chance=data.chance)
    skill = skills(data.tasks, values, chance=data.chance)
    found = []
    for i in np.flatnonzero(skill <= 0.0):
        task = data.tasks[i]
        metric = task.metrics[0]
        reached, chance = (v[task.value_name(metric)] for v in (values, data.chance))
        custom = task.kind is TaskKind.CUSTOM
        kind = "" if custom else f"; here they are taken for {task.kind.spelled}"
        found.append(
            f"the model is no better at '{task.name}' than one answer to everything: {metric.name} "
            f"{reached:.3g}, and that has {chance:.3g}{_either_way(metric)}. If it was trained for "
            "this, see whether its weights are loaded, inputs are prepared as they were, and "
            "targets are "
            f"{'as your metric reads them' if custom else 'of the kind that it answers'}{kind}"
        )
    return found


def _either_way(metric: Metric[Any]) -> str:
    """Return which way a metric of the user's is read, and how to say the other one."""
    if not isinstance(metric, OwnMetric):
        return ""
    is_maximized = metric.direction is Direction.MAXIMIZE
    which, other = ("more", "minimize") if is_maximized else ("less", "maximize")
    return (
        f", where {which} is taken to be better; if it is not, give the metric as "
        f"{{function: {metric.function}, direction: {other}}}, which is MetricSettings in Python"
    )


def answered(module: nn.Module, data: TaskData) -> Iterator[tuple[_Arrays, _Arrays]]:
    """Yield a model's answers to some items of the search split, and their targets."""
    names = data.output_names
    # Drawn: an ordered file would show one class alone.
    rng = stream(0, "judged beside chance")
    for batch in islice(data[SplitName.SEARCH].batches(_BATCH, rng=rng), _N_BATCHES):
        with torch.no_grad():
            answer = named_outputs(module(torch.from_numpy(batch.inputs)), names)
        yield {name: values.detach().numpy() for name, values in answer.items()}, batch.targets
