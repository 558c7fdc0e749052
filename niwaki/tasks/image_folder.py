"""The data source `image_folder`: one subfolder of images for each class. Needs pillow."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import ConfigError, DataError
from niwaki.core.jsonable import JSON, fingerprint
from niwaki.tasks.arrays import Arrays
from niwaki.tasks.assembly import Preparation, prepare
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.cache import cache_folder, cached_arrays
from niwaki.tasks.checks import Given
from niwaki.tasks.paths import by_split, existing
from niwaki.tasks.task import TaskKind, TaskSettings, declared

if TYPE_CHECKING:
    from PIL import Image

_READER_VERSION = 2  # raise it with every change of the pixels that a file gives
_MODES = ("RGB", "L")
_SIXTEEN_BITS = 2**16 - 1  # the largest value
_BYTE_IN_SIXTEEN_BITS = 257  # so that white stays white
# What pillow raises of damaged files: a struct.error of Exif, a RuntimeError of AVIF.
_DAMAGE = (OSError, ValueError, SyntaxError, RuntimeError, struct.error)


@dataclass(frozen=True)
class ImageFolderSettings:
    """Where the images are, and what they become.

    Attributes:
        path: One folder, from which all splits are carved, or a folder for each split by name. Its
            subfolders are the classes, in order of their names; those of train decide.
        size: Height and width that every image is resized to, whatever its proportions.
        mode: RGB, or L for greyscale.
        task: Name of the task.
        standardise: Whether to give each channel mean 0 and standard deviation 1 over train.
        fractions: Share of the train items for splits without a folder, by split name.
        cache: Folder for resized images; empty for $NIWAKI_CACHE, or the user's cache folder.
    """

    path: str | dict[str, str]
    size: tuple[int, int] = (64, 64)
    mode: str = "RGB"
    task: str = "label"
    standardise: bool = True
    fractions: dict[str, float] = field(default_factory=dict)
    cache: str = ""


def load(settings: ImageFolderSettings, *, seed: int) -> TaskData:
    """Read the images, or their resized copies from the cache.

    Hidden files and folders (a dot in front) are left out, and whatever lies beside the class
    folders is left out with a warning; everything else must be an image.

    Raises:
        ConfigError: If a setting is out of its range, or pillow is missing.
        DataError: If a folder is missing or empty, or a file is not an image.
    """
    if settings.mode not in _MODES or min(settings.size) < 1:
        raise ConfigError(
            f"image_folder has mode: {settings.mode}, size: {list(settings.size)}; it needs a mode "
            f"of {' or '.join(_MODES)}, and a height and width of at least 1"
        )
    typed = by_split(settings.path, "path")
    folders = {split: existing(path, split, kind="folder") for split, path in typed.items()}
    classes = _classes(folders[SplitName.TRAIN], typed[SplitName.TRAIN])
    task = declared(settings.task, TaskSettings(kind=TaskKind.CLASSIFICATION, classes=classes))
    given = _alike(
        {split: _read(folder, typed[split], classes, settings) for split, folder in folders.items()}
    )
    return prepare(
        (task,),
        given,
        Preparation("NHWC", settings.standardise, settings.fractions),
        seed=seed,
        warnings=tuple(s for split, folder in folders.items() for s in _beside(folder, split)),
    )


def _classes(folder: Path, typed: str) -> tuple[str, ...]:
    classes = tuple(path.name for path in _visible(folder) if path.is_dir())
    if len(classes) < 2:
        raise DataError(
            f"'{typed}' has {len(classes)} subfolders, but it needs a subfolder of images for each "
            "class, and two classes at least"
        )
    return classes


def _read(
    folder: Path, typed: str, classes: tuple[str, ...], settings: ImageFolderSettings
) -> Given:
    names = [path.name for path in _visible(folder) if path.is_dir()]
    if strangers := sorted(set(names) - set(classes)):
        raise DataError(
            f"'{typed}' has a class '{strangers[0]}' that the train folder has not: "
            f"its classes are {', '.join(classes)}"
        )
    numbers = {name: number for number, name in enumerate(classes)}
    files = [(path, numbers[name]) for name in names for path in _images(folder / name)]
    if not files:
        raise DataError(f"'{typed}' has no images in its subfolders: give at least one")
    recipe: dict[str, JSON] = {
        "version": _READER_VERSION,
        "size": list(settings.size),
        "mode": settings.mode,
        "classes": list(classes),
        # Of a link, the file does not tell the class.
        "files": [[str(path.resolve()), *_stamp(path), label] for path, label in files],
    }
    cache = cache_folder(settings.cache)
    kept = cached_arrays(
        cache / f"image_folder-{fingerprint(recipe)}.npz", lambda: _decode(files, settings)
    )
    return Given(Arrays(kept["inputs"], {settings.task: kept["labels"]}), f"'{typed}'")


def _decode(
    files: Sequence[tuple[Path, int]], settings: ImageFolderSettings
) -> dict[str, NDArray[Any]]:
    height, width = settings.size
    inputs: NDArray[Any] = np.empty((len(files), height, width, len(settings.mode)), np.uint8)
    for row, (path, _) in enumerate(files):
        image = read_image(path, settings.size, settings.mode)
        if image.dtype != np.uint8:
            inputs = _in_sixteen_bits(inputs)
        inputs[row] = image if image.dtype == inputs.dtype else _in_sixteen_bits(image)
    return {"inputs": inputs, "labels": np.array([label for _, label in files], np.int32)}


def _alike(given: Mapping[SplitName, Given]) -> Mapping[SplitName, Given]:
    """Return all splits in 16 bits if one is."""
    if all(items.arrays.inputs.dtype == np.uint8 for items in given.values()):
        return given
    return {
        split: Given(
            Arrays(_in_sixteen_bits(items.arrays.inputs), items.arrays.targets), items.origin
        )
        for split, items in given.items()
    }


def _in_sixteen_bits(images: NDArray[Any]) -> NDArray[np.uint16]:
    if images.dtype == np.uint16:
        return images
    return images.astype(np.uint16) * np.uint16(_BYTE_IN_SIXTEEN_BITS)


def read_image(
    path: Path, size: tuple[int, int], mode: str
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Read one image, upright, and resize it with area averaging.

    Args:
        path: A file in any format that pillow reads, but floating-point ones.
        size: Height and width.
        mode: RGB or L.

    Returns:
        (height, width, 3 or 1) uint8; uint16 if it is greyscale of 16 bits, as which of them are
        used is not known from one image.

    Raises:
        ConfigError: If pillow is missing.
        DataError: If the file cannot be read, with its name.
    """
    image_module, operations = _pillow()
    try:
        with image_module.open(path) as opened:
            turned = operations.exif_transpose(opened)
            image = _deep_grey(turned, path) if turned.mode[0] in "IF" else turned.convert(mode)
    except (*_DAMAGE, image_module.DecompressionBombError) as error:
        if isinstance(error, DataError):
            raise
        raise _unreadable(path, error) from error
    height, width = size
    resized = np.asarray(image.resize((width, height), image_module.Resampling.BILINEAR))
    if image.mode == "F":
        pixels = np.round(resized).astype(np.uint16)[:, :, None]
        return np.repeat(pixels, len(mode), axis=2)
    return resized.reshape(height, width, -1)


