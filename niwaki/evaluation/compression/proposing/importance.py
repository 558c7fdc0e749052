"""Which channels matter: to any of the tasks, by the gradients of each."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from niwaki.compress.pruning import ChannelGroups
from niwaki.compress.pruning.copying import copied
from niwaki.compress.pruning.criteria import (
    L1,
    L2,
    BatchNormScale,
    Fisher,
    GeometricMedian,
    GradientStatistics,
    Taylor,
    collect_gradients,
    score_groups,
)
from niwaki.compress.pruning.criteria.base import Criterion, Scores
from niwaki.core.errors import ConfigError, DataError
from niwaki.core.randomness import stream
from niwaki.core.registry import nearest
from niwaki.evaluation.batches import drawn, inputs_for_statistics
from niwaki.evaluation.compression.given_model.plain_calls import layout_of
from niwaki.evaluation.compression.reused_memory import reusing_memory
from niwaki.evaluation.devices import placed, to_tensors
from niwaki.export.torch_outputs import named_outputs
from niwaki.export.user_code import place_of
from niwaki.tasks.base import Batch, SplitName, TaskData
from niwaki.tasks.losses import task_losses

_BY_WEIGHTS: dict[str, Callable[[], Criterion]] = {
    "l1": L1,
    "l2": L2,
    "batch_norm": BatchNormScale,
    "geometric_median": GeometricMedian,
}
_BY_GRADIENTS: dict[str, Callable[[GradientStatistics], Criterion]] = {
    "taylor": Taylor,
    "fisher": Fisher,
}
CRITERIA = (*_BY_GRADIENTS, *_BY_WEIGHTS)


def require_criterion(name: str) -> None:
    """Raise if there is no criterion of that name.

    Raises:
        ConfigError: With the nearest name.
    """
    if name not in CRITERIA:
        raise ConfigError(
            f"there is no criterion '{name}'{nearest(name, CRITERIA)} Known: {', '.join(CRITERIA)}"
        )


@reusing_memory()
def importance(
    module: nn.Module,
    groups: ChannelGroups,
    data: TaskData,
    *,
    criterion: str = "taylor",
    n_items: int = 512,
    batch_size: int = 32,
    seed: int = 0,
) -> dict[str, Scores]:
    """Return how much each unit matters, (n_units,) by group, comparable between groups.

    By gradients, a unit matters as much as to the task that it matters most to: what one task does
    not need, another may. So each task's scores are divided by their mean over all groups, and the
    largest over tasks is taken. Tasks that have no gradient at all are left out, if others have.

    Args:
        module: The whole model.
        groups: Its channel groups.
        data: Gradients are those of its train split.
        criterion: One of `CRITERIA`.
        n_items: Items that gradients are taken of.
        batch_size: Of how many at a time; `fisher` takes them one by one.
        seed: Of the order of the items.

    Raises:
        ConfigError: If there is no such criterion.
    """
    require_criterion(criterion)
    if not groups.groups:
        return {}
    if criterion in _BY_WEIGHTS:
        return dict(score_groups(_BY_WEIGHTS[criterion](), module, groups))
    size, rng = 1 if criterion == "fisher" else batch_size, stream(seed, "importance")
    batches = list(drawn(data[SplitName.TRAIN], n_items, size, rng=rng))
    network = placed(copied(module), torch.device("cpu"), layout_of(module))
    unreached = not_differentiable(module, data)
    per_task = [
        score_groups(
            _BY_GRADIENTS[criterion](_gradients(network, groups, data, t, batches)), module, groups
        )
        for t, task in enumerate(data.tasks)
        if task.name not in unreached or len(unreached) == len(data.tasks)
    ]
    scales = [np.mean(np.abs(np.concatenate(list(scores.values())))) or 1.0 for scores in per_task]
    return {
        name: np.max([s[name] / k for s, k in zip(per_task, scales, strict=True)], axis=0)
        for name in groups.names
    }


def not_differentiable(module: nn.Module, data: TaskData) -> tuple[str, ...]:
    """Return the names of the tasks whose answers no parameter changes, as far as autograd sees.

    Grids, anchors and inputs that a model returns as they are, are such.

    Args:
        module: In evaluation mode; it is not changed.
        data: Its tasks, in the order of its outputs.

    Raises:
        DataError: If it does not run where autograd follows, such as one that changes its weights
            in place; names the line.
    """
    network = copied(module)
    for parameter in network.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    (inputs, *_) = looked_at(data, 2, seed=0)
    try:
        answer = named_outputs(network(inputs), data.output_names)
    except Exception as error:  # of the model's own code, which runs without autograd
        place = place_of(error)
        where = f", at {place}" if place else ""
        raise DataError(
            f"the model cannot be trained as it is written{where}: {type(error).__name__}: {error} "
            "Change that line, such as to work on `weight.data`; as it is, layers can be quantized "
            "alone, under another name (--only quantize, `only: quantize`)"
        ) from error
    return tuple(
        task.name
        for task in data.tasks
        if not any(answer[name].requires_grad for name in task.outputs)
    )


def looked_at(data: TaskData, n_items: int, *, seed: int) -> list[Tensor]:
    """Return inputs of the train split, drawn at random, for statistics of channels.

    Args:
        data: Whose.
        n_items: At most so many; 0 for none.
        seed: Of the choice: an ordered file would show one class alone.
    """
    if not n_items:
        return []
    train, rng = data[SplitName.TRAIN], stream(seed, "looked at")
    return list(inputs_for_statistics(train, n_items, torch.device("cpu"), rng=rng))


def _gradients(
    module: nn.Module, groups: ChannelGroups, data: TaskData, task: int, batches: list[Batch]
) -> GradientStatistics:
    asked, names = data.tasks[task], data.output_names
    loss = task_losses(data)[asked.name]

    def of_task(model: nn.Module, batch: Batch) -> Tensor:
        inputs, targets = to_tensors(batch, torch.device("cpu"))
        answer = asked.answer(named_outputs(model(inputs), names))
        return loss.against_targets(answer, targets[asked.name])

    return collect_gradients(module, groups, batches, loss=of_task)
