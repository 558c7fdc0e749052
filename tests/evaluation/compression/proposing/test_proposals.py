"""Budgets of allocations: as many as are asked for, each within reach."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from niwaki.compress.allocation import GreedySettings, PagcpSettings
from niwaki.compress.pruning import analyse
from niwaki.evaluation.compression.proposing.proposals import Allocating, reachable
from tests.compress.allocation.formulas import LADDER, ChainPrice, FormulaOracle


@pytest.mark.parametrize(
    ("share", "least", "expected"), [(0.5, 1.0, 5.0), (0.28, 9.0, 9.28), (0.75, 9.0, 9.75)]
)
def test_a_share_below_the_smallest_network_is_one_of_the_way_there(
    share: float, least: float, expected: float
) -> None:
    assert reachable(share, 10.0, least) == pytest.approx(expected)


def test_an_allocation_that_no_task_can_score_is_told() -> None:
    widths = [4, *LADDER.whole.tolist(), 2]
    layers = [nn.Linear(n, m) for n, m in pairwise(widths)]
    groups = analyse(nn.Sequential(*layers), torch.zeros(2, 4))
    oracle = FormulaOracle(np.full((1, 4), np.nan))
    said: list[str] = []
    Allocating(
        groups, {}, LADDER, oracle, ChainPrice(), GreedySettings(), PagcpSettings()
    ).to_budgets("uniform", [500.0], notify=said.append)
    assert said[0].endswith("before fine-tuning, no task can be scored")
