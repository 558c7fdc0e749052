"""Six trained networks to compress, as their owners would hand them over, with their data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from benchmarks.trained_once import trained_once
from niwaki.core.randomness import stream
from niwaki.evaluation.compression.given_data.inferred_data import infer_from
from niwaki.evaluation.compression.tuning.fine_tuning import Tuning, TuningSettings
from niwaki.tasks import digit_scenes
from niwaki.tasks.base import SplitName
from niwaki.testing.model_zoo import ZOO
from niwaki.testing.model_zoo.dense_networks import MultiTask

Loaders = Mapping[str, list[Any]]
# Where a pruned network answers 200 of 4,000 images otherwise, its standard error is 0.004.
_N_SEARCH, _N_VAL, _N_CALIBRATION, _N_TEST = 4000, 4000, 512, 4000
_FROM_TRAINING = (SplitName.TRAIN, SplitName.SEARCH, SplitName.VAL, SplitName.CALIBRATION)
_SCENE_CLASSES = 11
_BATCH = 500


@dataclass(frozen=True)
class Case:
    """A network with its data.

    Attributes:
        name: In the table.
        build: Returns it, untrained.
        pixels: Edge of its inputs.
        scenes: Whether it looks at scenes of digits, for three tasks; clothes if not.
        epochs: That the original is trained for.
    """

    name: str
    build: Callable[[], nn.Module]
    pixels: int = 32
    scenes: bool = False
    epochs: float = 8.0


def _zoo(name: str, width: float) -> Callable[[], nn.Module]:
    return lambda: ZOO[name].make(width)


def _multi_task() -> nn.Module:
    """Return the network of the zoo with the heads that scenes have labels for."""
    network = MultiTask([16, 24, 32, 48])
    del network.decoders["edges"]
    network.decoders["segmentation"].out = nn.Conv2d(16, _SCENE_CLASSES, 1)
    return network


CASES: Mapping[str, Case] = {
    case.name: case
    for case in (
        Case("resnet18", _zoo("resnet18", 0.5)),
        Case("mobilenet_v2", _zoo("mobilenet_v2", 0.5)),
        Case("shufflenet_v2", _zoo("shufflenet_v2", 0.5)),
        Case("convnext_tiny", _zoo("convnext_tiny", 0.25)),
        Case("vit_tiny", _zoo("vit_tiny", 0.5), pixels=64),
        Case("multi_task", _multi_task, scenes=True, epochs=5.0),
    )
}


def loaders_of(case: Case, folder: Path, *, n_train: int, seed: int) -> Loaders:
    """Return batches by split; the parts of a file that are searched and tested on do not overlap.

    Args:
        case: Whose data.
        folder: Of the real data sets.
        n_train: Images to train on.
        seed: Of the choice of images.
    """
    if case.scenes:
        return _scenes(case, n_train=n_train, seed=seed)
    images, labels = _clothes(folder / "fashion_mnist_train.npz")
    tested, answers = _clothes(folder / "fashion_mnist_test.npz")
    order = stream(seed, "clothes").permutation(len(labels))
    ends = np.cumsum([n_train, _N_SEARCH, _N_VAL, _N_CALIBRATION])
    chosen = np.split(order[: ends[-1]], ends[:-1])
    named = zip(_FROM_TRAINING, chosen, strict=True)
    splits = {str(split): _batches(images[i], labels[i], case) for split, i in named}
    return {**splits, str(SplitName.TEST): _batches(tested[:_N_TEST], answers[:_N_TEST], case)}


def trained(case: Case, loaders: Loaders, cache: Path, *, seed: int) -> nn.Module:
    """Return the trained original, from the cache if it was trained before."""

    def train(network: nn.Module) -> nn.Module:
        data = infer_from(loaders, network.eval(), seed=seed)
        settings = TuningSettings(epochs=case.epochs, learning_rate=2e-3, distillation=0.0)
        return Tuning(network, data, settings, seed=seed).tuned(network)

    n_train = sum(len(inputs) for inputs, _ in loaders[str(SplitName.TRAIN)])
    path = cache / f"{case.name}-{n_train}-{case.epochs:g}-{seed}.pt"
    return trained_once(path, case.build, train, seed=seed)


def _clothes(path: Path) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    with np.load(path, allow_pickle=False) as arrays:
        return (arrays["X"][:, None] / 255.0).astype(np.float32), arrays["y"].astype(np.int64)


def _batches(images: NDArray[np.float32], labels: NDArray[np.int64], case: Case) -> list[Any]:
    size = (case.pixels, case.pixels)
    batches = []
    for start in range(0, len(labels), _BATCH):
        small = torch.from_numpy(images[start : start + _BATCH]).expand(-1, 3, -1, -1)
        large = functional.interpolate(small, size=size, mode="bilinear", align_corners=False)
        batches.append((large - 0.5, torch.from_numpy(labels[start : start + _BATCH])))
    return batches


def _scenes(case: Case, *, n_train: int, seed: int) -> Loaders:
    data = digit_scenes.load(
        digit_scenes.DigitScenesSettings(
            train=n_train,
            search=_N_SEARCH,
            val=_N_VAL,
            test=_N_TEST,
            calibration=_N_CALIBRATION,
            size=case.pixels,
        ),
        seed=seed,
    )
    names = {"digit": "label", "segmentation": "segmentation", "depth": "depth"}
    return {
        str(split): [
            (
                batch.inputs,
                {name: batch.targets[task] for task, name in names.items()},
            )
            for batch in data[split].batches(_BATCH)
        ]
        for split in SplitName
    }
