"""A small trained detector of two maps, its data with padded targets, and the user's functions."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from niwaki.tasks.own import Scoring

SIDE, MOST = 16, 4
STRIDES = {"small": 2, "large": 4}
Batches = list[tuple[NDArray[np.float32], NDArray[np.float32]]]


class Detector(nn.Module):
    """Gives a logit and a brightness for each cell of two grids."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.Conv2d(1, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU())
        self.deeper = nn.Sequential(nn.Conv2d(16, 32, 3, 2, 1), nn.BatchNorm2d(32), nn.ReLU())
        self.small = nn.Sequential(nn.Conv2d(16, 16, 3, 1, 1), nn.ReLU(), nn.Conv2d(16, 2, 1))
        self.large = nn.Conv2d(32, 2, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = self.enter(x)
        return {"small": self.small(features), "large": self.large(self.deeper(features))}


class Unnamed(nn.Module):
    """The same, and something else between the maps, without names."""

    def __init__(self) -> None:
        super().__init__()
        self.detector = build()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        maps = self.detector(x)
        return maps["small"], maps["large"].mean((2, 3), keepdim=True), maps["large"]


class WithGrid(nn.Module):
    """The same, with a grid that is the same for all images."""

    def __init__(self) -> None:
        super().__init__()
        self.detector = build()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        grid = torch.arange(64.0).view(1, 1, 8, 8).expand(len(x), 2, 8, 8)
        return {**self.detector(x), "grid": grid}


def spots(n: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw images of up to four spots, 2 or 4 pixels wide, and (n, 4, 4) targets.

    Rows are (row, column, width, brightness); those that are not there have a width of -1.
    """
    rng = np.random.default_rng(seed)
    images = rng.normal(0.0, 0.05, size=(n, 1, SIDE, SIDE)).astype(np.float32)
    targets = np.full((n, MOST, 4), -1.0, np.float32)
    for i in range(n):
        places = rng.permutation(16)[: rng.integers(1, MOST + 1)]
        for j, place in enumerate(places):
            width, brightness = rng.choice([2, 4]), rng.uniform(0.5, 1.5)
            row, column = (4 * part + rng.integers(2) * (4 - width) for part in divmod(place, 4))
            images[i, 0, row : row + width, column : column + width] += brightness
            targets[i, j] = row, column, width, brightness
    return images, targets


def loaders() -> dict[str, Batches]:
    """Return batches of every split, targets as one array."""
    sizes = {"train": 256, "search": 64, "val": 64, "test": 64, "calibration": 64}
    return {name: [spots(n, seed)] for seed, (name, n) in enumerate(sizes.items())}


def _cells(name: str, targets: Tensor) -> tuple[Tensor, ...]:
    """Return item, row and column of the cells that hold spots, and how bright these are."""
    mine = targets[..., 2] == STRIDES[name]
    item, which = mine.nonzero(as_tuple=True)
    row, column = (targets[item, which, :2] / STRIDES[name]).long().unbind(-1)
    return item, row, column, targets[item, which, 3]


def detection_loss(outputs: Mapping[str, Tensor], targets: Tensor) -> Tensor:
    """Let cells with a spot say so, and how bright it is."""
    terms = []
    for name, maps in ((name, outputs[name]) for name in STRIDES):
        item, row, column, brightness = _cells(name, targets)
        wanted = torch.zeros_like(maps[:, 0])
        wanted[item, row, column] = 1.0
        terms.append(functional.binary_cross_entropy_with_logits(maps[:, 0], wanted))
        terms.append(functional.l1_loss(maps[item, 1, row, column], brightness))
    return torch.stack(terms).sum()


def f1(outputs: Mapping[str, NDArray[Any]], targets: NDArray[Any]) -> float:
    """Count the cells that say rightly that there is a spot."""
    right = said = there = 0
    for name, maps in ((name, outputs[name]) for name in STRIDES):
        wanted = np.zeros(maps[:, 0].shape, bool)
        item, row, column, _ = (each.numpy() for each in _cells(name, torch.from_numpy(targets)))
        wanted[item, row, column] = True
        found = maps[:, 0] > 0
        right += (found & wanted).sum()
        said, there = said + found.sum(), there + wanted.sum()
    return float(2 * right / (said + there))


def f1_by_position(outputs: Mapping[str, NDArray[Any]], targets: NDArray[Any]) -> float:
    """Count likewise in outputs without names of their own."""
    return f1({"small": outputs["output"], "large": outputs["output_2"]}, targets)


def within_one_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Compute nothing for what is no probability."""
    return functional.binary_cross_entropy(outputs.mean((1, 2, 3)), _n_small(targets).clamp(max=1))


def probable(outputs: Tensor, targets: Tensor) -> Tensor:
    """Compute nothing for what is no probability, either, of one value for each item."""
    return functional.binary_cross_entropy(outputs, targets)


def strict_loss(outputs: Mapping[str, Tensor], targets: Tensor) -> Tensor:
    """Compute nothing for outputs that are the same for all items."""
    if all(bool((maps[0] == maps[-1]).all()) for maps in outputs.values()):
        raise ValueError("nothing is assigned")
    return detection_loss(outputs, targets)


def counting_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Compare the cells of one map that say that there is a spot with the number of small ones."""
    return functional.mse_loss(outputs[:, 0].sigmoid().sum((1, 2)), _n_small(targets))


def counted(outputs: NDArray[Any], targets: NDArray[Any]) -> float:
    """Return how often that number is right."""
    found = (outputs[:, 0] > 0).sum((1, 2))
    return float((found == _n_small(torch.from_numpy(targets)).numpy()).mean())


def _n_small(targets: Tensor) -> Tensor:
    return (targets[..., 2] == STRIDES["small"]).sum(1).float()


HERE = __name__
SCORING = {
    "spots": Scoring((f"{HERE}:f1",), f"{HERE}:detection_loss", outputs=("small", "large")),
}


@cache
def _trained_state() -> dict[str, Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Detector().train()
        images, targets = map(torch.from_numpy, spots(512, 99))
        optimiser = torch.optim.AdamW(model.parameters(), 1e-2)
        for step in range(120):
            chosen = torch.arange(64) + 64 * (step % 8)
            loss = detection_loss(model(images[chosen]), targets[chosen])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    return model.state_dict()


def build() -> Detector:
    """Return the trained detector."""
    model = Detector()
    model.load_state_dict(_trained_state())
    return model.eval()
