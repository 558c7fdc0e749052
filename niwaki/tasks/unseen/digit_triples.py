"""AddNIST and MultNIST: three digits as the channels of one image, and what they give together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import DataError
from niwaki.core.jsonable import JSON
from niwaki.core.randomness import stream
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.task import Task, TaskKind, TaskSettings, declared
from niwaki.tasks.unseen.drawn_digits import DRAWN, drawn_digits
from niwaki.tasks.unseen.making import (
    ImageFile,
    Made,
    balanced_labels,
    image_files,
    made_data,
    sizes_of,
)
from niwaki.tasks.unseen.pools import Pools, divided
from niwaki.tasks.unseen.source_images import SourceImages

VERSION = 1
"""Raise it with every change of what a seed gives."""

_WANTED = (
    "images of single digits with their labels, such as MNIST: its own four files "
    "(train-images-idx3-ubyte.gz and so on, with `labels`), or an .npz file with an array of "
    f"images and one of labels. `images: {DRAWN}` needs no file"
)


@dataclass(frozen=True)
class DigitTriplesSettings:
    """Where the digits come from, and how many items are made of them.

    Attributes:
        images: `scikit-learn` for the digits that it carries; or a file of digits, from which all
            splits are made, or a file for each split by name. See `read_images` for the formats.
        labels: The same for the labels, if they are in files of their own.
        arrays: Names of the arrays `images` and `labels` in `.npz` files; empty to tell by shape.
        train: Number of items to train on.
        search: Number of items that candidates are scored on.
        val: Number of items for other choices.
        test: Number of items for the final score.
        calibration: Number of items for quantisation ranges.
        cache: Folder for the items; empty for $NIWAKI_CACHE, or the user's cache folder.
    """

    images: str | dict[str, str] = DRAWN
    labels: str | dict[str, str] = ""
    arrays: dict[str, str] = field(default_factory=dict)
    train: int = 4000
    search: int = 1000
    val: int = 1000
    test: int = 2000
    calibration: int = 256
    cache: str = ""


@dataclass(frozen=True, eq=False)
class Rule:
    """Which triples of digits there are, and the class of each.

    Attributes:
        name: Of the task.
        classes: Names of the classes.
        triples: (m, 3) digits.
        labels: (m,) class of each triple.
    """

    name: str
    classes: tuple[str, ...]
    triples: NDArray[np.int64]
    labels: NDArray[np.int64]


def addnist() -> Rule:
    """Return the rule of AddNIST: the sum of the digits less one, for sums from 1 to 20.

    References:
        Geada et al., CVPR 2024, "Insights from the use of previously unseen neural architecture
        search datasets".
    """
    triples = np.array(list(product(range(10), repeat=3)))
    sums = triples.sum(axis=1)
    kept = (sums >= 1) & (sums <= 20)
    return Rule("addnist", tuple(map(str, range(1, 21))), triples[kept], sums[kept] - 1)


def multnist() -> Rule:
    """Return the rule of MultNIST: the last digit of the product, for all triples.

    References:
        Geada et al., CVPR 2024, as for AddNIST.
    """
    triples = np.array(list(product(range(10), repeat=3)))
    return Rule("multnist", tuple(map(str, range(10))), triples, triples.prod(axis=1) % 10)


def load_addnist(settings: DigitTriplesSettings, *, seed: int) -> TaskData:
    """Return AddNIST: 3 x 28 x 28, 20 classes.

    Raises:
        ConfigError: If a setting is out of its range.
        DataError: If a file is missing or damaged, or has too few digits.
    """
    return _load(addnist(), settings, seed)


def load_multnist(settings: DigitTriplesSettings, *, seed: int) -> TaskData:
    """Return MultNIST: 3 x 28 x 28, 10 classes.

    Raises:
        ConfigError: If a setting is out of its range.
        DataError: If a file is missing or damaged, or has too few digits.
    """
    return _load(multnist(), settings, seed)


def make(rule: Rule, pools: Pools, sizes: Mapping[SplitName, int], *, seed: int) -> Made:
    """Make the items of all splits.

    Returns:
        For each split `<split>_inputs` (n, 3, h, w), `<split>_labels` (n,), and `<split>_sources`
        (n, 3), the indices of its digits in the pools.
    """
    made: Made = {"n_repeated": np.array(pools.n_repeated)}
    for split, n in sizes.items():
        rng = stream(seed, rule.name, str(split))
        labels = balanced_labels(n, len(rule.classes), rng)
        triples = _triples(rule, labels, rng)
        sources = _sources(triples, pools.by_class(split), rng)
        made[f"{split}_inputs"] = pools.images[sources, 0]
        made[f"{split}_labels"] = labels.astype(np.uint8)
        made[f"{split}_sources"] = sources.astype(np.int32)
    return made


def _load(rule: Rule, settings: DigitTriplesSettings, seed: int) -> TaskData:
    sizes = sizes_of(settings, rule.name)
    files: dict[SplitName, ImageFile] = {}
    if settings.images != DRAWN:
        files = image_files(settings.images, settings.labels, wanted=_WANTED)
    recipe: dict[str, JSON] = {
        "version": VERSION,
        "seed": seed,
        "sizes": {str(split): n for split, n in sizes.items()},
        "files": {str(split): file.stamp() for split, file in files.items()},
        "arrays": dict(settings.arrays),
    }

    def build() -> Made:
        sources = {split: file.read(settings.arrays) for split, file in files.items()}
        for split, source in sources.items():
            _require_digits(source, files[split].typed)
        return make(
            rule,
            divided(sources or {SplitName.TRAIN: drawn_digits()}, seed=seed),
            sizes,
            seed=seed,
        )

    return made_data(_task(rule), recipe, build, cache=settings.cache)


def _task(rule: Rule) -> Task:
    return declared(rule.name, TaskSettings(TaskKind.CLASSIFICATION, classes=rule.classes))


def _triples(rule: Rule, labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw a triple for each label, uniformly among those of its class."""
    triples = np.empty((len(labels), 3), np.int64)
    for label in range(len(rule.classes)):
        wanted = np.flatnonzero(labels == label)
        triples[wanted] = rng.choice(rule.triples[rule.labels == label], size=len(wanted))
    return triples


def _sources(
    triples: NDArray[np.int64],
    by_digit: Mapping[int, NDArray[np.int64]],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Draw a source image for each digit of each triple."""
    sources = np.empty_like(triples)
    for digit, members in by_digit.items():
        places = triples == digit
        sources[places] = rng.choice(members, size=int(places.sum()))
    return sources


def _require_digits(source: SourceImages, typed: str) -> None:
    present = np.unique(source.labels)
    if present.tolist() != list(range(10)):
        raise DataError(
            f"'{typed}' has labels {', '.join(map(str, present[:12]))}: digits from 0 to 9 are "
            "needed, all of them"
        )
    if source.images.shape[1] != 1:
        raise DataError(
            f"'{typed}' has images of shape {source.images.shape[1:]} (channels, height, width): "
            "grey digits are needed, each becomes one channel"
        )
