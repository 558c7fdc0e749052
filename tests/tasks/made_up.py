"""Small made-up data for the tests of this room."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from niwaki.tasks.arrays import Arrays
from niwaki.tasks.assembly import Preparation, prepare
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.checks import Given
from niwaki.tasks.task import TaskSettings, declared

DIGIT = declared("digit", TaskSettings(kind="classification", classes=3))
MASK = declared("mask", TaskSettings(kind="segmentation", classes=4, metrics=("miou", "accuracy")))
DEPTH = declared("depth", TaskSettings(kind="depth", metrics=("rmse", "mae"), unit="m"))
POSE = declared("pose", TaskSettings(kind="regression", n_outputs=2))


def raw_arrays(n: int, *, seed: int = 0) -> Arrays:
    """N random items for all four tasks, 3 x 4 x 5 uint8 inputs."""
    rng = np.random.default_rng(seed)
    targets: Mapping[str, NDArray[Any]] = {
        "digit": rng.integers(3, size=n),
        "mask": rng.integers(4, size=(n, 4, 5)).astype(np.uint8),
        "depth": rng.random((n, 1, 4, 5)).astype(np.float16),
        "pose": rng.normal((5.0, -3.0), (1.0, 10.0), (n, 2)).astype(np.float32),
    }
    return Arrays(rng.integers(256, size=(n, 3, 4, 5), dtype=np.uint8), targets)


def task_data(n: int = 60, *, seed: int = 0) -> TaskData:
    """All four tasks, every split carved from n items."""
    given = {SplitName.TRAIN: Given(raw_arrays(n), "made up")}
    return prepare((DIGIT, MASK, DEPTH, POSE), given, Preparation(), seed=seed)
