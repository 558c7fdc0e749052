"""Costs without rebuilding, against torch's own counter of a rebuilt model."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from torch import nn
from torch.nn.utils.parametrizations import weight_norm
from torch.utils.flop_counter import FlopCounterMode

from niwaki.compress.pruning import AnalysisSettings, analyse, apply_plan
from niwaki.compress.pruning.model_calls import call_model
from niwaki.core.randomness import stream
from niwaki.testing.model_zoo import ZOO
from niwaki.testing.pruning_idioms import IDIOMS

N_EXAMPLES = 2


def counted_macs(module: nn.Module, inputs: Any) -> float:
    """Return what torch counts for one example."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        call_model(module.eval(), inputs)
    return counter.get_total_flops() / 2 / N_EXAMPLES


@pytest.mark.parametrize(
    "name", ["residual", "dense_block", "many_groups", "grouped_transposed", "separate_attention"]
)
def test_macs_of_random_plans(name: str) -> None:
    module, inputs = IDIOMS[name].make(), IDIOMS[name].inputs()
    groups = analyse(module, inputs)
    assert float(groups.costs.macs(groups.n_units)) == counted_macs(module, inputs)
    for draw in range(3):
        kept = [int(stream(draw, g.name).integers(1, g.n_units + 1)) for g in groups.groups]
        plan = groups.plan({n: range(k) for n, k in zip(groups.names, kept, strict=True)})
        smaller = apply_plan(module, plan)
        assert float(groups.costs.macs(kept)) == counted_macs(smaller, inputs)


@pytest.mark.parametrize("name", ["mobilenet_v1", "resnext50", "mlp_mixer", "t5", "generator"])
def test_macs_of_architectures(name: str) -> None:
    module, inputs = ZOO[name].make(0.25), ZOO[name].inputs()
    groups = analyse(module, inputs, settings=AnalysisSettings(verify=False))
    assert float(groups.costs.macs(groups.n_units)) == counted_macs(module, inputs)