def _deep_grey(image: "Image.Image", path: Path) -> "Image.Image":
    """Return greyscale of 16 bits as floats, which pillow resizes; it clips on the way to bytes."""
    if image.mode == "F":
        raise DataError(f"'{path}' holds floating-point pixels: convert it, or use an .npz file")
    image_module, _ = _pillow()
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > _SIXTEEN_BITS:
        raise DataError(
            f"'{path}' holds pixels from {values.min()} to {values.max()}, but 0 to "
            f"{_SIXTEEN_BITS} is what greyscale has: convert it, or use an .npz file"
        )
    deep: Image.Image = image_module.fromarray(values.astype(np.float32))
    return deep


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(f"'{path}' cannot be read as an image: {error}. Repair it or move it away")


def _pillow() -> tuple[Any, Any]:
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise ConfigError(
            "image_folder needs pillow, which is not installed: pip install 'niwaki[images]'"
        ) from error
    return Image, ImageOps


def _images(folder: Path) -> list[Path]:
    """Return all files below `folder`, subfolders included, in order of their names."""
    files: list[Path] = []
    for path in _visible(folder):
        files.extend(_images(path) if path.is_dir() else [path])
    return files


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _beside(folder: Path, split: SplitName) -> list[str]:
    files = [path.name for path in _visible(folder) if not path.is_dir()]
    if not files:
        return []
    return [f"{split}: {len(files)} files beside the class folders were left out, like {files[0]}"]


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    return status.st_size, status.st_mtime_ns
