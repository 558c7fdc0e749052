"""Narrow convolutions that skip pixels get those they do not skip, for oneDNN's sake."""

import subprocess
import sys
from typing import Literal

import pytest
import torch
from torch import nn

from niwaki.evaluation.devices import placed

CPU = torch.device("cpu")
STEP = """
import sys
import torch
from torch import nn
from niwaki.evaluation.devices import placed
channels = int(sys.argv[1])
network = placed(nn.Conv2d(channels, 16, 1, stride=2), torch.device("cpu"), torch.channels_last)
images = torch.randn(2, channels, 192, 32).to(memory_format=torch.channels_last).requires_grad_()
network(images).square().sum().backward()
print("alive")
"""
ROUNDED = """
import sys
import torch
from torch import nn
from niwaki.compress.quantization.plan import Precision, QuantizationPlan
from niwaki.evaluation.devices import placed
from niwaki.export.int8.calibration import activation_ranges
from niwaki.export.int8.fake_quantization import FakeQuantized
channels = int(sys.argv[1])
network = nn.Sequential(nn.Conv2d(channels, 16, 1, stride=2)).eval()
network = placed(network, torch.device("cpu"), torch.channels_last)
plan = QuantizationPlan({"0": Precision.INT8})
rounded = FakeQuantized(network, plan, [(1, channels, 192, 32)], input_names=["image"])
images = torch.randn(2, channels, 192, 32)
feeds = [{"image": images.numpy()}]
rounded.observe(lambda model: activation_ranges(model, feeds, observer="minmax"))
images = images.to(memory_format=torch.channels_last).requires_grad_()
rounded(images).square().sum().backward()
print("alive")
"""
IMPORTANCE = """
import sys
import torch
from torch import nn
from niwaki.compress.pruning import analyse
from niwaki.core.candidate import Candidate
from niwaki.evaluation.compression.proposing.importance import importance
from niwaki.evaluation.compression.given_data.inferred_data import infer_from
from niwaki.evaluation.from_scratch.proxy_scores import ProxyScores
channels = int(sys.argv[1])
layers = [nn.Conv2d(channels, 16, 1, stride=2), nn.Conv2d(16, 3, 1), nn.AdaptiveAvgPool2d(1)]
network = nn.Sequential(*layers, nn.Flatten()).eval()
images = torch.randn(64, channels, 192, 32)
data = infer_from({"train": [(images, torch.randint(3, (64,)))]}, network, seed=0)
if sys.argv[2:]:
    ProxyScores(["grad_norm"], data, lambda _: network, seed=0)(Candidate(()))
else:
    importance(network, analyse(network, images[:2]), data, n_items=64)
print("alive")
"""


@pytest.mark.parametrize(
    ("step", "arguments"),
    [
        *((STEP, ["1"]), (STEP, ["3"]), (ROUNDED, ["3"])),
        *((IMPORTANCE, ["3"]), (IMPORTANCE, ["3", "by proxies"])),
    ],
)
def test_a_step_that_crashes_channels_last_is_survived(step: str, arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", step, *arguments], capture_output=True, text=True, check=False
    )
    assert done.stdout == "alive\n", done.stderr


@pytest.mark.parametrize(("channels", "stride"), [(3, 2), (12, 3), (16, 2), (3, 1)])
def test_gradients_are_those_of_double_precision(channels: int, stride: int) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(channels, 8, 1, stride=stride)
    exact = nn.Conv2d(channels, 8, 1, stride=stride).double()
    exact.load_state_dict(layer.state_dict())
    images = torch.randn(4, channels, 20, 20)
    exact(images.double()).square().sum().backward()
    layer = placed(layer, CPU, torch.channels_last)
    layer(images.to(memory_format=torch.channels_last)).square().sum().backward()
    assert layer.weight.grad is not None
    assert exact.weight.grad is not None
    torch.testing.assert_close(layer.weight.grad.double(), exact.weight.grad, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("padding", [0, 1, (2, 0)])
@pytest.mark.parametrize("mode", ["zeros", "reflect", "circular"])
def test_it_computes_the_same(
    padding: int | tuple[int, int], mode: Literal["zeros", "reflect", "circular"]
) -> None:
    layer = nn.Conv2d(4, 8, 1, stride=(2, 3), padding=padding, groups=2, padding_mode=mode)
    images = torch.randn(2, 4, 11, 9)
    expected = layer(images)
    assert torch.equal(placed(layer, CPU, torch.contiguous_format)(images), expected)
    torch.testing.assert_close(placed(layer, CPU, torch.channels_last)(images), expected)


def test_a_module_in_the_plain_layout_is_as_it_was() -> None:
    layer = nn.Conv2d(3, 8, 1, stride=2)
    before = set(vars(layer))
    placed(layer, CPU, torch.channels_last)
    assert set(vars(layer)) != before
    placed(layer, CPU, torch.contiguous_format)
    assert set(vars(layer)) == before


def test_other_layers_are_left_as_they_are() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, stride=2), nn.Conv2d(16, 8, 1))
    before = [set(vars(layer)) for layer in network]
    placed(network, CPU, torch.channels_last)
    assert [set(vars(layer)) for layer in network] == before
