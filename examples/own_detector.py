"""A detector, compressed by its own metric: `python examples/own_detector.py`. A minute or two.

Pictures of bright rectangles. The network has two outputs: where the centres are, and how large the
boxes around them. One task reads both, and its targets are boxes, padded.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import niwaki
from niwaki.evaluation.compression.settings import CompressionSettings, PruningSettings
from niwaki.evaluation.compression.tuning.fine_tuning import TuningSettings
from niwaki.study.compression import Compressed
from niwaki.tasks.own import Scoring

EDGE, CELL, MOST, EPOCHS = 32, 4, 3, 20


class Detector(nn.Module):
    """Answers for each cell of 4 x 4 pixels: whether a centre is there, and a box."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for given, width, stride in ((1, 16, 2), (16, 32, 2), (32, 32, 1), (32, 32, 1)):
            layers += [nn.Conv2d(given, width, 3, stride, 1), nn.BatchNorm2d(width), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.centres, self.boxes = nn.Conv2d(32, 1, 1), nn.Conv2d(32, 4, 1)
        middles = CELL * torch.arange(EDGE // CELL) + CELL / 2
        rows, columns = torch.meshgrid(middles, middles, indexing="ij")
        self.register_buffer("cells", torch.stack([rows, columns, rows, columns]))

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Map (n, 1, 32, 32) to logits (n, 1, 8, 8), and boxes (n, 4, 8, 8) in pixels."""
        features = self.features(images)
        return {"centres": self.centres(features), "boxes": self.cells + self.boxes(features)}


def scenes(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images, and (n, 3, 4) boxes: top, left, bottom, right; -1 where there is none."""
    rng = np.random.default_rng(seed)
    images = rng.normal(0.0, 0.2, (n, 1, EDGE, EDGE)).astype(np.float32)
    boxes = np.full((n, MOST, 4), -1.0, np.float32)
    for image, rows in zip(images, boxes, strict=True):
        for row, corner in zip(rows[: rng.integers(1, MOST + 1)], rng.permutation(4), strict=False):
            size = rng.integers(4, 13, 2)
            top, left = 16 * np.array(divmod(corner, 2)) + rng.integers(0, 17 - size)
            row[:] = top, left, top + size[0], left + size[1]
            image[0, top : top + size[0], left : left + size[1]] += 1.0
    return images, boxes


def loaders() -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """Return one batch for each split; val and calibration are carved from train."""
    sizes = {"train": 1024, "search": 96, "test": 96}
    return {split: [scenes(n, seed)] for seed, (split, n) in enumerate(sizes.items())}


def detection_loss(outputs: dict[str, torch.Tensor], targets: torch.Tensor) -> torch.Tensor:
    """Let the cells that hold a centre say so, and give its box."""
    item, which = (targets[..., 0] >= 0).nonzero(as_tuple=True)
    boxes = targets[item, which]
    row, column = ((boxes[:, :2] + boxes[:, 2:]) / 2 / CELL).long().unbind(1)
    wanted = torch.zeros_like(outputs["centres"])
    wanted[item, 0, row, column] = 1.0
    said = functional.binary_cross_entropy_with_logits(outputs["centres"], wanted, reduction="sum")
    apart = functional.smooth_l1_loss(outputs["boxes"][item, :, row, column], boxes)
    return said / max(len(item), 1) + apart


def ap50(outputs: dict[str, np.ndarray], targets: np.ndarray) -> float:
    """Return the average precision of boxes that overlap a true one by a half."""
    logits, boxes = outputs["centres"].reshape(-1), np.moveaxis(outputs["boxes"], 1, -1)
    item, boxes = np.arange(len(logits)) // (EDGE // CELL) ** 2, boxes.reshape(-1, 4)
    free, right = targets[..., 0] >= 0, []
    n_true = free.sum()
    for cell in np.argsort(-logits, kind="stable")[: 4 * n_true]:
        overlaps = np.where(free[item[cell]], overlap(boxes[cell], targets[item[cell]]), 0.0)
        best = overlaps.argmax()
        right.append(overlaps[best] >= 0.5)
        free[item[cell], best] &= not right[-1]  # one is found once
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    return float(precision[right].sum() / n_true)


def overlap(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the intersection of a box with (k, 4) others over their union, (k,)."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.clip(high - low, 0.0, None).prod(axis=1)
    sizes = [np.clip(b[..., 2:] - b[..., :2], 0.0, None).prod(axis=-1) for b in (box, others)]
    return np.asarray(shared / np.maximum(sizes[0] + sizes[1] - shared, 1e-6))


def trained() -> nn.Module:
    """Return the detector, trained for some seconds."""
    torch.manual_seed(0)
    detector = Detector().train()
    images, boxes = map(torch.from_numpy, loaders()["train"][0])
    optimiser = torch.optim.AdamW(detector.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 5e-3, total_steps=EPOCHS * 16)
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(images)).view(16, -1):
            optimiser.zero_grad()
            loss = detection_loss(detector(images[chosen]), boxes[chosen])
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    return detector.eval()


def compress(folder: Path) -> Compressed:
    """Train and compress; calling it again on the same folder finds everything done."""
    here = str(Path(__file__).resolve())
    objects = Scoring((f"{here}:ap50",), f"{here}:detection_loss", outputs=("centres", "boxes"))
    settings = CompressionSettings(
        pruning=PruningSettings(shares=(0.6,), n_judged=128),
        tuning=TuningSettings(epochs=6.0, batch_size=32),
    )
    request = niwaki.CompressionRequest(
        n_finalists=3, settings=settings, scoring={"objects": objects}
    )
    return niwaki.compress(trained(), tasks=loaders(), folder=folder, request=request)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        found = compress(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(scratch) / "run")
        print(found.summary())
        for model in found.front.models:
            print({name: round(value, 4) for name, value in model.values.items()})
