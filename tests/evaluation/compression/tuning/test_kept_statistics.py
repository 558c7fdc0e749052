"""Batch-norm statistics that are to stay are moved by what pruning changes alone."""

import copy
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from niwaki.compress.pruning import ChannelGroups, PruningPlan, analyse, apply_plan, masked
from niwaki.compress.pruning.criteria import L1, score_groups
from niwaki.evaluation.compression.at_chance import answered
from niwaki.evaluation.compression.evaluator import CompressedEvaluator
from niwaki.evaluation.compression.given_model.model_source import ModelSource
from niwaki.evaluation.compression.original import example_of
from niwaki.evaluation.compression.proposing.importance import looked_at
from niwaki.evaluation.compression.proposing.masked_oracle import Ranked
from niwaki.evaluation.compression.settings import CompressionSettings, PruningSettings
from niwaki.evaluation.compression.tuning.fine_tuning import Tuning, TuningSettings
from niwaki.evaluation.compression.tuning.kept_statistics import KeptStatistics, skill_lost_anew
from niwaki.evaluation.recalibration import recalibrate
from tests.evaluation.compression import small
from tests.hasty import HASTY

IMAGES = looked_at(small.data(), 64, seed=0)


@cache
def groups() -> ChannelGroups:
    return analyse(small.build(), example_of(small.data()))


def plan(*counts: int) -> PruningPlan:
    ranked = Ranked(groups(), score_groups(L1(), small.build(), groups()))
    return ranked.plan(np.array(counts))


def frozen() -> nn.Module:
    """Return the model with statistics of another data set in its first norm, which it needs."""
    module = small.build()
    norm = module.enter[1]
    assert isinstance(norm, nn.BatchNorm2d)
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None and variance is not None
    with torch.no_grad():
        norm.bias.add_(0.3 * norm.weight / (variance + norm.eps).sqrt())
        norm.weight.mul_(3.0)
        mean.add_(0.3)
        variance.copy_(9.0 * (variance + norm.eps) - norm.eps)
    return module


def statistics(module: nn.Module) -> torch.Tensor:
    norms = [each for each in module.modules() if isinstance(each, _BatchNorm)]
    found = [(n.running_mean, n.running_var) for n in norms]
    return torch.cat([values for pair in found for values in pair if values is not None])


def test_nothing_is_moved_where_nothing_is_removed() -> None:
    module = frozen()
    before = statistics(module)
    KeptStatistics(module, IMAGES).adjust(module)
    torch.testing.assert_close(statistics(module), before)


def test_statistics_of_the_split_move_as_if_they_were_taken_anew() -> None:
    whole = small.build()
    recalibrate(whole, iter(IMAGES))
    pruned = apply_plan(whole, plan(8, 16))
    anew = copy.deepcopy(pruned)
    recalibrate(anew, iter(IMAGES))
    KeptStatistics(whole, IMAGES).adjust(pruned, plan(8, 16))
    torch.testing.assert_close(statistics(pruned), statistics(anew), rtol=0.02, atol=0.02)


def test_masked_and_pruned_networks_have_the_same() -> None:
    whole = frozen()
    kept = KeptStatistics(whole, IMAGES)
    pruned = apply_plan(whole, plan(8, 16))
    kept.adjust(pruned, plan(8, 16))
    with masked(whole, plan(8, 16)) as module, torch.no_grad():
        kept.adjust(module)
        for name, answer in module(IMAGES[0]).items():
            torch.testing.assert_close(answer, pruned(IMAGES[0])[name], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("needed", [False, True])
def test_skill_is_lost_where_they_are_needed_alone(needed: bool) -> None:
    module = frozen() if needed else small.build()
    images = looked_at(small.data(), 512, seed=0)
    lost = skill_lost_anew(module, small.data(), images, answered)
    assert (max(lost.values()) > 0.05) == needed


def test_they_stay_while_a_network_is_tuned() -> None:
    whole = frozen()
    kept = KeptStatistics(whole, IMAGES)
    tuning = Tuning(whole, small.data(), TuningSettings(epochs=0.5, batch_size=32), seed=0)
    pruned = apply_plan(whole, plan(8, 16))
    set_once: list[torch.Tensor] = []

    def adjust(network: nn.Module) -> None:
        kept.adjust(network, plan(8, 16))
        set_once.append(statistics(network).cpu().clone())

    tuned = tuning.tuned(pruned, adjust=adjust)
    torch.testing.assert_close(statistics(tuned), set_once[0])


def test_a_model_that_needs_its_statistics_is_pruned_with_them(tmp_path: Path) -> None:
    told: list[str] = []
    settings = CompressionSettings(
        pruning=PruningSettings(price="macs", criterion="l1", shares=(0.9,)),
        tuning=TuningSettings(epochs=0.0),
    )
    evaluator = CompressedEvaluator(
        ModelSource(module=frozen()),
        small.data,
        HASTY,
        precisions=("fp32",),
        settings=settings,
        notify=told.append,
    )
    evaluator.prepare(tmp_path)
    assert any("batch-norm statistics of the model are others" in each for each in told)
    whole, pruned = (
        evaluator.evaluate(candidate, fidelity=1.0, seed=0).values["mean_skill"]
        for candidate in (evaluator.baseline(), evaluator.initial()[-1])
    )
    assert pruned > whole - 0.1


class Named(nn.Module):
    """Calls its norm by the name of what it takes."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        normed: torch.Tensor = self.norm(input=x)
        return normed


def test_a_norm_may_be_called_by_name() -> None:
    module = Named().eval()
    before = statistics(module)
    KeptStatistics(module, IMAGES).adjust(module)
    torch.testing.assert_close(statistics(module), before)
