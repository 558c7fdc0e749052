"""What all rules share: sizes, files and their stamps, the cache, and `TaskData` at the end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import ConfigError, DataError
from niwaki.core.jsonable import JSON, fingerprint
from niwaki.tasks.arrays import Arrays
from niwaki.tasks.assembly import assemble
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.cache import cache_folder, cached_arrays
from niwaki.tasks.paths import by_split, existing
from niwaki.tasks.preprocessing import standardising
from niwaki.tasks.task import Task
from niwaki.tasks.unseen.source_images import SourceImages, read_images

Made = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class ImageFile:
    """A file of labelled images that was found.

    Attributes:
        path: The file.
        typed: What the user called it.
        labels: File of its labels, if it is of MNIST's format.
    """

    path: Path
    typed: str
    labels: Path | None

    def read(self, arrays: Mapping[str, str]) -> SourceImages:
        """Return what is in it."""
        return read_images(self.path, typed=self.typed, labels=self.labels, arrays=arrays)

    def stamp(self) -> list[JSON]:
        """Return what changes when the file does."""
        return [*stamp(self.path), *([] if self.labels is None else stamp(self.labels))]


def stamp(path: Path) -> list[JSON]:
    """Return name, size and time of a file: what a cache may rely on without reading it."""
    status = path.stat()
    return [str(path.resolve()), status.st_size, status.st_mtime_ns]


def image_files(
    images: str | Mapping[str, str], labels: str | Mapping[str, str], *, wanted: str
) -> dict[SplitName, ImageFile]:
    """Return the files that a user named, by split.

    Args:
        images: One path, from which all splits are made, or paths by split name.
        labels: The same for labels; empty where images and labels are in one file.
        wanted: What the files should hold and where such files are found, for messages.

    Raises:
        ConfigError: If there is none for train, or labels are for other splits.
        DataError: If a file does not exist.
    """
    typed = by_split(images, "images")
    typed_labels = by_split(labels, "labels") if labels else {}
    if typed_labels and typed_labels.keys() != typed.keys():
        raise ConfigError(
            f"'images' has files for {', '.join(typed)}, and 'labels' for "
            f"{', '.join(typed_labels)}: give both for the same splits"
        )
    return {
        split: ImageFile(
            found(name, split, wanted=wanted),
            name,
            found(typed_labels[split], split, wanted=wanted) if typed_labels else None,
        )
        for split, name in typed.items()
    }


def found(typed: str, split: SplitName, *, wanted: str, kind: str = "file") -> Path:
    """Return the path that a user typed.

    Raises:
        DataError: If nothing is there, with what is wanted.
    """
    try:
        return existing(typed, split, kind=kind)
    except DataError as error:
        raise DataError(f"{error}. Wanted: {wanted}") from error


def sizes_of(settings: object, kind: str) -> dict[SplitName, int]:
    """Return the number of items of each split.

    Raises:
        ConfigError: If a split has none.
    """
    sizes = {split: int(getattr(settings, str(split))) for split in SplitName}
    for split, n in sizes.items():
        if n < 1:
            raise ConfigError(f"{kind} has {split}: {n}, but every split needs an item")
    return sizes


def balanced_labels(n: int, n_classes: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return n labels in random order, each class as often as every other, up to one."""
    labels = np.arange(n) % n_classes
    # Which classes are in the incomplete round at the end is left to chance.
    return np.asarray(rng.permutation(n_classes)[labels][rng.permutation(n)], dtype=np.int64)


def made_data(
    task: Task,
    recipe: Mapping[str, JSON],
    build: Callable[[], Made],
    *,
    cache: str,
    warnings: tuple[str, ...] = (),
) -> TaskData:
    """Return the data of a recipe, made first if they are not in the cache.

    Args:
        task: The only one.
        recipe: Everything that `build` depends on.
        build: Gives `<split>_inputs` (n, c, h, w) uint8, `<split>_labels` (n,), and `n_repeated`,
            the number of source items that were left out because they were there twice.
        cache: Folder; empty for the default one.
        warnings: What is odd about the sources.

    Raises:
        DataError: If the sources do not suffice, or the cache cannot be written.
    """
    folder = cache_folder(cache)
    kept = cached_arrays(folder / f"{task.name}-{fingerprint(dict(recipe))}.npz", build)
    splits = {
        split: Arrays(kept[f"{split}_inputs"], {task.name: kept[f"{split}_labels"]})
        for split in SplitName
    }
    n_repeated = int(kept["n_repeated"])
    if n_repeated:
        sentence = f"{n_repeated} source items were left out, since others are equal to them"
        warnings = (*warnings, sentence)
    preprocessing = standardising(splits[SplitName.TRAIN].inputs, "NCHW")
    return assemble((task,), splits, preprocessing, warnings=warnings)
