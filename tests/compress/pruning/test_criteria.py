"""Criteria against values by hand, brute force and numerical derivatives."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from niwaki.compress.pruning import ChannelGroups, analyse
from niwaki.compress.pruning.criteria import (
    L1,
    L2,
    BatchNormScale,
    Criterion,
    Fisher,
    GeometricMedian,
    GradientStatistics,
    OptimalBrainDamage,
    Taylor,
    collect_gradients,
    score_groups,
)
from niwaki.core.errors import DataError
from niwaki.testing.pruning_idioms import IDIOMS

Network = tuple[Any, ChannelGroups, Tensor]


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    module = IDIOMS["several_heads"].make().double()
    inputs = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    return module, analyse(module, inputs), inputs


def _loss(task: str) -> Callable[[nn.Module, Tensor], Tensor]:
    return lambda module, batch: module(batch)[task].square().mean()


@pytest.fixture(scope="module")
def gradients(network: Network) -> GradientStatistics:
    module, groups, inputs = network
    return collect_gradients(module, groups, [inputs[:1], inputs[1:]], loss=_loss("mask"))


def test_norms_are_means_over_the_rows_of_the_layer(network: Network) -> None:
    module, groups, _ = network
    weight = module.a[0].weight.detach().flatten(1)
    assert np.allclose(L1().score(module, groups["a.0"]), weight.abs().mean(1))
    assert np.allclose(L2().score(module, groups["a.0"]), weight.square().mean(1).sqrt())


def test_batch_norm_scale_reads_the_norm_and_falls_back(network: Network) -> None:
    module, groups, _ = network
    with torch.no_grad():
        module.a[1].weight.copy_(-torch.arange(16.0))
    assert np.allclose(BatchNormScale().score(module, groups["a.0"]), np.arange(16.0))
    torch.nn.init.ones_(module.a[1].weight)
    plain = nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 2))
    plain_groups = analyse(plain, torch.randn(2, 4))
    (group,) = plain_groups.groups
    assert np.allclose(BatchNormScale().score(plain, group), L1().score(plain, group))


def test_the_geometric_median_is_a_sum_of_distances(network: Network) -> None:
    module, groups, _ = network
    rows = module.b[0].weight.detach().flatten(1).numpy()
    by_hand = [
        np.mean([np.linalg.norm(one - other) for other in rows]) / rows.shape[1] ** 0.5
        for one in rows
    ]
    assert np.allclose(GeometricMedian().score(module, groups["b.0"]), by_hand)


def test_a_gate_is_the_derivative_of_scaling_what_is_read(
    network: Network, gradients: GradientStatistics
) -> None:
    module, groups, inputs = network
    group, unit, step = groups["b.0"], 5, 1e-6
    losses = []
    for factor in (1.0 + step, 1.0 - step):
        handle = module.b.register_forward_hook(
            lambda m, i, out, factor=factor: torch.cat(
                [out[:, :unit], factor * out[:, unit : unit + 1], out[:, unit + 1 :]], 1
            )
        )
        with torch.no_grad():
            module.eval()
            losses.append([float(_loss("mask")(module, inputs[i : i + 1])) for i in (0, 1)])
        handle.remove()
    numerical = (np.array(losses[0]) - np.array(losses[1])) / (2 * step)
    assert gradients.gate_mean[group.name][unit] == pytest.approx(numerical.mean(), rel=1e-4)
    expected = (numerical**2).mean()
    assert Taylor(gradients).score(module, group)[unit] == pytest.approx(expected, rel=1e-4)
    assert Fisher(gradients).score(module, group)[unit] == pytest.approx(0.5 * expected, rel=1e-4)


def test_a_task_says_nothing_about_the_head_of_another(network: Network) -> None:
    module, groups, inputs = network
    of_label = collect_gradients(module, groups, [inputs], loss=_loss("label"))
    assert np.all(Taylor(of_label).score(module, groups["mask.0.0"]) == 0.0)
    assert np.any(Taylor(of_label).score(module, groups["b.0"]) > 0.0)


def test_brain_damage_is_half_squared_weight_times_squared_gradient() -> None:
    module = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 1)).double()
    x = torch.randn(5, 4, dtype=torch.float64)
    groups = analyse(module, x)
    loss: Callable[[nn.Module, Tensor], Tensor] = lambda m, b: m(b).mean()  # noqa: E731
    collected = collect_gradients(module, groups, [x], loss=loss)
    hidden = functional.relu(module[0](x)).mean(0)  # the gradient of the last weights
    by_hand = 0.5 * (module[2].weight[0] * hidden) ** 2  # type: ignore[index]
    scores = OptimalBrainDamage(collected).score(module, groups.groups[0])
    assert np.allclose(scores, by_hand.detach().numpy())


def test_frozen_parameters_count_and_stay_frozen(network: Network) -> None:
    module = IDIOMS["frozen"].make()
    inputs = torch.randn(2, 3, 8, 8)
    groups = analyse(module, inputs)
    found = collect_gradients(module, groups, [inputs], loss=lambda m, b: m(b).square().mean())
    assert all(np.any(found.gate_square[name] > 0.0) for name in groups.names)
    assert not module[0][0][0].weight.requires_grad  # type: ignore[index]
    assert all(parameter.grad is None for parameter in module.parameters())


@pytest.mark.parametrize("criterion", [L1(), L2(), BatchNormScale(), GeometricMedian()])
def test_every_group_of_every_idiom_has_finite_scores(criterion: Criterion) -> None:
    for name in ("padded_shortcut", "fused_attention", "depthwise_multiplier", "buffer_gain"):
        module, inputs = IDIOMS[name].make(), IDIOMS[name].inputs()
        groups = analyse(module, inputs)
        for group_name, scores in score_groups(criterion, module, groups).items():
            assert scores.shape == (groups[group_name].n_units,)
            assert np.all(np.isfinite(scores))


class Walked(nn.Sequential):
    """Counts how often somebody walks through all of it."""

    n_walks = 0

    def named_modules(self, *args: Any, **options: Any) -> Any:
        Walked.n_walks += 1
        return super().named_modules(*args, **options)


@pytest.mark.parametrize("criterion", [L1(), BatchNormScale(), GeometricMedian()])
def test_no_layer_is_looked_for_among_all_others(criterion: Criterion) -> None:
    module = Walked(*(nn.Linear(4, 4) for _ in range(9)))
    groups = analyse(module, torch.randn(2, 4))
    Walked.n_walks = 0
    assert len(score_groups(criterion, module, groups)) == 8
    assert Walked.n_walks == 0


def test_gradients_of_many_batches_take_no_more_walks_than_those_of_one() -> None:
    module = Walked(*(nn.Linear(4, 4) for _ in range(9)))
    inputs = torch.randn(2, 4)
    groups = analyse(module, inputs)
    n_walks = []
    for n_batches in (1, 5):
        Walked.n_walks = 0
        collect_gradients(module, groups, [inputs] * n_batches, loss=lambda m, x: m(x).sum())
        n_walks.append(Walked.n_walks)
    assert n_walks[0] == n_walks[1]


def test_no_data_and_no_finite_loss_are_errors(network: Network) -> None:
    module, groups, inputs = network
    with pytest.raises(DataError, match="at least one batch"):
        collect_gradients(module, groups, [], loss=_loss("mask"))
    with pytest.raises(DataError, match="finite"):
        collect_gradients(module, groups, [inputs * float("nan")], loss=_loss("mask"))


class Remembering(nn.Module):
    """Keeps what it computes of a table while in evaluation mode (LeViT, EfficientFormer)."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.leave = nn.Linear(4, 8), nn.Linear(8, 3)
        self.table = nn.Parameter(torch.ones(8))
        self.kept: dict[str, Tensor] = {}

    def train(self, mode: bool = True) -> "Remembering":
        self.kept = {}
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return self.leave(self.enter(x) + self.table.exp())  # type: ignore[no-any-return]
        if "bias" not in self.kept:
            self.kept["bias"] = self.table.exp()
        return self.leave(self.enter(x) + self.kept["bias"])  # type: ignore[no-any-return]


