"""The data source `digit_scenes`: settings, tasks, and scenes made once and kept."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import ConfigError
from niwaki.core.jsonable import fingerprint
from niwaki.core.randomness import stream
from niwaki.core.registry import nearest
from niwaki.tasks.arrays import Arrays
from niwaki.tasks.assembly import assemble
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.cache import cache_folder, cached_arrays
from niwaki.tasks.digit_scenes.glyphs import load_glyphs, pools
from niwaki.tasks.digit_scenes.layout import plan
from niwaki.tasks.digit_scenes.painting import paint
from niwaki.tasks.preprocessing import standardising
from niwaki.tasks.task import Task, TaskKind, TaskSettings, declared

GENERATOR_VERSION = 1
"""Raise it with every change of what a seed gives: kept scenes of older versions are left alone."""

_DIGITS = tuple(str(digit) for digit in range(10))
_DECLARED = {
    "digit": TaskSettings(kind=TaskKind.CLASSIFICATION, classes=_DIGITS),
    "segmentation": TaskSettings(
        kind=TaskKind.SEGMENTATION, classes=("background", *_DIGITS), metrics=("miou",)
    ),
    "depth": TaskSettings(kind=TaskKind.DEPTH, metrics=("rmse",)),
}


@dataclass(frozen=True)
class DigitScenesSettings:
    """How many scenes, and how large.

    Attributes:
        train: Number of scenes to train on.
        search: Number of scenes that candidates are scored on.
        val: Number of scenes for other choices.
        test: Number of scenes for the final score.
        calibration: Number of scenes for quantisation ranges.
        size: Edge of a scene in pixels, at least 16.
        weights: Loss weights by task name (digit, segmentation, depth); 1 where none is given.
        cache: Folder for the scenes; empty for $NIWAKI_CACHE, or the user's cache folder.
    """

    train: int = 4000
    search: int = 512
    val: int = 1024
    test: int = 1024
    calibration: int = 256
    size: int = 48
    weights: dict[str, float] = field(default_factory=dict)
    cache: str = ""

    @property
    def n_scenes(self) -> dict[SplitName, int]:
        """Number of scenes by split."""
        return {name: int(asdict(self)[name]) for name in SplitName}


def load(settings: DigitScenesSettings, *, seed: int) -> TaskData:
    """Return the scenes of `seed`, made first if they are not in the cache.

    Raises:
        ConfigError: If a setting is out of its range.
        DataError: If the cache cannot be written.
    """
    _check(settings)
    recipe = fingerprint(
        {
            "version": GENERATOR_VERSION,
            "seed": seed,
            "size": settings.size,
            "n_scenes": {str(name): n for name, n in settings.n_scenes.items()},
        }
    )
    folder = cache_folder(settings.cache)
    kept = cached_arrays(folder / f"digit_scenes-{recipe}.npz", lambda: make(settings, seed=seed))
    splits = {name: _arrays(kept, name) for name in SplitName}
    preprocessing = standardising(splits[SplitName.TRAIN].inputs, "NCHW")
    return assemble(digit_scenes_tasks(settings.weights), splits, preprocessing)


def digit_scenes_tasks(weights: Mapping[str, float]) -> tuple[Task, ...]:
    """Return the three tasks.

    Args:
        weights: Loss weights by task name; 1 where none is given.

    Raises:
        ConfigError: If a weight is negative, or names no task.
    """
    for name in weights:
        if name not in _DECLARED:
            raise ConfigError(
                f"weights.{name} names no task{nearest(name, list(_DECLARED))} "
                f"Tasks of digit_scenes: {', '.join(_DECLARED)}"
            )
    return tuple(
        declared(name, TaskSettings(**{**asdict(given), "weight": weights.get(name, 1.0)}))
        for name, given in _DECLARED.items()
    )


def make(settings: DigitScenesSettings, *, seed: int) -> dict[str, NDArray[Any]]:
    """Make the scenes of all splits.

    Returns:
        For each split, under `<split>_<array>`: images, digit, segmentation and depth, and
        `sources`, the (n, 5) source digits, -1 where a scene has fewer.
    """
    glyphs = load_glyphs()
    arrays: dict[str, NDArray[Any]] = {}
    for name, pool in pools(glyphs.labels, seed).items():
        rng = stream(seed, "digit_scenes", str(name))
        layout = plan(settings.n_scenes[name], pool, rng)
        painted = paint(layout, glyphs, settings.size, rng)
        arrays[f"{name}_images"] = painted.images
        arrays[f"{name}_digit"] = glyphs.labels[layout.digit[:, 0]].astype(np.uint8)
        arrays[f"{name}_segmentation"] = painted.segmentation
        arrays[f"{name}_depth"] = painted.depth
        arrays[f"{name}_sources"] = np.where(layout.present, layout.digit, -1).astype(np.int16)
    return arrays


def _arrays(kept: Mapping[str, NDArray[Any]], name: SplitName) -> Arrays:
    targets = {task: kept[f"{name}_{task}"] for task in _DECLARED}
    return Arrays(kept[f"{name}_images"], targets)


def _check(settings: DigitScenesSettings) -> None:
    for name, n in settings.n_scenes.items():
        if n < 1:
            raise ConfigError(f"digit_scenes has {name}: {n}, but every split needs a scene")
    if settings.size < 16:
        raise ConfigError(f"digit_scenes has size: {settings.size}, but digits need 16 pixels")