class _Unfollowed(nn.Module):
    """Computes in layers and functions that no rule follows."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(12, 3, add_bias_kv=True, batch_first=True)
        self.weight = nn.Parameter(torch.randn(12, 5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed, _ = self.attention(x, x, x, need_weights=False)
        return torch.einsum("...i,ij->...j", mixed, self.weight)


def test_macs_of_what_is_not_followed() -> None:
    groups = analyse(_Unfollowed(), torch.randn(N_EXAMPLES, 7, 12))
    projections, products, last = 4 * 7 * 12 * 12, 2 * 7 * 8 * 12, 7 * 12 * 5
    assert float(groups.costs.macs(groups.n_units)) == projections + products + last


def test_macs_of_bilinear_layers() -> None:
    idiom = IDIOMS["bilinear_fusion"]
    groups = analyse(idiom.make(), idiom.inputs())
    n_items, n_features = idiom.inputs().shape[1:]
    branches, fusion = n_features * (10 + 12), 8 * 10 * 12
    assert float(groups.costs.macs(groups.n_units)) == n_items * (branches + fusion) + 8 * 5
    fewer = groups.n_units // 2
    branches, fusion = n_features * (5 + 6), 4 * 5 * 6
    assert float(groups.costs.macs(fewer)) == n_items * (branches + fusion) + 4 * 5


class _MadeOfWeights(nn.Module):
    """A weight of low rank, and queries that are learnt: one of them for every example anew."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Parameter(torch.randn(9, 4)), nn.Parameter(torch.randn(4, 6))
        self.once, self.anew = nn.Parameter(torch.randn(3, 6)), nn.Parameter(torch.randn(5, 6))
        self.read, self.head = nn.Linear(6, 9), nn.Linear(9, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        keys = F.linear(x, self.up @ self.down)
        queries = self.read(self.once).sum(0) + self.read(self.anew.expand(len(x), -1, -1)).sum(1)
        answer: torch.Tensor = self.head(keys * queries)
        return answer


@pytest.mark.parametrize("n_examples", [1, 2, 5])
def test_what_is_computed_from_weights_alone_is_no_cost_of_an_example(n_examples: int) -> None:
    costs = analyse(_MadeOfWeights(), torch.randn(n_examples, 6)).costs
    keys, queries, head = 6 * 9, 5 * 6 * 9, 9 * 2
    assert float(costs.macs(costs.whole)) == keys + queries + head


class _Scaled(nn.Module):
    """Takes a table before its examples."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 16), nn.Linear(16, 8)

    def forward(self, scale: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.b(self.a(x).relu()) * scale
        return answer


@pytest.mark.parametrize("n_examples", [1, 2, 4])
def test_an_input_that_is_the_same_for_all_examples_is_not_their_number(n_examples: int) -> None:
    inputs = {"scale": torch.ones(8), "x": torch.randn(n_examples, 6)}
    costs = analyse(_Scaled(), inputs).costs
    assert float(costs.macs(costs.whole)) == 6 * 16 + 16 * 8


def test_many_candidates_at_once_are_as_one_by_one() -> None:
    groups = analyse(IDIOMS["concatenation"].make(), IDIOMS["concatenation"].inputs())
    rng = np.random.default_rng(0)
    table = rng.integers(1, groups.n_units + 1, size=(50, len(groups.groups)))
    for cost in (groups.costs.macs, groups.costs.params):
        together = cost(table)
        assert together.shape == (50,)
        assert np.allclose(together, [float(cost(row)) for row in table])


def test_layers_add_up_and_widths_are_channels() -> None:
    groups = analyse(IDIOMS["residual"].make(), IDIOMS["residual"].inputs())
    costs = groups.costs
    kept = np.array([8, 10])
    per_layer = costs.macs_per_layer(kept)
    assert per_layer.sum() == costs.macs(kept)
    layer = costs.macs_of.owners.index("a.0")
    assert costs.widths_per_layer(kept)[layer].tolist() == [8, 10]
    assert per_layer[layer] == 8 * 10 * 9 * 64


def test_the_last_width_of_a_layer_is_its_outputs() -> None:
    model = nn.Sequential(
        nn.Conv1d(3, 5, 1), nn.Flatten(), nn.Linear(10, 7), _Twice(), nn.Linear(4, 2)
    )
    costs = analyse(model.eval(), torch.zeros(2, 3, 2)).costs
    widths = costs.widths_per_layer(costs.whole)
    assert dict(zip(costs.macs_of.owners, widths.tolist(), strict=True)) == {
        "0": [1, 3, 5],
        "2": [1, 10, 7],
        "3.both": [7, 7, 4],
        "4": [1, 4, 2],
    }


class _Twice(nn.Module):
    """Reads its input twice: a product of three widths."""

    def __init__(self) -> None:
        super().__init__()
        self.both = nn.Bilinear(7, 7, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.both(x, x)
        return y


class _Idle(nn.Module):
    """Has two layers whose results are dropped; the weight of one is computed."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.inner, self.head = nn.Linear(6, 8), nn.Linear(8, 4), nn.Linear(4, 3)
        self.normed, self.plain = weight_norm(nn.Linear(6, 5), dim=1), nn.Linear(8, 7)
        self.norm = nn.BatchNorm1d(7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = torch.relu(self.body(x))
        self.normed(x)
        self.norm(self.plain(features))
        answer: torch.Tensor = self.head(self.inner(features))
        return answer


IDLE = ["plain.weight", "plain.bias", "normed.bias", "norm.weight", "norm.bias"]
IDLE += [f"normed.parametrizations.weight.original{number}" for number in (0, 1)]


def test_what_is_multiplied_by_parameters_that_do_not_matter_is_not_counted() -> None:
    costs = analyse(_Idle(), torch.randn(N_EXAMPLES, 6)).costs
    used, normed, plain = 6 * 8 + 8 * 4 + 4 * 3, 6 * 5, 8 * 7
    assert float(costs.macs(costs.whole)) == used + normed + plain
    assert float(costs.without(["plain.weight"]).macs(costs.whole)) == used + normed
    assert float(costs.without(IDLE).macs(costs.whole)) == used
    assert float(costs.without(IDLE).params(costs.whole)) == used + 8 + 4 + 3


def test_channels_of_parameters_that_do_not_matter_are_no_groups() -> None:
    groups = analyse(_Idle(), torch.randn(N_EXAMPLES, 6))
    assert set(groups.names) == {"body", "inner", "plain"}
    left = groups.without(IDLE)
    assert left.names == left.costs.groups == ("body", "inner")
    assert float(left.costs.macs([3, 2])) == 6 * 3 + 3 * 2 + 2 * 3
    alone = groups.costs.of_groups([groups.names.index("inner")])
    assert float(alone.macs([2])) == 6 * 8 + 8 * 2 + 2 * 3 + 6 * 5 + 8 * 7
