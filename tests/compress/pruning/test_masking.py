"""Masks are exact, reversible, and leave no trace, whatever happens inside."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from niwaki.compress.pruning import analyse, apply_plan, masked
from niwaki.testing.pruning_idioms import IDIOMS
from tests.compress.pruning.equality import half_of_each, outputs, worst_difference


def _bits(module: nn.Module) -> dict[str, torch.Tensor]:
    return copy.deepcopy(module.state_dict())


def _same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(left[key], right[key]) for key in left)


@pytest.mark.parametrize("name", ["residual", "group_normalised", "channels_last_block"])
def test_on_leaving_everything_is_as_before(name: str) -> None:
    module, inputs = IDIOMS[name].make(), IDIOMS[name].inputs()
    plan = half_of_each(analyse(module, inputs))
    before = _bits(module)
    with masked(module, plan):
        module.train()
        module(inputs)  # recalibrates batch norms
    assert _same(before, module.state_dict())


def test_also_after_an_error() -> None:
    module, inputs = IDIOMS["residual"].make(), IDIOMS["residual"].inputs()
    plan = half_of_each(analyse(module, inputs))
    before = _bits(module)
    with pytest.raises(ZeroDivisionError), masked(module, plan):
        raise ZeroDivisionError
    assert _same(before, module.state_dict())


def test_recalibrated_under_the_mask_is_recalibrated_and_pruned() -> None:
    torch.manual_seed(0)
    module, inputs = IDIOMS["residual"].make(), IDIOMS["residual"].inputs()
    plan = half_of_each(analyse(module, inputs))
    smaller = apply_plan(module, plan).train()
    smaller(inputs)
    with masked(module, plan):
        module.train()
        module(inputs)
        expected = outputs(module, inputs)
    assert worst_difference(expected, outputs(smaller, inputs)) < 1e-5


def test_a_masked_layer_norm_leaves_the_removed_channels_out() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(5, 8), nn.LayerNorm(8), nn.Linear(8, 3))
    inputs = torch.randn(4, 5)
    groups = analyse(module, inputs)
    plan = groups.plan({groups.names[0]: [0, 3, 6]})
    with masked(module, plan):
        got = outputs(module, inputs)[""]
    first, norm, last = module
    kept = [0, 3, 6]
    y = functional.linear(inputs, first.weight[kept], first.bias[kept])  # type: ignore[index]
    y = functional.layer_norm(y, (3,), norm.weight[kept], norm.bias[kept], 1e-5)  # type: ignore[index]
    by_hand = functional.linear(y, last.weight[:, kept], last.bias)  # type: ignore[index, arg-type]
    assert torch.allclose(got, by_hand, atol=1e-6)


def test_gradients_flow_under_a_mask() -> None:
    module, inputs = IDIOMS["plain_layer_norm"].make(), IDIOMS["plain_layer_norm"].inputs()
    plan = half_of_each(analyse(module, inputs))
    with masked(module, plan):
        module(inputs).sum().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in module.parameters())
