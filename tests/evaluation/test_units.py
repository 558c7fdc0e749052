"""Units of real targets: in the layers that answer, or behind networks whose answers come else."""

import copy

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from niwaki.evaluation.units import Units
from niwaki.export.float_graph import float_graph
from niwaki.export.verify import verify_model
from niwaki.tasks.statistics import class_statistics, value_statistics

PRICES = value_statistics([np.array([[2e5, -1e-6], [6e5, 3e-6]], dtype=np.float32)])
SHADES = class_statistics([np.array([0, 1, 1])], 2)
IMAGES = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Features(nn.Module):
    """Two features of an image, and all that may come after them."""

    def __init__(self, *last: nn.Module, bias: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.leave = nn.Linear(4, 2, bias=bias)
        self.last = nn.Sequential(*last)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(self.leave(self.conv(x).relu().mean((2, 3))))
        return y


class Map(nn.Module):
    """Answers everywhere, from half of the pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor]:
        return (functional.interpolate(self.conv(x), size=(8, 8), mode="bilinear"),)


class Both(nn.Module):
    """Answers with prices, and with shades that are seen from the prices."""

    def __init__(self) -> None:
        super().__init__()
        self.price, self.shade = Features(), nn.Linear(2, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        price = self.price(x)
        return price, self.shade(price)


@pytest.mark.parametrize(
    "network",
    [
        Features(),
        Features(bias=False),
        Features().requires_grad_(False),
        nn.Sequential(Features()),
        Map(),
    ],
)
def test_the_layer_that_answers_has_the_units(network: nn.Module) -> None:
    units, network = Units([PRICES]), network.eval()
    wanted = units(network(IMAGES))
    before = [node.op_type for node in graph_of(network).graph.node]
    units.give(network, IMAGES)
    (found,) = units(network(IMAGES))  # they are in the network now
    std = torch.from_numpy(PRICES.std)
    deviations = [each.movedim(1, -1) / std for each in (found, wanted[0])]
    torch.testing.assert_close(*deviations, rtol=1e-4, atol=1e-4)
    assert [node.op_type for node in graph_of(network).graph.node] == before


@pytest.mark.parametrize(
    "network",
    [
        Features(nn.Tanh()),
        Features(nn.Unflatten(1, (2, 1))),
        Both(),
        nn.Sequential(Features(), nn.Tanh()),
        fx.symbolic_trace(Features(nn.Tanh())),
    ],
)
def test_other_networks_multiply_and_add(network: nn.Module) -> None:
    network = network.eval()
    plain = copy.deepcopy(network)
    units = Units([PRICES, SHADES] if isinstance(network, Both) else [PRICES])
    units.give(network, IMAGES)
    for copied in (network, copy.deepcopy(network)):
        torch.testing.assert_close(copied(IMAGES), units(plain(IMAGES)))
    check = verify_model(graph_of(network), {"x": IMAGES.numpy()}, torch_module=network)
    check.require("the graph")


def graph_of(network: nn.Module) -> onnx.ModelProto:
    return float_graph(network, [(1, 3, 8, 8)], lambda: [IMAGES], input_names=["x"])


def test_answers_of_classes_stay() -> None:
    network = Features().eval()
    wanted = network(IMAGES)
    units = Units([SHADES])
    units.give(network, IMAGES)
    assert torch.equal(network(IMAGES), wanted)
    assert units(wanted)[0] is wanted
    assert not units.differ
