"""Narrow convolutions that skip pixels: trained in the plain layout, for oneDNN's sake."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from niwaki.evaluation.devices import placed

CPU = torch.device("cpu")
CHILD = """
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


@pytest.mark.parametrize("channels", ["1", "3"])
def test_a_training_step_that_crashes_channels_last_is_survived(channels: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, channels], capture_output=True, text=True, check=False
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


def test_a_module_in_the_plain_layout_has_no_hooks() -> None:
    layer = nn.Conv2d(3, 8, 1, stride=2)
    for _ in range(2):
        placed(layer, CPU, torch.channels_last)
        assert len(layer._forward_pre_hooks) == 1
    placed(layer, CPU, torch.contiguous_format)
    assert not layer._forward_pre_hooks


def test_other_layers_are_left_as_they_are() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, stride=2), nn.Conv2d(16, 8, 1))
    placed(network, CPU, torch.channels_last)
    assert not any(layer._forward_pre_hooks for layer in network)
