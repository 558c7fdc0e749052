"""Masks are exact, reversible, and leave no trace, whatever happens inside."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from niwaki.compress.pruning import analyse, apply_plan, masked
from niwaki.testing.pruning_idioms import IDIOMS
from niwaki.testing.pruning_idioms.composed import Composed, conv, parameter
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


class _Tabled(nn.Module):
    """Keeps a table that it computes from parameters, as LeViT does with attention biases."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.leave = nn.Linear(5, 16), nn.Linear(16, 3)
        self.gain = nn.Parameter(torch.randn(16))
        self.table: dict[str, Tensor] = {}

    def train(self, mode: bool = True) -> "_Tabled":
        self.table = {}
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training and not self.table:
            self.table["cpu"] = self.gain.exp()
        y: Tensor = self.enter(x) * (self.gain.exp() if self.training else self.table["cpu"])
        left: Tensor = self.leave(y)
        return left


def test_what_a_model_has_computed_from_parameters_is_computed_again() -> None:
    torch.manual_seed(0)
    module, inputs = _Tabled().eval(), torch.randn(2, 5)
    before = module(inputs)
    plan = half_of_each(analyse(module, inputs))
    assert plan.cuts
    smaller = apply_plan(module, plan)
    assert torch.equal(module(inputs), before)
    with masked(module, plan):
        expected = module(inputs)
    assert torch.allclose(smaller(inputs), expected, atol=1e-5)


def test_what_a_model_has_computed_under_the_mask_is_forgotten() -> None:
    module, inputs = _Tabled().eval(), torch.randn(2, 5)
    plan = half_of_each(analyse(module, inputs))
    before = _Tabled().eval()
    before.load_state_dict(module.state_dict())
    with masked(module, plan):
        module(inputs)
    assert torch.equal(module(inputs), before(inputs))


class _NotToBeTrained(nn.Sequential):
    def train(self, mode: bool = True) -> "_NotToBeTrained":
        if mode:
            raise RuntimeError("it is for inference alone")
        return super().train(mode)


def test_a_model_that_cannot_be_trained_is_pruned_all_the_same() -> None:
    module = _NotToBeTrained(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    plan = half_of_each(analyse(module, torch.randn(2, 5)))
    with masked(module, plan):
        assert apply_plan(module, plan)[0].weight.shape == (4, 5)


def test_every_part_stays_in_its_own_mode() -> None:
    module, inputs = nn.Sequential(_Tabled(), nn.BatchNorm1d(3)).eval(), torch.randn(2, 5)
    plan = half_of_each(analyse(module, inputs))
    module(inputs)
    module[1].train()
    with masked(module, plan):
        assert [child.training for child in module] == [False, True]
    assert [child.training for child in apply_plan(module, plan)] == [False, True]


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


def _grouped(m: Any, x: torch.Tensor) -> Any:
    return torch.group_norm(m.a(x), 3, m.weight, m.bias, 1e-5, cudnn_enabled=False)


def _layered(m: Any, x: torch.Tensor) -> Any:
    last = m.a(x).movedim(1, -1)
    return torch.layer_norm(last, last.shape[-1:], m.weight, m.bias, 1e-5, False).movedim(-1, 1)


def _named(m: Any, x: torch.Tensor) -> Any:
    return functional.group_norm(input=m.a(x), num_groups=1, weight=m.weight, bias=m.bias)


def _standardised(m: Any, x: torch.Tensor) -> Any:
    rows = m.a.weight.reshape(1, len(m.a.weight), -1)
    even = torch.batch_norm(rows, m.weight, None, None, None, True, 0.0, 1e-5, False)
    return functional.conv2d(x, even.reshape(m.a.weight.shape))


@pytest.mark.parametrize("compute", [_grouped, _layered, _named, _standardised])
def test_norms_are_masked_however_they_are_called(compute: Any) -> None:
    parts = {"a": conv(8, 12, 1), "weight": parameter(12), "bias": parameter(12)}
    module = nn.Sequential(conv(3, 8), Composed(compute, parts), conv(12, 2))
    groups = analyse(module, inputs := torch.randn(2, 3, 5, 5))
    assert groups.names == ("0", "1.a")
    plan = half_of_each(groups)
    with masked(module, plan):
        expected = outputs(module, inputs)
    assert worst_difference(expected, outputs(apply_plan(module, plan), inputs)) < 1e-5
