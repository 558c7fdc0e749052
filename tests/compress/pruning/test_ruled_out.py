"""Counts with which the code of a model would go another way are not allowed."""

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from niwaki.compress.pruning import allowed_counts, analyse, apply_plan, masked
from niwaki.core.errors import SpaceError
from niwaki.testing.pruning_idioms import IDIOMS
from niwaki.testing.pruning_idioms.composed import Composed
from tests.compress.pruning.equality import doubled, outputs, scrambled, worst_difference

RULED_OUT = {
    "widths_compared": {"enter": [], "project": [12]},
    "measured_widths_compared": {"enter": [], "branch": list(range(1, 17))},
    "width_asserted": {"enter": [n for n in range(24) if n % 4], "hidden": []},
}


@pytest.mark.parametrize("name", RULED_OUT)
def test_counts_that_would_turn_a_comparison_are_ruled_out(name: str) -> None:
    groups = analyse(IDIOMS[name].make(), IDIOMS[name].inputs())
    found = {
        group.name: [
            n for n in range(1, group.n_units) if n not in allowed_counts(groups, group.name)
        ]
        for group in groups.groups
    }
    assert found == RULED_OUT[name]


@pytest.mark.parametrize("name", RULED_OUT)
def test_all_counts_that_are_allowed_go_together(name: str) -> None:
    torch.manual_seed(0)
    module, inputs = scrambled(IDIOMS[name].make()), doubled(IDIOMS[name].inputs())
    groups = analyse(module, inputs)
    allowed = [allowed_counts(groups, group.name) for group in groups.groups]
    for counts in product(*(each[:: max(1, len(each) // 6)] for each in allowed)):
        plan = groups.plan({n: range(k) for n, k in zip(groups.names, counts, strict=True)})
        with masked(module, plan):
            expected = outputs(module, inputs)
        assert worst_difference(expected, outputs(apply_plan(module, plan), inputs)) < 1e-9


def _skips(compute: Any, **attributes: int) -> nn.Module:
    parts = {"enter": nn.Linear(6, 16), "branch": nn.Linear(16, 24), "head": nn.Linear(24, 5)}
    return Composed(compute, {**parts, **attributes})


def _chunked(m: Any, x: Tensor) -> Tensor:
    y = functional.relu(m.enter(x))
    z = m.branch(y)
    if z.shape[-1] > m.many:
        answer: Tensor = torch.cat([m.head(part) for part in z.split(1)])
        return answer
    answer = m.head(z)
    return answer


def test_a_comparison_of_which_nothing_comes_rules_nothing_out() -> None:
    for many in (3, 20):
        groups = analyse(_skips(_chunked, many=many), torch.randn(2, 7, 6))
        assert allowed_counts(groups, "branch") == tuple(range(1, 25))


def test_a_comparison_that_matters_is_told() -> None:
    idiom = IDIOMS["measured_widths_compared"]
    (rule,) = analyse(idiom.make(), idiom.inputs())["branch"].ruled_out
    assert rule.because == "the model itself computes 24 != 16"


def test_a_plan_with_a_count_that_is_ruled_out_is_refused() -> None:
    idiom = IDIOMS["width_asserted"]
    groups = analyse(idiom.make(), idiom.inputs())
    with pytest.raises(SpaceError, match=r"'enter' cannot keep 5 of its 24 .* Keep 4 or 8"):
        groups.plan({"enter": [0, 1, 2, 3, 4]})
    assert groups.plan({"enter": [0, 1, 2, 3]}).cuts
