"""The performance-aware oracle: a masked model, recalibrated, and judged task by task."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from niwaki.compress.allocation import Counts, Oracle, Verdict
from niwaki.compress.pruning import ChannelGroups, PruningPlan, best_units, masked
from niwaki.compress.pruning.criteria.base import Scores
from niwaki.evaluation.devices import best_device, placed, to_tensors
from niwaki.export.torch_outputs import named_outputs
from niwaki.tasks.base import Batch, SplitName, TaskData
from niwaki.tasks.losses import task_losses
from niwaki.tasks.scoring import score, skills

_LEAST_SKILL_LEFT = 1e-3


class Ranked:
    """Channel groups with their units in the order of importance.

    Args:
        groups: Of a model.
        scores: (n_units,) by group, larger where a unit matters more.
    """

    def __init__(self, groups: ChannelGroups, scores: Mapping[str, Scores]) -> None:
        self.groups, self.scores = groups, scores

    def plan(self, counts: Counts) -> PruningPlan:
        """Return the plan that keeps the best units of each group, as many as (n_groups,) says."""
        named = {name: int(n) for name, n in zip(self.groups.names, counts, strict=True)}
        return self.groups.plan(best_units(self.scores, named))


class MaskedOracle(Oracle):
    """Judges pruned networks without building them, on the calibration split.

    Channels are masked, batch-norm statistics are taken anew, and every task is scored. A state is
    judged once. Skills are relative to those of the whole model, so that 1 is as good as it was.

    Args:
        module: The whole model.
        ranked: Its groups, and which units go first.
        data: Tasks in the order of the model's outputs.
        recalibrate: Takes batch-norm statistics anew.
        n_items: Items of the calibration split that are looked at.
        batch_size: Items per forward pass.
    """

    def __init__(
        self,
        module: nn.Module,
        ranked: Ranked,
        data: TaskData,
        *,
        recalibrate: Callable[[nn.Module], None],
        n_items: int = 512,
        batch_size: int = 128,
    ) -> None:
        self._device = best_device()
        self._module = placed(module, self._device, torch.channels_last).eval()
        self.ranked, self._data, self._recalibrate = ranked, data, recalibrate
        self._batches = list(_first(data, n_items, batch_size))
        self._losses = task_losses(data)
        self._known: dict[bytes, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
        self._original = self._skills_of(self._values(self._module)[0])

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(task.name for task in self._data.tasks)

    def judge(self, states: Sequence[Counts]) -> Verdict:
        rows = [self._judged(np.asarray(state, np.int64)) for state in states]
        n_tasks = len(self.tasks)
        return Verdict(
            np.array([row for row, _ in rows]).reshape(-1, n_tasks),
            np.array([losses for _, losses in rows]).reshape(-1, n_tasks),
        )

    def _judged(self, counts: Counts) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        key = counts.tobytes()
        if key not in self._known:
            plan = self.ranked.plan(counts)
            with masked(self._module, plan) as module:
                if plan.cuts:
                    self._recalibrate(module)
                values, losses = self._values(module)
            # A task that was at chance from the start has nothing to lose.
            original = np.maximum(self._original, _LEAST_SKILL_LEFT)
            self._known[key] = (self._skills_of(values) / original, losses)
        return self._known[key]

    def _values(self, module: nn.Module) -> tuple[dict[str, float], NDArray[np.float64]]:
        """Return the values of every metric, and (t,) losses."""
        totals = np.zeros(len(self.tasks))

        def predictions() -> Iterator[tuple[Mapping[str, NDArray[Any]], Mapping[str, Any]]]:
            for batch in self._batches:
                inputs, targets = to_tensors(batch, self._device)
                answers = named_outputs(module(inputs), self.tasks)
                for i, (name, loss) in enumerate(self._losses.items()):
                    value = loss.against_targets(answers[name], targets[name])
                    totals[i] += value.item() * len(batch)
                yield {name: a.cpu().numpy() for name, a in answers.items()}, batch.targets

        with torch.no_grad():
            values = score(self._data.tasks, predictions(), chance=self._data.chance)
        return values, totals / sum(map(len, self._batches))

    def _skills_of(self, values: Mapping[str, float]) -> NDArray[np.float64]:
        return skills(self._data.tasks, values, chance=self._data.chance)


def _first(data: TaskData, n_items: int, batch_size: int) -> Iterator[Batch]:
    left = n_items
    for batch in data[SplitName.CALIBRATION].batches(batch_size):
        yield batch
        left -= len(batch)
        if left <= 0:
            return
