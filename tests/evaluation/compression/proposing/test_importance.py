"""How much channels matter to a whole model."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from niwaki.compress.pruning import analyse
from niwaki.compress.pruning.criteria import L1, score_groups
from niwaki.core.errors import DataError
from niwaki.evaluation.compression.at_chance import at_chance
from niwaki.evaluation.compression.given_data.inferred_data import infer_from
from niwaki.evaluation.compression.proposing.importance import importance, not_differentiable
from niwaki.evaluation.compression.proposing.masked_oracle import MaskedOracle, Ranked


def test_a_model_without_channels_to_remove_has_no_importance() -> None:
    module, inputs = nn.Sequential(nn.Linear(4, 3)), torch.randn(64, 4)
    data = infer_from({"train": [(inputs, torch.arange(64) % 3)]}, module, seed=0)
    groups = analyse(module, inputs)
    assert not groups.groups
    assert importance(module, groups, data) == {}


class TwoHeads(nn.Module):
    """Half of the channels are for one answer, half for another, a thousand times as small."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.first, self.second = nn.Linear(4, 8), nn.Linear(8, 1), nn.Linear(8, 1)
        with torch.no_grad():
            self.first.weight[:, 4:] = 0.0
            self.second.weight[:, :4] = 0.0
            self.second.weight *= 1e-3

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        hidden = torch.relu(self.body(x))
        return {"first": self.first(hidden), "second": self.second(hidden)}


def test_each_task_counts_alike_also_in_a_frozen_model() -> None:
    torch.manual_seed(0)
    module, inputs = TwoHeads().eval(), torch.randn(160, 4)
    targets = {"first": inputs[:, :1], "second": inputs[:, 1:2]}
    data = infer_from({"train": [(inputs, targets)]}, module, seed=0)
    groups = analyse(module, inputs[:2])
    scores = importance(module, groups, data)["body"]
    # Each task's scores have a mean of 1, and are 0 for half of the channels.
    assert (scores[:4].mean(), scores[4:].mean()) == pytest.approx((2.0, 2.0))
    frozen = importance(module.requires_grad_(False), groups, data)
    np.testing.assert_allclose(frozen["body"], scores)
    assert not_differentiable(module, data) == ()


def test_fisher_squares_the_gradient_of_each_item() -> None:
    torch.manual_seed(0)
    module, inputs = TwoHeads().eval(), torch.randn(160, 4)
    targets = {"first": inputs[:, :1], "second": inputs[:, 1:2]}
    data = infer_from({"train": [(inputs, targets)]}, module, seed=0)
    groups = analyse(module, inputs[:2])
    found = importance(module, groups, data, criterion="fisher")["body"]
    by_item, by_batch = (importance(module, groups, data, batch_size=n)["body"] for n in (1, 32))
    np.testing.assert_allclose(found, by_item, rtol=1e-6)  # each is scaled to a mean of 1
    assert not np.allclose(found, by_batch, rtol=0.05)


class WithAnchors(nn.Module):
    """Answers what it computes, and beside it what it was given and what it has."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(4, 8), nn.Linear(8, 3)
        self.anchors = nn.Parameter(torch.rand(3, 2))

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        scores = self.head(torch.relu(self.body(x)))
        return {"class": scores, "given": x, "anchors": self.anchors.expand(len(x), -1, -1)}


def test_answers_that_no_parameter_changes_have_no_say() -> None:
    torch.manual_seed(0)
    module, inputs = WithAnchors().eval(), torch.randn(160, 4)
    batches: dict[str, Any] = {"train": [(inputs, {"class": inputs.argmax(1) % 3})]}
    data = infer_from(batches, module, seed=0)
    assert not_differentiable(module, data) == ("given",)
    groups = analyse(module, inputs[:2])
    scores = importance(module, groups, data)
    assert scores["body"].shape == (8,) and scores["body"].min() >= 0.0 < scores["body"].max()


def test_answers_that_are_views_of_parameters_are_scored() -> None:
    module, inputs = WithAnchors().eval(), torch.randn(160, 4)
    data = infer_from({"train": [inputs]}, module, seed=0)
    assert at_chance(module, data) == []
    groups = analyse(module, inputs[:2])
    oracle = MaskedOracle(module, Ranked(groups, score_groups(L1(), module, groups)), data)
    np.testing.assert_allclose(oracle.judge([groups.n_units]).skills, 1.0)


class Clipped(nn.Module):
    """Keeps its weights small, in place."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(4, 8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.body.weight.clamp_(-1, 1)
        answer: torch.Tensor = self.head(torch.relu(self.body(x)))
        return answer


def test_a_model_that_autograd_cannot_follow_is_told_with_its_line() -> None:
    module, inputs = Clipped().eval(), torch.randn(160, 4)
    data = infer_from({"train": [inputs]}, module, seed=0)
    with pytest.raises(DataError, match=r"as it is written, at .*test_importance\.py:\d+: Runtime"):
        importance(module, analyse(module, inputs[:2]), data)
