"""Weights fitted to the channels that stay: exact where channels repeat, never worse, undone."""

import pytest
import torch
from torch import Tensor, nn

from niwaki.compress.pruning import ChannelGroups, PruningPlan, analyse, apply_plan, masked
from niwaki.compress.pruning.compensation import (
    WeightFits,
    compensated,
    compensated_weights,
    input_moments,
    set_weights,
)
from niwaki.core.errors import DataError
from niwaki.testing.model_zoo import ZOO

INPUTS = torch.randn(64, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Chain(nn.Module):
    """A convolution whose last channel repeats its first, and what reads it."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.second = nn.Conv2d(6, 5, 3, padding=1)
        self.head = nn.Linear(5 * 64, 4)
        with torch.no_grad():
            self.first.weight[5] = 2.0 * self.first.weight[0]
            assert self.first.bias is not None
            self.first.bias[5] = 2.0 * self.first.bias[0]

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.second(torch.relu(self.first(x))))
        out: Tensor = self.head(torch.flatten(x, 1))
        return out


def chain() -> tuple[Chain, ChannelGroups]:
    torch.manual_seed(0)
    module = Chain().eval()
    return module, analyse(module, INPUTS[:2])


def error_of(module: nn.Module, smaller: nn.Module) -> float:
    with torch.no_grad():
        difference: Tensor = (module(INPUTS) - smaller(INPUTS)).square().mean()
    return float(difference)


def test_a_channel_that_repeats_another_is_not_missed() -> None:
    module, groups = chain()
    plan = groups.plan({"first": [0, 1, 2, 3, 4]})
    smaller = compensated(module, plan, input_moments(module, [INPUTS]))
    assert error_of(module, smaller) < 1e-4 * error_of(module, apply_plan(module, plan))


def test_the_fit_is_that_of_least_squares() -> None:
    torch.manual_seed(0)
    mixing = torch.randn(6, 6)
    module = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3, bias=False)).eval()
    inputs = torch.randn(20000, 6) @ mixing
    kept = torch.tensor([0, 2, 3])
    plan = analyse(module, inputs[:2]).plan({"0": kept.tolist()})
    fitted = compensated_weights(module, plan, input_moments(module, [inputs]))["2.weight"]
    with torch.no_grad():
        hidden, wanted = torch.relu(module[0](inputs)), module(inputs)
    best = torch.linalg.lstsq(hidden[:, kept], wanted).solution.T
    torch.testing.assert_close(fitted[:, kept], best, rtol=0.02, atol=0.01)
    assert not fitted[:, [1, 4, 5]].any()


def test_few_inputs_change_little() -> None:
    module, groups = chain()
    plan = groups.plan({"second": [0, 1, 2]})
    few, many = (
        compensated_weights(module, plan, input_moments(module, [INPUTS[:n]]))["head.weight"]
        for n in (1, 64)
    )
    kept = few != 0
    moved = [(w - module.head.weight)[kept].abs().mean() for w in (few, many)]
    assert moved[0] < moved[1]


@pytest.mark.parametrize("name", ["multi_task", "unet", "resnet18"])
def test_masked_and_pruned_are_the_same_network(name: str) -> None:
    torch.manual_seed(0)
    module = ZOO[name].make(0.25).eval()
    inputs = torch.randn(2, 3, 32, 32)
    groups = analyse(module, inputs)
    plan = groups.plan({g.name: list(range(0, g.n_units, 2)) for g in groups.groups})
    moments = input_moments(module, [inputs])
    fitted = compensated_weights(module, plan, moments)
    with masked(module, plan), torch.no_grad():
        set_weights(module, fitted)
        expected = module(inputs)
    with torch.no_grad():
        got = compensated(module, plan, moments)(inputs)
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-4)


def test_the_model_is_as_before() -> None:
    module, groups = chain()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    plan = groups.plan({"first": [1, 2], "second": [0, 3]})
    moments = input_moments(module, [INPUTS])
    compensated(module, plan, moments)
    with masked(module, plan):
        set_weights(module, compensated_weights(module, plan, moments))
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not any(layer._forward_pre_hooks for layer in module.modules())


def test_nothing_removed_changes_nothing() -> None:
    module, _ = chain()
    assert compensated_weights(module, PruningPlan(), input_moments(module, [INPUTS])) == {}


def test_no_inputs_are_an_error() -> None:
    with pytest.raises(DataError, match="at least one batch"):
        input_moments(chain()[0], [])


def test_layers_whose_inputs_are_not_finite_are_left_alone() -> None:
    module, groups = chain()
    module.first.weight.data[2] = torch.nan
    plan = groups.plan({"first": [0, 1], "second": [0, 1]})
    assert compensated_weights(module, plan, input_moments(module, [INPUTS])) == {}


def test_shared_weights_and_named_inputs_are_survived() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.third = (nn.Linear(6, 6) for _ in range(3))
            self.third.weight = self.second.weight

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.third(torch.relu(self.second(torch.relu(self.first(input=x)))))
            return out

    found = input_moments(Odd().eval(), [torch.randn(8, 6)])
    assert list(found.second) == ["first"]


def test_a_module_called_twice_is_shared_by_its_calls() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(6, 6)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.layer(torch.relu(self.layer(x)))
            return out

    assert input_moments(Twice().eval(), [torch.randn(8, 6)]).n == {"layer": 16}


def test_a_weight_that_loses_the_same_inputs_is_fitted_once() -> None:
    module, groups = chain()
    moments = input_moments(module, [INPUTS])
    fits = WeightFits(module, moments)
    before = fits.of(groups.plan({"first": [0, 1]}))
    assert fits.of(groups.plan({"first": [0, 1]}))["second.weight"] is before["second.weight"]
    for plan in (groups.plan({"first": [0, 1], "second": [2]}), groups.plan({"first": [0, 2]})):
        again, fresh = fits.of(plan), compensated_weights(module, plan, moments)
        assert again.keys() == fresh.keys()
        assert all(torch.equal(again[name], fresh[name]) for name in again)


def test_layers_with_very_many_inputs_are_left_alone() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 40, 1), nn.Flatten(), nn.Linear(40 * 64, 2)).eval()
    assert set(input_moments(module, [INPUTS]).second) == {"0"}
