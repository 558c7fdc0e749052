"""Tables of layers that are wrong, found before a super-network is trained."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest
import torch
from torch import nn

from niwaki.core.candidate import Candidate
from niwaki.core.errors import SpaceError
from niwaki.evaluation.supernet.table_check import require_true_table
from niwaki.spaces.choices import Condition
from niwaki.spaces.heads import Head, HeadKind
from niwaki.spaces.super_network.layers import Layer
from tests.evaluation.own_super_network import (
    WIDTH,
    TowerFamily,
    Towers,
    TowerSpace,
    TowerSuperNetwork,
)

SHAPE = (3, 8, 8)
HEADS = (Head("bright", HeadKind.VECTOR, 3), Head("dark", HeadKind.VECTOR, 2))


@dataclass(frozen=True)
class WrongTable(TowerSpace):
    """Changes one layer in the table.

    Attributes:
        field: Of the layer.
        value: What it becomes.
    """

    field: str = "n_positions"
    value: object = 5

    def layer_table(self, candidate: Candidate) -> tuple[Layer, ...]:
        wrong, *others = super().layer_table(candidate)
        changes: dict[str, object] = {self.field: self.value}
        return (replace(wrong, **changes), *others)  # type: ignore[arg-type]


@dataclass(frozen=True)
class WrongConditions(TowerSpace):
    """Has the first two layers in another order, or leaves the last one out."""

    reverse: bool = False

    @property
    def layer_conditions(self) -> Mapping[str, tuple[Condition, ...]]:
        items = list(super().layer_conditions.items())
        return dict([*reversed(items)] if self.reverse else items[:-1])


@dataclass(frozen=True)
class TransposedTable(TowerSpace):
    """Towers of transposed convolutions, which take one product for each weight and input pixel."""

    def layer_table(self, candidate: Candidate) -> tuple[Layer, ...]:
        pixels = SHAPE[1] * SHAPE[2]
        return tuple(
            replace(layer, kernel=2, stride=2, n_positions=pixels) if layer.norm else layer
            for layer in super().layer_table(candidate)
        )


class Transposed(TowerSuperNetwork):
    """What belongs to that table."""

    def extract(self, candidate: Candidate) -> Towers:
        network = super().extract(candidate)
        for tower in network.towers.values():
            tower.conv = nn.ConvTranspose2d(SHAPE[0], WIDTH, 2, 2, bias=False)
        network.pool = nn.MaxPool2d((2 * SHAPE[1], 2 * SHAPE[2]))
        return network


def check(space: TowerSpace) -> None:
    network = TowerFamily(space).super_network(torch.Generator().manual_seed(0))
    before = torch.get_rng_state()
    require_true_table(space, network, SHAPE)
    assert torch.equal(before, torch.get_rng_state())  # nothing that is random hangs on the check


def test_a_true_table_passes() -> None:
    check(TowerSpace(3, SHAPE, HEADS))


def test_a_true_table_of_transposed_convolutions_passes() -> None:
    space = TransposedTable(3, SHAPE, HEADS)
    require_true_table(space, Transposed(space, torch.Generator().manual_seed(0)), SHAPE)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("n_positions", 5, "'towers.0.conv' has 960 multiply-accumulates, and 768 in the network"),
        ("kernel", 3, "'towers.0.conv' has 108 weights, and 192 in the network"),
        ("norm", "", "all layers have 621 parameters, norms and biases included, and 625 in"),
        (
            "path",
            "tower.0.conv",
            "only `layer_table` has tower.0.conv; only `layer_.* towers.0",
        ),
    ],
)
def test_a_table_that_is_wrong_is_told(field: str, value: object, said: str) -> None:
    with pytest.raises(SpaceError, match=said):
        check(WrongTable(3, SHAPE, HEADS, field, value))


@pytest.mark.parametrize(
    ("reverse", "said"), [(False, "only `layer_table` has decoders.dark"), (True, "other orders")]
)
def test_conditions_that_are_wrong_are_told(reverse: bool, said: str) -> None:
    with pytest.raises(SpaceError, match=said):
        check(WrongConditions(3, SHAPE, HEADS, reverse))
