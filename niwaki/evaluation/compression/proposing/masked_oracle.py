"""The performance-aware oracle: a masked model, recalibrated, and judged task by task."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from niwaki.compress.allocation import Counts, Oracle, Verdict
from niwaki.compress.pruning import ChannelGroups, PruningPlan, best_units, masked
from niwaki.compress.pruning.compensation import (
    InputMoments,
    WeightFits,
    set_weights,
)
from niwaki.compress.pruning.criteria.base import Scores
from niwaki.compress.pruning.model_calls import in_evaluation
from niwaki.core.randomness import stream
from niwaki.evaluation.batches import drawn
from niwaki.evaluation.compression.given_model.plain_calls import layout_of
from niwaki.evaluation.compression.proposing.judged import Judged, JudgedStates
from niwaki.evaluation.compression.proposing.shared_prefix import (
    OtherCourseError,
    SharedPrefix,
    noting_reads,
)
from niwaki.evaluation.compression.reused_memory import reusing_memory
from niwaki.evaluation.compression.tuning.kept_statistics import KeptStatistics
from niwaki.evaluation.devices import best_device, placed, to_tensors
from niwaki.evaluation.recalibration import recalibrate
from niwaki.export.torch_outputs import named_outputs
from niwaki.tasks.base import Batch, SplitName, TaskData
from niwaki.tasks.losses import task_losses
from niwaki.tasks.scoring import score, skills

_LEAST_SKILL_LEFT = 1e-3
_LEAST_SHARING = 3  # networks of which it can be told what most of them have in common
_TINY = 1e-12
_Answers = dict[str, Tensor]


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

    Channels are masked, the weights that read them are fitted to those that stay, batch-norm
    statistics are taken anew, and every task is scored. A state is judged once. Skills are relative
    to those of the whole model, so that 1 is as good as it was.

    Args:
        module: The whole model.
        ranked: Its groups, and which units go first.
        data: Tasks in the order of the model's outputs.
        recalibration: Batches of inputs that batch-norm statistics are taken from; those of the
            whole model are kept if there are none.
        statistics: Moves statistics in the place of taking them anew, if they are to be kept.
        moments: For the fit of weights; None for none.
        kept: What was judged before, by the same model on the same data.
        n_items: Items of the calibration split that are looked at.
        batch_size: Items per forward pass.
    """

    def __init__(
        self,
        module: nn.Module,
        ranked: Ranked,
        data: TaskData,
        *,
        recalibration: Sequence[Tensor] = (),
        statistics: KeptStatistics | None = None,
        moments: InputMoments | None = None,
        kept: JudgedStates | None = None,
        n_items: int = 512,
        batch_size: int = 128,
    ) -> None:
        self._device = best_device()
        self._module = in_evaluation(placed(module, self._device, layout_of(module)))
        self.ranked, self._data = ranked, data
        self._fits = WeightFits(self._module, moments) if moments is not None else None
        self._statistics = statistics
        self._recalibration = [inputs.to(self._device) for inputs in recalibration]
        self._batches = list(judged_items(data, n_items, batch_size))
        self._losses = task_losses(data)
        self._known = JudgedStates() if kept is None else kept
        with torch.no_grad():
            self._answers = [self._answer(batch) for batch in self._batches]
            inputs, _ = to_tensors(self._batches[0], self._device)
            with noting_reads(self._module) as self._reads:
                self._module(inputs[:2])
            self._constants = np.maximum(self._drifts_of(self._constant_answers()), _TINY)
        self._original = self._scored(self._answers).skills
        is_scripted = isinstance(self._module, torch.jit.ScriptModule)  # takes no hooks
        self._can_share = not (
            is_scripted or self._reads.is_unfollowed or self._device.type != "cpu"
        )

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(task.name for task in self._data.tasks)

    @reusing_memory()
    def judge(self, states: Sequence[Counts]) -> Verdict:
        asked = [np.asarray(state, np.int64) for state in states]
        self._judge_side_by_side(asked)
        rows = list(map(self._judged, asked))
        n_tasks = len(self.tasks)
        skills = np.array([row.skills for row in rows]).reshape(-1, n_tasks)
        # A task that was at chance from the start, or below, has nothing to lose.
        at_chance = np.isfinite(skills) & (self._original <= _LEAST_SKILL_LEFT)
        return Verdict(
            np.where(at_chance, 1.0, skills / np.maximum(self._original, _LEAST_SKILL_LEFT)),
            np.array([row.losses for row in rows]).reshape(-1, n_tasks),
            np.array([row.drifts for row in rows]).reshape(-1, n_tasks) / self._constants,
        )

    def _judge_side_by_side(self, states: Sequence[Counts]) -> None:
        """Judge networks that differ from most of them in little, which is computed alone."""
        unknown = {tuple(s.tolist()): s for s in states if not self._known.get(s)}
        if not self._can_share or len(unknown) < _LEAST_SHARING:
            return
        common = set(self.ranked.plan(_most_common(list(unknown))).cuts)
        changed = {
            counts: {cut.tensor for cut in common ^ set(cuts)}
            for counts, state in unknown.items()
            # The whole network has no statistics taken anew: its passes are others.
            if (cuts := self.ranked.plan(state).cuts)
        }
        order = self._reads.first
        first = {c: min((order.get(n, 0) for n in changed[c]), default=math.inf) for c in changed}
        prefix = SharedPrefix()
        try:
            for counts in sorted(changed, key=first.__getitem__):
                self._judged(unknown[counts], prefix.passes(self._module, changed[counts]))
        except OtherCourseError:
            self._can_share = False

    def _judged(self, counts: Counts, passes: AbstractContextManager[None] | None = None) -> Judged:
        judged = self._known.get(counts)
        if judged is None:
            plan = self.ranked.plan(counts)
            fitted = {} if self._fits is None else self._fits.of(plan)
            with masked(self._module, plan) as module, torch.no_grad():
                set_weights(module, fitted)
                with passes or nullcontext():
                    if plan.cuts and self._statistics is not None:
                        self._statistics.adjust(module)
                    elif plan.cuts and self._recalibration:
                        recalibrate(module, iter(self._recalibration))
                    answers = [self._answer(batch) for batch in self._batches]
                judged = self._scored(answers)
            self._known.add(counts, judged)
        return judged

    def _answer(self, batch: Batch) -> _Answers:
        inputs, _ = to_tensors(batch, self._device)
        answer = named_outputs(self._module(inputs), self._data.output_names)
        return {name: values.detach() for name, values in answer.items()}

    def _scored(self, answers: Sequence[_Answers]) -> Judged:
        predictions = (
            ({name: a.cpu().numpy() for name, a in answer.items()}, batch.targets)
            for answer, batch in zip(answers, self._batches, strict=True)
        )
        values = score(self._data.tasks, predictions, chance=self._data.chance)
        return Judged(
            skills(self._data.tasks, values, chance=self._data.chance),
            self._losses_of(answers),
            self._drifts_of(answers),
        )

    def _losses_of(self, answers: Sequence[_Answers]) -> NDArray[np.float64]:
        totals = np.zeros(len(self.tasks))
        for answer, batch in zip(answers, self._batches, strict=True):
            _, targets = to_tensors(batch, self._device)
            for i, task in enumerate(self._data.tasks):
                loss = self._losses[task.name]
                value = loss.against_targets(task.answer(answer), targets[task.name])
                totals[i] += value.item() * len(batch)
        return totals / sum(map(len, self._batches))

    def _drifts_of(self, answers: Sequence[_Answers]) -> NDArray[np.float64]:
        """Return (t,) mean distances from the whole model's answers."""
        totals = np.zeros(len(self.tasks))
        for answer, wanted, batch in zip(answers, self._answers, self._batches, strict=True):
            for i, task in enumerate(self._data.tasks):
                loss = self._losses[task.name]
                value = loss.against_teacher(task.answer(answer), task.answer(wanted))
                totals[i] += value.item() * len(batch)
        return totals / sum(map(len, self._batches))

    def _constant_answers(self) -> list[_Answers]:
        """Return for each batch the whole model's mean answer, the same for all items."""
        n_items = sum(map(len, self._batches))
        means = {
            name: torch.stack([answer[name].sum(0) for answer in self._answers]).sum(0) / n_items
            for name in self._data.output_names
        }
        return [
            {name: mean.expand(len(batch), *mean.shape) for name, mean in means.items()}
            for batch in self._batches
        ]


def _most_common(states: Sequence[tuple[int, ...]]) -> Counts:
    """Return the count of each group that most of the states have."""
    columns = zip(*states, strict=True)
    return np.array([Counter(column).most_common(1)[0][0] for column in columns], np.int64)


def judged_items(data: TaskData, n_items: int, batch_size: int) -> Iterator[Batch]:
    """Yield the items that states are judged on, the same each time, in whole batches."""
    rng = stream(0, "judged items")
    return drawn(data[SplitName.CALIBRATION], n_items, batch_size, rng=rng)