def test_what_a_model_remembers_has_a_gradient_in_each_batch() -> None:
    torch.manual_seed(0)
    module, inputs = Remembering().eval(), torch.randn(3, 4)
    groups = analyse(module, inputs)
    found = [
        collect_gradients(module, groups, batches, loss=lambda m, b: m(b).square().mean())
        for batches in ([inputs[:1], inputs[1:]], [inputs[:1]], [inputs[1:]])
    ]
    both, first, second = (statistics.weight_square["table"] for statistics in found)
    torch.testing.assert_close(both, (first + second) / 2)


class Untrainable(nn.Module):
    """Runs, but gradients do not flow: the input of a layer is overwritten, or `no_grad`."""

    def __init__(self, *, in_place: bool) -> None:
        super().__init__()
        self.in_place = in_place
        self.enter, self.inner, self.leave = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        with nullcontext() if self.in_place else torch.no_grad():
            x = self.enter(x)
            y = self.inner(x)
            x += y
            return self.leave(x)  # type: ignore[no-any-return]


@pytest.mark.parametrize("in_place", [False, True])
def test_a_model_that_cannot_be_trained_is_told_what_can_be_done(in_place: bool) -> None:
    module, inputs = Untrainable(in_place=in_place), torch.randn(2, 4)
    with pytest.raises(DataError, match=r"cannot be trained as it is written.*--only quantize"):
        collect_gradients(
            module, analyse(module, inputs), [inputs], loss=lambda m, b: m(b).square().mean()
        )
