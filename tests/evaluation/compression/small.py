"""A small trained model with two outputs, and data for it."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from niwaki.evaluation.compression.given_data.inferred_data import infer_from
from niwaki.tasks.base import TaskData

Batches = list[tuple[NDArray[np.float32], Mapping[str, NDArray[Any]]]]


class TwoHeads(nn.Module):
    """Says in which quarter of the image the bright spot is, and how bright it is."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.Conv2d(1, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU())
        self.middle = nn.Sequential(nn.Conv2d(16, 32, 3, 2, 1), nn.BatchNorm2d(32), nn.ReLU())
        self.quarter = nn.Linear(32 * 16, 4)
        self.brightness = nn.Linear(32 * 16, 1)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        features = torch.flatten(self.middle(self.enter(x)), 1)
        return {"quarter": self.quarter(features), "brightness": self.brightness(features)}


def spots(n: int, seed: int) -> tuple[NDArray[np.float32], dict[str, NDArray[Any]]]:
    """Draw 16 x 16 images of one blurred spot in noise."""
    rng = np.random.default_rng(seed)
    quarters, brightness = rng.integers(4, size=n), rng.uniform(0.5, 2.0, size=n)
    rows = 8 * (quarters // 2) + rng.integers(2, 6, size=n)
    columns = 8 * (quarters % 2) + rng.integers(2, 6, size=n)
    images = rng.normal(0.0, 0.1, size=(n, 1, 16, 16)).astype(np.float32)
    for i in range(n):
        images[i, 0, rows[i] : rows[i] + 2, columns[i] : columns[i] + 2] += brightness[i]
    return images, {
        "quarter": quarters.astype(np.int64),
        "brightness": brightness.astype(np.float32),
    }


def loaders() -> dict[str, Batches]:
    """Return batches of every split."""
    sizes = {"train": 256, "search": 64, "val": 64, "test": 64, "calibration": 64}
    return {name: [spots(n, seed)] for seed, (name, n) in enumerate(sizes.items())}


def unlabelled() -> dict[str, list[NDArray[np.float32]]]:
    """Return the same inputs without targets."""
    return {name: [inputs for inputs, _ in batches] for name, batches in loaders().items()}


@cache
def trained_state() -> dict[str, torch.Tensor]:
    """Train the model for a moment."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = TwoHeads().train()
        images, targets = spots(512, 99)
        x, label = torch.from_numpy(images), torch.from_numpy(targets["quarter"])
        value = torch.from_numpy(targets["brightness"])
        optimiser = torch.optim.AdamW(model.parameters(), 3e-3)
        for step in range(120):
            chosen = torch.arange(64) + 64 * (step % 8)
            answer = model(x[chosen])
            loss = functional.cross_entropy(answer["quarter"], label[chosen])
            loss = loss + functional.mse_loss(answer["brightness"][:, 0], value[chosen])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    return model.state_dict()


def build() -> TwoHeads:
    """Return the trained model: what a user's `my_model.py:build` does."""
    model = TwoHeads()
    model.load_state_dict(trained_state())
    return model.eval()


def data() -> TaskData:
    """Return the tasks, told by the model's outputs and the targets."""
    return infer_from(loaders(), build(), seed=0)
