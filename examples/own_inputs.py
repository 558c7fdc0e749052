"""A model of two inputs, compressed: `python examples/own_inputs.py`. Less than a minute.

A meter is read: an image of a digit, and what a sensor beside it counted since. The network says
which digit comes next. Its files take `image` and `counts`, as it does. The same from the command
line: `niwaki compress examples/own_inputs.py:build --data examples/own_inputs.py:loaders`.
"""

import sys
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

import niwaki
from niwaki.evaluation.compression.settings import CompressionSettings, PruningSettings
from niwaki.study.compression import Compressed

EPOCHS, BATCH, MOST_COUNTED = 12, 60, 3
Batch = tuple[dict[str, np.ndarray], np.ndarray]


class Meter(nn.Module):
    """Maps images (n, 1, 8, 8) and counts (n,) of 0 to 3, integers, to scores (n, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.counted = nn.Embedding(MOST_COUNTED + 1, 32)
        self.joined = nn.Sequential(nn.Linear(64 * 16 + 32, 128), nn.ReLU(), nn.Linear(128, 10))

    def forward(self, image: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """Return logits of the next digit."""
        both = torch.cat([self.seen(image), self.counted(counts)], 1)
        scores: torch.Tensor = self.joined(both)
        return scores


@cache
def readings() -> Batch:
    """Return all inputs by name, and the digits that come next."""
    digits = load_digits()
    counts = np.random.default_rng(0).integers(0, MOST_COUNTED + 1, len(digits.target))
    images = (digits.images[:, None] / 16).astype(np.float32)
    return {"image": images, "counts": counts}, (digits.target + counts) % 10


def loaders() -> dict[str, list[Batch]]:
    """Return batches by split; val and calibration are carved from train."""
    inputs, following = readings()
    parts = {"train": slice(0, 1200), "search": slice(1200, 1500), "test": slice(1500, None)}
    return {
        split: [({name: each[part] for name, each in inputs.items()}, following[part])]
        for split, part in parts.items()
    }


@cache
def build() -> nn.Module:
    """Return the network, trained for some seconds."""
    torch.manual_seed(0)
    meter = Meter().train()
    ((given, following),) = loaders()["train"]
    image, counts, wanted = map(torch.from_numpy, (*given.values(), following))
    optimiser = torch.optim.AdamW(meter.parameters(), 2e-3)
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(wanted)).view(-1, BATCH):
            optimiser.zero_grad()
            loss = functional.cross_entropy(meter(image[chosen], counts[chosen]), wanted[chosen])
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    return meter.eval()


def compress(folder: Path) -> Compressed:
    """Train and compress; calling it again on the same folder finds everything done."""
    settings = CompressionSettings(pruning=PruningSettings(shares=(0.5,), n_judged=128))
    request = niwaki.CompressionRequest(n_finalists=2, settings=settings)
    return niwaki.compress(build(), tasks=loaders(), folder=folder, request=request)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        found = compress(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(scratch) / "run")
        print(found.summary())
        (exported,) = found.front.export(Path(scratch) / "out", which="chosen")
        session = onnxruntime.InferenceSession(exported / "model.onnx")
        ((given, following),) = loaders()["test"]
        (scores,) = session.run(None, given)
        taken = ", ".join(f"{each.name} {each.type}" for each in session.get_inputs())
        print(
            f"takes {taken}; right in {(scores.argmax(1) == following).mean():.1%} of new readings"
        )
