"""Equalised graphs compute the same, and their channels have like ranges."""

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (as everyone spells it)
from onnx import numpy_helper
from torch import nn

from niwaki.export.fast_path.fx_graph import build_graph, write_graph
from niwaki.export.graph.index import GraphIndex
from niwaki.export.int8.equalisation import equalised, find_pairs
from niwaki.export.int8.module_equalisation import equalise_module
from tests.export.networks import INPUT_SHAPE, MultiTask, conv_bn_relu, images, run, settled


class Chain(nn.Module):
    """Plain, depthwise and grouped convolutions, pooling, and linear layers behind a flatten."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = conv_bn_relu(3, 8, 2)
        self.depthwise = conv_bn_relu(8, 8, groups=8)
        self.grouped = nn.Conv2d(8, 12, 3, groups=4)
        self.act = nn.LeakyReLU(0.1)
        self.pool = nn.MaxPool2d(4)
        self.hidden = nn.Linear(12 * 9, 10)
        self.leave = nn.Linear(10, 5)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.pool(self.act(self.grouped(self.depthwise(self.enter(image)))))
        y: torch.Tensor = self.leave(torch.relu(self.hidden(torch.flatten(x, 1))))
        return y


def graph(module: nn.Module) -> onnx.ModelProto:
    return build_graph(settled(module), [INPUT_SHAPE], input_names=["image"])


def uneven(module: nn.Module) -> nn.Module:
    """Spread the ranges of channels over two orders of magnitude."""
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                factors = torch.logspace(-1, 1, len(layer.weight))
                layer.weight.mul_(factors.reshape(-1, *[1] * (layer.weight.ndim - 1)))
    return module


@pytest.mark.parametrize("module", [Chain(), MultiTask(), MultiTask(mode="bilinear")])
def test_the_outputs_stay_the_same(module: nn.Module) -> None:
    model = graph(uneven(module))
    before, after = run(model, images(4)), run(equalised(model), images(4))
    for name, values in before.items():
        np.testing.assert_allclose(after[name], values, rtol=2e-4, atol=2e-5 * values.std())


def test_every_pair_of_a_chain_is_found() -> None:
    pairs = find_pairs(GraphIndex(graph(Chain()).graph))
    assert [(pair.first.path, pair.second.path) for pair in pairs] == [
        ("enter.0", "depthwise.0"),
        ("depthwise.0", "grouped"),
        ("grouped", "hidden"),
        ("hidden", "leave"),
    ]


def test_channels_have_the_same_range_on_both_sides() -> None:
    index = GraphIndex(equalised(graph(uneven(Chain()))).graph)
    pair = list(find_pairs(index))[-1]
    given = np.abs(index.values(pair.first.weight)).max(axis=1 - pair.first.weight_axis)
    read = np.abs(index.values(pair.second.weight)).max(axis=pair.second.weight_axis)
    np.testing.assert_allclose(given, read, rtol=5e-3)


def test_a_residual_stream_is_left_alone() -> None:
    pairs = find_pairs(GraphIndex(graph(MultiTask()).graph))
    assert not any("conv2" in pair.first.path for pair in pairs)


@pytest.mark.parametrize(
    ("mode", "value", "is_pair"),
    [("constant", 0.0, True), ("constant", 1.0, False), ("reflect", 0.0, True)],
)
def test_padding_between_layers(mode: str, value: float, is_pair: bool) -> None:
    class Padded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            padded = F.pad(self.first(x).relu(), (1, 2, 0, 1), mode=mode, value=value)
            y: torch.Tensor = self.second(padded)
            return y

    model = graph(uneven(Padded()))
    assert len(list(find_pairs(GraphIndex(model.graph)))) == is_pair
    before, after = run(model, images(4)), run(equalised(model), images(4))
    np.testing.assert_allclose(after["output"], before["output"], rtol=2e-4, atol=1e-5)


def test_even_channels_are_left_alone() -> None:
    model = graph(Chain())
    assert equalised(model, least_spread=1e4) is model


@pytest.mark.parametrize("make", [Chain, MultiTask])
def test_a_module_is_equalised_as_its_graph_is(make: type[nn.Module]) -> None:
    module = uneven(settled(make()))
    written = write_graph(module, [INPUT_SHAPE], input_names=["image"])
    expected = equalised(written.model)
    equalise_module(module, written, least_spread=1.0)
    found = build_graph(module, [INPUT_SHAPE], input_names=["image"])
    for ours, theirs in zip(found.graph.initializer, expected.graph.initializer, strict=True):
        values, wanted = map(numpy_helper.to_array, (ours, theirs))
        np.testing.assert_allclose(values, wanted, rtol=1e-4, atol=1e-6)


class Bare(nn.Module):
    """A norm without weights, between two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 3)
        self.norm = nn.BatchNorm2d(8, affine=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.second(torch.relu(self.norm(self.first(x))))
        return y


class SharedLayers(nn.Module):
    """Convolutions that are called twice, with norms of their own for each call."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)
        self.norms = nn.ModuleList(nn.BatchNorm2d(8) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = []
        smaller = nn.functional.max_pool2d(x, 2)
        for level, (inner, outer) in ((x, self.norms[:2]), (smaller, self.norms[2:])):
            y = outer(self.second(torch.relu(inner(self.first(level)))))
            found.append(y.mean((2, 3)))
        return torch.add(*found)


class SharedNorm(nn.Module):
    """One norm behind two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 8, 3), nn.Conv2d(3, 8, 3)
        self.after_left, self.after_right = (nn.Conv2d(8, 4, 3) for _ in range(2))
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left = self.after_left(torch.relu(self.norm(self.left(x))))
        right = self.after_right(torch.relu(self.norm(self.right(x))))
        return torch.add(left, right)


class Tied(nn.Module):
    """Two layers of one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)
        self.third = nn.Conv2d(8, 8, 3)
        self.third.weight = self.second.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.third(torch.relu(self.second(torch.relu(self.first(x)))))
        return y


@pytest.mark.parametrize("make", [Bare, SharedLayers, SharedNorm, Tied])
def test_weights_with_other_readers_are_left_alone(make: type[nn.Module]) -> None:
    module, image = uneven(settled(make())), torch.from_numpy(images(2))
    expected = module(image)
    equalise_module(module, write_graph(module, [INPUT_SHAPE]), least_spread=1.0)
    torch.testing.assert_close(module(image), expected, rtol=1e-4, atol=1e-5)
