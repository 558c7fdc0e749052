"""Batch-norm statistics that are not those of the train split, and are to stay so.

Norms may be frozen at what another data set or other augmentations had, as in most detectors. To
take their statistics anew would make another model of the original itself. So what pruning changes
is told apart: statistics move by as much as the inputs of their norm do.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from niwaki.compress.pruning import PruningPlan
from niwaki.compress.pruning.copying import copied
from niwaki.compress.pruning.rebuilding import kept_indices
from niwaki.evaluation.recalibration import recalibrate, remembering_norms
from niwaki.tasks.base import TaskData
from niwaki.tasks.scoring import score, skills

_TINY = 1e-12
_Answers: TypeAlias = Callable[[nn.Module, TaskData], Iterator[tuple[Any, Any]]]


@dataclass
class _Moments:
    """Means of what has come to a norm so far, call by call.

    Attributes:
        means: (c,) float32 each, of all inputs up to a call.
        variances: The same, of the means of variances within calls.
    """

    means: list[Tensor] = field(default_factory=list)
    variances: list[Tensor] = field(default_factory=list)

    def add(self, inputs: Tensor) -> None:
        dims = [dim for dim in range(inputs.ndim) if dim != 1]
        variance, mean = torch.var_mean(inputs.detach().float(), dims, correction=0)
        for totals, new in ((self.means, mean), (self.variances, variance)):
            n = len(totals)
            totals.append((totals[-1] * n + new) / (n + 1) if n else new)


class KeptStatistics:
    """Moves the statistics of pruned networks by what pruning changes, and no more.

    Args:
        original: The whole model, in evaluation mode; not changed.
        images: Batches of inputs that come to it and to pruned networks alike.
    """

    def __init__(self, original: nn.Module, images: Sequence[Tensor]) -> None:
        self._images = images
        self._own = {
            path: (norm.running_mean.clone(), norm.running_var.clone())
            for path, norm in remembering_norms(original)
            if norm.running_mean is not None and norm.running_var is not None
        }
        self._whole = {path: _Moments() for path in self._own}
        with _before_norms(original, lambda path, _, inputs: self._whole[path].add(inputs)):
            self._run(original)

    def adjust(self, network: nn.Module, plan: PruningPlan | None = None) -> None:
        """Set the statistics of a network, and leave it in evaluation mode.

        Args:
            network: The original with channels switched off, or pruned; on any device.
            plan: By which it was pruned; None if nothing is missing in it.
        """
        cuts = [] if plan is None else plan.cuts
        kept = {cut.tensor: kept_indices(cut) for cut in cuts}
        seen = {path: _Moments() for path in self._own}

        def move(path: str, norm: _BatchNorm, inputs: Tensor) -> None:
            now, whole = seen[path], self._whole[path]
            now.add(inputs)
            call = len(now.means) - 1
            if call >= len(whole.means):
                return
            index = kept.get(f"{path}.running_mean", slice(None))
            mean, variance, whole_mean, whole_variance = (
                values[index].to(inputs.device)
                for values in (*self._own[path], whole.means[call], whole.variances[call])
            )
            ratio = now.variances[call] / whole_variance.clamp(min=_TINY)
            assert norm.running_mean is not None and norm.running_var is not None
            norm.running_mean.copy_(mean + now.means[call] - whole_mean)
            norm.running_var.copy_(variance * torch.where(whole_variance > _TINY, ratio, 1.0))

        network.eval()
        with _before_norms(network, move):
            self._run(network)

    def _run(self, network: nn.Module) -> None:
        parameter = next(network.parameters(), torch.empty(0))
        with torch.no_grad():
            for images in self._images:
                network(images.to(parameter.device))


def has_statistics(network: nn.Module) -> bool:
    """Whether there is a batch norm that remembers statistics."""
    return any(True for _ in remembering_norms(network))


def skill_lost_anew(
    original: nn.Module, data: TaskData, images: Sequence[Tensor], answered: _Answers
) -> dict[str, float]:
    """Return how much skill a whole model loses with statistics taken anew, by task.

    Args:
        original: In evaluation mode; not changed.
        data: Its tasks, in the order of its outputs.
        images: Batches of inputs that statistics are taken from.
        answered: Gives pairs of answers and targets, (values by name), of a model.
    """
    anew = copied(original)
    recalibrate(anew, iter(images))
    had, has = (
        skills(
            data.tasks,
            score(data.tasks, answered(module, data), chance=data.chance),
            chance=data.chance,
        )
        for module in (original, anew)
    )
    lost = np.asarray(had - has, np.float64)
    return {task.name: float(each) for task, each in zip(data.tasks, lost, strict=True)}


@contextmanager
def _before_norms(
    network: nn.Module, tell: Callable[[str, _BatchNorm, Tensor], None]
) -> Iterator[None]:
    """Call `tell` with path, norm and input before every call of a norm."""

    def hook(path: str) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], None]:
        def before(norm: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
            assert isinstance(norm, _BatchNorm)
            tell(path, norm, given[0] if given else named["input"])

        return before

    handles = [
        norm.register_forward_pre_hook(hook(path), with_kwargs=True)
        for path, norm in remembering_norms(network)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
