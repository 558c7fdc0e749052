"""Trained networks for the pruning protocol, with their data: four tasks at once, and one.

Scenes of digits ask for the nearest digit, a segmentation, distances, and the outlines. The clothes
of Fashion-MNIST ask for a label. No image of one split is in another.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from benchmarks.trained_once import trained_once
from niwaki.core.randomness import stream
from niwaki.evaluation.compression.tuning.fine_tuning import Tuning, TuningSettings
from niwaki.tasks import digit_scenes
from niwaki.tasks.arrays import Arrays, ArraySplit
from niwaki.tasks.assembly import assemble
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.preprocessing import standardising
from niwaki.tasks.task import TaskSettings, declared
from niwaki.testing.model_zoo import ZOO
from niwaki.testing.model_zoo.dense_networks import MultiTask

SCENES, CLOTHES = "scenes", "clothes"
N_CALIBRATION, N_SEARCH = 512, 1000
_N_CLASSES = 11  # ten digits and the background
LEARNING_RATE = 3e-3


@dataclass(frozen=True)
class Scale:
    """How large an experiment is.

    Attributes:
        pixels: Edge of the scenes.
        n_train: Images to train on.
        n_test: Images that results are reported on.
        epochs: That originals are trained for.
        tuning_epochs: That pruned networks are fine-tuned for.
    """

    pixels: int
    n_train: int
    n_test: int
    epochs: float
    tuning_epochs: float

    @property
    def name(self) -> str:
        """What results of this scale are kept under."""
        return f"{self.pixels}px-{self.n_train}-{self.n_test}-{self.epochs:g}"


SCALES: Mapping[str, Mapping[str, Scale]] = {
    "small": {
        SCENES: Scale(24, 4000, 2000, 20.0, 3.0),
        CLOTHES: Scale(28, 8000, 5000, 3.0, 1.0),
    },
    "full": {
        SCENES: Scale(32, 20000, 4000, 40.0, 20.0),
        CLOTHES: Scale(28, 54000, 10000, 15.0, 8.0),
    },
}


@dataclass(frozen=True)
class Network:
    """An architecture with the data that it is trained on.

    Attributes:
        name: In the tables.
        data: `SCENES` or `CLOTHES`.
        build: Returns it, untrained.
    """

    name: str
    data: str
    build: Callable[[], nn.Module]


def multi_task(*widths: int) -> nn.Module:
    """Return the zoo's encoder-decoder with heads for the scenes' four tasks."""
    network = MultiTask(widths)
    for name, n_outputs in (("segmentation", _N_CLASSES), ("edges", 2)):
        network.decoders[name].out = nn.Conv2d(widths[0], n_outputs, 1)
    return network


NETWORKS: Mapping[str, Network] = {
    network.name: network
    for network in (
        Network("tight", SCENES, lambda: multi_task(8, 16, 24, 32)),
        Network("ample", SCENES, lambda: multi_task(12, 24, 32, 48)),
        Network("resnet18", CLOTHES, lambda: ZOO["resnet18"].make(1.0)),
    )
}


def data_of(network: Network, scale: Scale, folder: Path, *, seed: int) -> TaskData:
    """Return the tasks and their splits.

    Args:
        network: Whose.
        scale: How many images.
        folder: Of the real data sets.
        seed: Of the choice of images.
    """
    return _scenes(scale, seed) if network.data == SCENES else _clothes(scale, folder, seed)


def trained(
    network: Network, data: TaskData, *, epochs: float, cache: Path, seed: int
) -> nn.Module:
    """Return the network trained on the labels, from the cache if it was trained before.

    Args:
        network: Which.
        data: Its own.
        epochs: How long.
        cache: Folder for weights.
        seed: Of initial weights, and of the order of the images.
    """

    def train(module: nn.Module) -> nn.Module:
        return from_labels(module, data, epochs=epochs, seed=seed)

    path = cache / f"{network.name}-{data.fingerprint}-{epochs:g}-{seed}.pt"
    return trained_once(path, network.build, train, seed=seed)


def from_labels(module: nn.Module, data: TaskData, *, epochs: float, seed: int) -> nn.Module:
    """Train a module in place, without a teacher."""
    settings = TuningSettings(epochs=epochs, learning_rate=LEARNING_RATE, distillation=0.0)
    return Tuning(module, data, settings, seed=seed).tuned(module)


def _scenes(scale: Scale, seed: int) -> TaskData:
    settings = digit_scenes.DigitScenesSettings(
        train=scale.n_train,
        search=N_SEARCH,
        val=64,
        test=scale.n_test,
        calibration=N_CALIBRATION,
        size=scale.pixels,
    )
    made = digit_scenes.load(settings, seed=seed)
    splits = {}
    for name, split in made.splits.items():
        assert isinstance(split, ArraySplit)
        targets = dict(split.arrays.targets)
        targets["label"] = targets.pop("digit")
        targets["edges"] = outlines(targets["segmentation"])
        splits[name] = Arrays(split.arrays.inputs, targets)
    tasks = {
        "label": TaskSettings("classification", classes=10),
        "segmentation": TaskSettings("segmentation", classes=_N_CLASSES, metrics=("miou",)),
        "depth": TaskSettings("depth", metrics=("rmse",)),
        "edges": TaskSettings("segmentation", classes=2, metrics=("miou",)),
    }
    return assemble(
        tuple(declared(name, task) for name, task in tasks.items()), splits, made.preprocessing
    )


def outlines(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (n, h, w) 1 where the pixel below or to the right has another label, else 0."""
    found = np.zeros_like(labels)
    found[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    found[:, :, :-1] |= labels[:, :, :-1] != labels[:, :, 1:]
    return found


def _clothes(scale: Scale, folder: Path, seed: int) -> TaskData:
    images, labels = _read(folder / "fashion_mnist_train.npz")
    tested, answers = _read(folder / "fashion_mnist_test.npz")
    order = stream(seed, "clothes").permutation(len(labels))
    sizes = {
        SplitName.TRAIN: scale.n_train,
        SplitName.SEARCH: N_SEARCH,
        SplitName.VAL: N_SEARCH,
        SplitName.CALIBRATION: N_CALIBRATION,
    }
    ends = np.cumsum(list(sizes.values()))
    chosen = zip(sizes, np.split(order[: ends[-1]], ends[:-1]), strict=True)
    splits = {name: Arrays(images[i], {"label": labels[i]}) for name, i in chosen}
    test = Arrays(tested[: scale.n_test], {"label": answers[: scale.n_test]})
    splits[SplitName.TEST] = test
    tasks = (declared("label", TaskSettings("classification", classes=10)),)
    return assemble(tasks, splits, standardising(splits[SplitName.TRAIN].inputs, "NCHW"))


def _read(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    with np.load(path, allow_pickle=False) as arrays:
        images = np.repeat(arrays["X"][:, None], 3, axis=1)
        return images.astype(np.uint8), arrays["y"].astype(np.uint8)
