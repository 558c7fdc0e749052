"""Zero-cost proxies of candidates that were not trained, on one batch of the train split."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn

from niwaki.core.calls import misfit
from niwaki.core.candidate import Candidate
from niwaki.core.errors import ConfigError, NiwakiError
from niwaki.core.randomness import derived_seed, stream
from niwaki.core.registry import nearest
from niwaki.core.user_randomness import seeded
from niwaki.evaluation.devices import laid_out, layout_for, placed, to_tensors, torch_threads
from niwaki.evaluation.units import Units
from niwaki.predictors.proxies.base import Batch
from niwaki.predictors.proxies.registry import PROXIES, proxy_scores
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.losses import task_losses, total_loss

N_ITEMS = 32  # of the batch
MOST_REMEMBERED = 20_000  # candidates
MOST_SILENT = 20  # networks that a proxy judges none of before that is told
_log = logging.getLogger(__name__)
_COUNTED = ("params", "macs")  # which cheap values are already


def require_proxies(names: Sequence[str]) -> None:
    """Refuse names that are no proxies, or that every candidate's cheap values have anyway.

    Proxies of one's own are named by their path, and loaded here: that one is missing is no reason
    to go on without its guesses.

    Raises:
        ConfigError: With the nearest name; or if there is nothing at a path, or no function of a
            network and a batch.
    """
    known = [name for name in PROXIES.names() if name not in _COUNTED]
    for name in names:
        if ":" in name:
            if fault := misfit(PROXIES.find(name).load(), ("network", "batch")):
                raise ConfigError(f"the proxy '{name}' {fault}")
        elif name not in known:
            raise ConfigError(
                f"'proxies' has '{name}', which is none{nearest(name, known)} "
                f"Known: {', '.join(known)}; or give 'package.module:function', or "
                "'file.py:function'"
            )


class ProxyScores:
    """Scores untrained networks, each once, all with the same seed, on the CPU.

    Args:
        names: Of the proxies.
        data: Gives the batch and the losses.
        build: Makes a candidate's network, its weights drawn by torch's global generator.
        seed: Of the batch and of all weights.
    """

    def __init__(
        self,
        names: Sequence[str],
        data: TaskData,
        build: Callable[[Candidate], nn.Module],
        *,
        seed: int,
    ) -> None:
        self._names, self._data, self._build, self._seed = tuple(names), data, build, seed
        self._known: dict[str, Mapping[str, float]] = {}
        self._silent = dict.fromkeys(
            self._names, 0
        )  # by proxies that judged none so far, of how many networks

    def __call__(self, candidate: Candidate) -> Mapping[str, float]:
        """Return the scores by name, more for better; without those that cannot be had.

        A network without weights has no gradient by them, and one without rectifiers no regions:
        such a proxy says nothing of it. One that judges none of the first `MOST_SILENT` networks
        is told of, once.
        """
        if candidate.key not in self._known:
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            self._known[candidate.key] = self._scores(candidate)
        return self._known[candidate.key]

    def _scores(self, candidate: Candidate) -> dict[str, float]:
        found: dict[str, float] = {}
        with torch_threads(1), seeded(derived_seed(self._seed, "proxies")):
            network, batch = self._build(candidate), self._batch
            layout = layout_for(network, batch.inputs[:2])
            network = placed(network, torch.device("cpu"), layout)
            batch = replace(batch, inputs=laid_out(batch.inputs, layout))
            for name in self._names:
                try:
                    score = proxy_scores(network, batch, [name])
                except (NiwakiError, RuntimeError, ArithmeticError) as fault:
                    self._note_silence(name, f"{type(fault).__name__}: {fault}")
                    continue
                found |= score
                if isfinite(score[name]):
                    self._silent.pop(name, None)
                else:
                    self._note_silence(name, f"it gave {score[name]}")
        return found

    def _note_silence(self, name: str, why: str) -> None:
        if name not in self._silent:
            return
        self._silent[name] += 1
        if self._silent[name] == MOST_SILENT:
            _log.warning(
                "the proxy '%s' could judge none of the first %d networks, the last one because %s",
                *(name, MOST_SILENT, why),
            )

    @cached_property
    def _batch(self) -> Batch:
        """The first items of the shuffled train split; a mapping of targets if of several tasks."""
        split, losses = self._data[SplitName.TRAIN], task_losses(self._data)
        units = Units(self._data.statistics[task.name] for task in self._data.tasks)
        batch = next(iter(split.batches(N_ITEMS, rng=stream(self._seed, "proxies"))))
        inputs, targets = to_tensors(batch, torch.device("cpu"))
        names = [task.name for task in self._data.tasks]

        def loss(outputs: Any, wanted: Any) -> Tensor:
            answers = dict(zip(names, units(outputs), strict=True))
            by_task = wanted if isinstance(wanted, dict) else {names[0]: wanted}
            return total_loss(losses, answers, by_task)

        return Batch(inputs, targets if len(names) > 1 else targets[names[0]], loss)
