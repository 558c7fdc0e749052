"""CIFARTile: four photographs in a square, and how many kinds of things they show."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import DataError
from niwaki.core.jsonable import JSON
from niwaki.core.limits import require_at_least
from niwaki.core.randomness import stream
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.task import TaskKind, TaskSettings, declared
from niwaki.tasks.unseen.making import Made, balanced_labels, image_files, made_data, sizes_of
from niwaki.tasks.unseen.pools import Pools, divided

VERSION = 1
"""Raise it with every change of what a seed gives."""

# How many of the four photographs show each of the k classes of an item, for k from 1 to 4.
_SHARES = ((4,), (2, 2), (2, 1, 1), (1, 1, 1, 1))
_WANTED = (
    "colour photographs of one size with their classes, such as CIFAR-10: an .npz file with an "
    "array of images and one of labels, or packed JPEGs (data, offsets, labels), or the binary "
    "version of www.cs.toronto.edu/~kriz/cifar.html (data_batch_1.bin)"
)


@dataclass(frozen=True)
class CifarTileSettings:
    """Where the photographs come from, and how many items are made of them.

    Attributes:
        images: A file of photographs, from which all splits are made, or a file for each split by
            name. See `read_images` for the formats.
        labels: The same for the labels, if they are in files of their own.
        arrays: Names of the arrays `images` and `labels` in `.npz` files; empty to tell by shape.
        padding: Photographs of train are shifted by up to so many pixels, black coming in from
            outside, and mirrored half of the time; 0 leaves them as they are.
        train: Number of items to train on.
        search: Number of items that candidates are scored on.
        val: Number of items for other choices.
        test: Number of items for the final score.
        calibration: Number of items for quantisation ranges.
        cache: Folder for the items; empty for $NIWAKI_CACHE, or the user's cache folder.
    """

    images: str | dict[str, str]
    labels: str | dict[str, str] = ""
    arrays: dict[str, str] = field(default_factory=dict)
    padding: int = 4
    train: int = 4000
    search: int = 1000
    val: int = 1000
    test: int = 2000
    calibration: int = 256
    cache: str = ""

    def __post_init__(self) -> None:
        require_at_least(self, {"padding": 0})


def load_cifartile(settings: CifarTileSettings, *, seed: int) -> TaskData:
    """Return CIFARTile: 3 x 64 x 64 if the photographs have 32 pixels a side, 4 classes.

    References:
        Geada et al., CVPR 2024, "Insights from the use of previously unseen neural architecture
        search datasets". Ours augments the train split alone.

    Raises:
        ConfigError: If a setting is out of its range.
        DataError: If a file is missing or damaged, or has too few photographs.
    """
    sizes = sizes_of(settings, "cifartile")
    files = image_files(settings.images, settings.labels, wanted=_WANTED)
    recipe: dict[str, JSON] = {
        "version": VERSION,
        "seed": seed,
        "sizes": {str(split): n for split, n in sizes.items()},
        "files": {str(split): file.stamp() for split, file in files.items()},
        "arrays": dict(settings.arrays),
        "padding": settings.padding,
    }

    def build() -> Made:
        sources = {split: file.read(settings.arrays) for split, file in files.items()}
        pools = divided(sources, seed=seed)
        return make(pools, sizes, padding=settings.padding, seed=seed)

    task = declared(
        "cifartile", TaskSettings(TaskKind.CLASSIFICATION, classes=("1", "2", "3", "4"))
    )
    return made_data(task, recipe, build, cache=settings.cache)


def make(pools: Pools, sizes: Mapping[SplitName, int], *, padding: int, seed: int) -> Made:
    """Make the items of all splits.

    Returns:
        For each split `<split>_inputs` (n, c, 2 h, 2 w), `<split>_labels` (n,), one less than the
        number of classes shown, and `<split>_sources` (n, 4), the photographs in reading order.

    Raises:
        DataError: If there are fewer than four classes, or four photographs of a class.
    """
    made: Made = {"n_repeated": np.array(pools.n_repeated)}
    for split, n in sizes.items():
        rng = stream(seed, "cifartile", str(split))
        by_class = pools.by_class(split, least=4)
        if len(by_class) < 4:
            raise DataError(
                f"the photographs are of {len(by_class)} classes, but an item shows up to four: "
                "give images of four classes or more"
            )
        labels = balanced_labels(n, 4, rng)
        sources = np.array([_four(list(by_class.values()), k, rng) for k in labels + 1])
        tiles = pools.images[sources]  # (n, 4, c, h, w)
        if split is SplitName.TRAIN and padding:
            tiles = _augmented(tiles, padding, rng)
        made[f"{split}_inputs"] = _square(tiles)
        made[f"{split}_labels"] = labels.astype(np.uint8)
        made[f"{split}_sources"] = sources.astype(np.int32)
    return made


def _four(classes: list[NDArray[np.int64]], k: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw four different photographs of exactly k classes, in random places."""
    chosen = rng.choice(len(classes), size=k, replace=False)
    drawn = [
        rng.choice(classes[index], size=share, replace=False)
        for index, share in zip(chosen, _SHARES[k - 1], strict=True)
    ]
    return np.asarray(rng.permutation(np.concatenate(drawn)))


def _augmented(
    tiles: NDArray[np.uint8], padding: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Shift and mirror each of (n, 4, c, h, w) photographs on its own."""
    n, _, _, height, width = tiles.shape
    widths = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    down, right = rng.integers(2 * padding + 1, size=(2, n, 4))
    mirrored = rng.random((n, 4)) < 0.5
    shifted = np.empty_like(tiles)
    for i, item in enumerate(tiles):
        padded = np.pad(item, widths)
        for j in range(4):
            y, x = down[i, j], right[i, j]
            window = padded[j, :, y : y + height, x : x + width]
            shifted[i, j] = window[..., ::-1] if mirrored[i, j] else window
    return shifted


def _square(tiles: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (n, c, 2 h, 2 w) from (n, 4, c, h, w)."""
    n, _, channels, height, width = tiles.shape
    grid = tiles.reshape(n, 2, 2, channels, height, width).transpose(0, 3, 1, 4, 2, 5)
    return np.ascontiguousarray(grid.reshape(n, channels, 2 * height, 2 * width))
