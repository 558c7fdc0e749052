"""Statistics that a network takes from images of its own."""

from typing import Self

import torch
from torch import Tensor, nn

from niwaki.evaluation.recalibration import recalibrate
from niwaki.spaces.slimmable.build import build
from tests.spaces.slimmable.networks import small_space
from tests.spaces.slimmable.test_build import IMAGE


def test_recalibrated_statistics_are_means_over_batches() -> None:
    space = small_space()
    network = build(space, space.smallest)
    batches = [IMAGE[:2], IMAGE[2:]]
    recalibrate(network, iter(batches))
    with torch.no_grad():
        means = [network.stem.conv(batch).mean(dim=(0, 2, 3)) for batch in batches]
    torch.testing.assert_close(network.stem.norm.running_mean, torch.stack(means).mean(dim=0))
    assert not network.training


def test_a_batch_counts_by_its_items() -> None:
    norm, generator = nn.BatchNorm1d(3), torch.Generator().manual_seed(0)
    items = torch.randn(65, 3, generator=generator) + torch.arange(65)[:, None]
    recalibrate(norm, iter([items[:63], items[63:]]))
    torch.testing.assert_close(norm.running_mean, items.mean(dim=0))
    assert norm.momentum == 0.1


class FrozenInTraining(nn.Module):
    """Keeps its norms as they are in training, and wants targets then, as detectors do."""

    def __init__(self) -> None:
        super().__init__()
        self.drop, self.norm, self.unused = nn.Dropout(0.9), nn.BatchNorm2d(1), nn.BatchNorm2d(1)
        seven = torch.full((1,), 7.0)
        held = {"norm.running_mean": seven, "unused.running_mean": seven}
        self.load_state_dict(held, strict=False)

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self.norm.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            raise ValueError("in training mode, give targets")
        y: Tensor = self.norm(self.drop(x))
        return y


def test_statistics_are_those_of_the_network_as_it_will_run() -> None:
    network = FrozenInTraining().train()
    images = IMAGE[:, :1]
    recalibrate(network, iter([images]))
    torch.testing.assert_close(network.norm.running_mean, images.mean().reshape(1))
    assert network.unused.running_mean == 7.0  # no image came there
    assert not any(module.training for module in network.modules())


def test_a_network_that_remembers_no_statistics_looks_at_no_image() -> None:
    network = nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False)).train()
    images = iter([IMAGE])
    recalibrate(network, images)
    assert next(images) is IMAGE
    assert not network.training
