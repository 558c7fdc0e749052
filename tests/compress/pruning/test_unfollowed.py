"""Code that cannot be followed: what can be, is pruned; the rest is named with the reason."""

import warnings
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from niwaki.compress.pruning import ChannelGroups, analyse, apply_plan, masked
from niwaki.compress.pruning.model_calls import call_model, named_tensors, repeatable
from tests.compress.pruning.equality import half_of_each, worst_difference
from tests.compress.pruning.odd_networks import (
    CASES,
    Locked,
    NotToBeWatched,
    Plain,
    Remembering,
    Scripted,
)

IMAGES = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))


def _made(kind: type[Plain]) -> Plain:
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of torch.jit
        return kind().eval()


def _outputs(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    with torch.no_grad(), repeatable(module):
        return dict(named_tensors(call_model(module, IMAGES)))


def _reasons(groups: ChannelGroups) -> dict[str, str]:
    return {refusal.name: refusal.reason for refusal in groups.refused}


@pytest.mark.parametrize("kind", CASES)
def test_what_can_be_followed_is_pruned(kind: type[Plain]) -> None:
    module = _made(kind)
    before = _outputs(module)
    groups = analyse(module, IMAGES)
    assert groups.names == CASES[kind]
    plan = half_of_each(groups)
    smaller = apply_plan(module, plan)
    with masked(module, plan):
        expected = _outputs(module)
    assert worst_difference(expected, _outputs(smaller)) < 1e-4
    assert worst_difference(before, _outputs(module)) == 0.0


def test_code_that_is_not_followed_is_named_with_its_line() -> None:
    reasons = _reasons(analyse(_made(NotToBeWatched), IMAGES))
    assert "the code of the model itself is not followed" in reasons["stem.0.weight[0]"]
    assert "ZeroDivisionError somebody looks at" in reasons["stem.0.weight[0]"]
    assert "odd_networks.py:" in reasons["stem.0.weight[0]"]


def test_scripted_parts_are_named() -> None:
    reasons = _reasons(analyse(_made(Scripted), IMAGES))
    assert "body is not followed: it is scripted (torch.jit)" in reasons["body.a.0.weight"]


def test_what_scripted_parts_cost_is_counted() -> None:
    module = _made(Scripted)
    counter = FlopCounterMode(display=False)
    with counter:
        module(IMAGES[:1])
    costs = analyse(module, IMAGES).costs
    assert float(costs.macs(costs.whole)) == counter.get_total_flops() / 2


def test_what_a_model_remembers_is_left_as_it_was() -> None:
    module: Any = _made(Remembering)
    module(IMAGES)
    before = module.before
    with repeatable(module):
        module(IMAGES)
    assert module.before is before and len(module.seen) == 1


def test_what_cannot_be_copied_is_shared() -> None:
    module: Any = _made(Locked)
    smaller: Any = apply_plan(module, half_of_each(analyse(module, IMAGES)))
    assert smaller.lock is module.lock
    assert smaller.stem[0].weight is not module.stem[0].weight
