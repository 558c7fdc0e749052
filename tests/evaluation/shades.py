"""Data that a tiny network learns in a moment: which channel is bright, and which is dark."""

import numpy as np

from niwaki.tasks.arrays import Arrays
from niwaki.tasks.assembly import Preparation, declared_tasks, prepare
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.checks import Given
from niwaki.tasks.task import TaskSettings

SIZES = dict(zip(SplitName, (83, 40, 40, 40, 20), strict=True))


def shades(n_tasks: int = 1, side: int = 8) -> TaskData:
    """Return noisy 3 x side x side images with one or two tasks, `bright` and `dark`."""
    declared = {name: TaskSettings("classification", classes=3) for name in ("bright", "dark")}
    tasks = declared_tasks(dict(list(declared.items())[:n_tasks]))
    given = {split: Given(_arrays(split, n_tasks, side), str(split)) for split in SplitName}
    return prepare(tasks, given, Preparation("NCHW"), seed=0)


def two_tasks() -> TaskData:
    """Return the data with both tasks."""
    return shades(2)


def _arrays(split: SplitName, n_tasks: int, side: int) -> Arrays:
    rng = np.random.default_rng(list(SplitName).index(split))
    n = SIZES[split]
    bright = rng.permutation(np.arange(n) % 3)
    dark = (bright + rng.integers(1, 3, size=n)) % 3
    images = rng.normal(120.0, 40.0, size=(n, 3, side, side))
    images[np.arange(n), bright] += 40.0
    images[np.arange(n), dark] -= 40.0
    targets = {"bright": bright, "dark": dark}
    return Arrays(np.clip(images, 0, 255).astype(np.uint8), dict(list(targets.items())[:n_tasks]))
