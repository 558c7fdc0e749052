"""Labelled images as people keep them: npz arrays, packed JPEGs, MNIST's and CIFAR's own files."""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import ConfigError, DataError, NiwakiError
from niwaki.core.registry import nearest
from niwaki.tasks.idx import read_idx
from niwaki.tasks.npz_damage import NPZ_DAMAGE

_CIFAR_RECORD = 1 + 3 * 32 * 32  # a label, then red, green and blue planes
_ROLES = ("images", "labels")


@dataclass(frozen=True, eq=False)
class SourceImages:
    """Images with their classes.

    Attributes:
        images: (n, c, h, w) uint8, with 1 or 3 channels.
        labels: (n,) int64.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.images)


def read_images(
    path: Path, *, typed: str, labels: Path | None, arrays: Mapping[str, str]
) -> SourceImages:
    """Read a file of labelled images; its first bytes tell the format.

    Args:
        path: An `.npz` file with an array of images and one of labels; an `.npz` file of packed
            images (`data`, `offsets`, `labels`: the i-th file is `data[offsets[i]:offsets[i+1]]`);
            images in MNIST's format; or CIFAR-10's binary version.
        typed: What to call it in messages.
        labels: File of labels, for MNIST's format only.
        arrays: Names of the arrays `images` and `labels` of an `.npz` file; told by their shapes
            where none is given.

    Raises:
        ConfigError: If `arrays` names something else.
        DataError: If the file is damaged, or does not hold labelled images.
    """
    for role in arrays:
        if role not in _ROLES:
            raise ConfigError(
                f"'arrays.{role}' is unknown{nearest(role, _ROLES)} Give images: NAME"
            )
    if zipfile.is_zipfile(path):
        images, classes = _read_npz(path, typed, arrays)
    elif path.suffix == ".bin":
        images, classes = _read_cifar(path, typed)
    elif labels is None:
        raise DataError(
            f"'{typed}' is no .npz file. If it holds images in MNIST's format, name the file of "
            "their labels in 'labels'; if it is CIFAR-10's binary version, let its name end in .bin"
        )
    else:
        images, classes = read_idx(path, typed), read_idx(labels, str(labels))
    return SourceImages(_pixels(images, typed), _labels(classes, len(images), typed))


def _read_npz(
    path: Path, typed: str, arrays: Mapping[str, str]
) -> tuple[NDArray[Any], NDArray[Any]]:
    try:
        with path.open("rb") as stream, np.lib.npyio.NpzFile(stream) as archive:
            if {"data", "offsets", "labels"} <= set(archive.files):
                data, offsets = archive["data"], archive["offsets"]
                return _decoded(data, offsets, typed), archive["labels"]
            found = {name: archive[name] for name in archive.files}
    except NPZ_DAMAGE as error:
        if isinstance(error, NiwakiError):
            raise
        raise DataError(
            f"'{typed}' cannot be read as an .npz file: {error}. Get or write it again"
        ) from error
    return _of_role("images", found, typed, arrays), _of_role("labels", found, typed, arrays)


def _of_role(
    role: str, found: Mapping[str, NDArray[Any]], typed: str, arrays: Mapping[str, str]
) -> NDArray[Any]:
    """Return the array of images or of labels: the named one, or the only one of such a shape."""
    shown = ", ".join(f"{name} {array.shape}" for name, array in found.items()) or "none"
    if role in arrays:
        if arrays[role] not in found:
            hint = nearest(arrays[role], list(found))
            raise DataError(f"'{typed}' has no array '{arrays[role]}'{hint} It has {shown}")
        return found[arrays[role]]
    n_axes = (3, 4) if role == "images" else (1,)
    fitting = [name for name, array in found.items() if array.ndim in n_axes]
    if len(fitting) != 1:
        raise DataError(
            f"'{typed}' has {len(fitting)} arrays that could be the {role}: name the right one, as "
            f"in arrays: {{{role}: NAME}}. It has {shown}"
        )
    return found[fitting[0]]


def _decoded(data: NDArray[Any], offsets: NDArray[Any], typed: str) -> NDArray[np.uint8]:
    """Return (n, h, w, 3) from n encoded images, one behind the other."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ConfigError(
            f"'{typed}' holds encoded images, which pillow reads, and pillow is not installed: "
            "pip install 'niwaki[images]'"
        ) from error
    images = []
    for i, (start, stop) in enumerate(pairwise(offsets)):
        try:
            with Image.open(io.BytesIO(data[start:stop].tobytes())) as image:
                images.append(np.asarray(image.convert("RGB"), dtype=np.uint8))
        except (OSError, ValueError, SyntaxError) as error:
            raise DataError(f"'{typed}', image {i} cannot be decoded: {error}") from error
        if images[-1].shape != images[0].shape:
            raise DataError(
                f"'{typed}', image {i} has shape {images[-1].shape}, and the first one has "
                f"{images[0].shape}: all have to be of one size"
            )
    return np.stack(images) if images else np.empty((0, 1, 1, 3), np.uint8)


def _read_cifar(path: Path, typed: str) -> tuple[NDArray[Any], NDArray[Any]]:
    data = np.frombuffer(path.read_bytes(), np.uint8)
    if len(data) == 0 or len(data) % _CIFAR_RECORD:
        raise DataError(
            f"'{typed}' has {len(data)} bytes, which is no multiple of {_CIFAR_RECORD}: it is not "
            "CIFAR-10's binary version, or was cut off"
        )
    records = data.reshape(-1, _CIFAR_RECORD)
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0]


def _pixels(images: NDArray[Any], typed: str) -> NDArray[np.uint8]:
    """Return images as (n, c, h, w) bytes."""
    if images.ndim not in (3, 4) or 0 in images.shape:
        raise DataError(
            f"'{typed}' has images of shape {images.shape}: give (n, h, w), (n, h, w, c) or "
            "(n, c, h, w), and at least one"
        )
    planes = images[:, None] if images.ndim == 3 else _channels_second(images, typed)
    if planes.dtype.kind == "f" and planes.min() >= 0 and planes.max() <= 1:  # neither, if NaN
        return np.round(planes * 255).astype(np.uint8)
    if planes.dtype.kind not in "ui" or planes.min() < 0 or planes.max() > 255:
        raise DataError(
            f"'{typed}' has images of type {images.dtype}, from {images.min()} to {images.max()}: "
            "give integers from 0 to 255, or real numbers from 0 to 1"
        )
    return planes.astype(np.uint8)


def _channels_second(images: NDArray[Any], typed: str) -> NDArray[Any]:
    if images.shape[1] in (1, 3):
        return images
    if images.shape[3] in (1, 3):
        return np.moveaxis(images, 3, 1)
    raise DataError(f"'{typed}' has images of shape {images.shape}: 1 or 3 channels are needed")


def _labels(labels: NDArray[Any], n: int, typed: str) -> NDArray[np.int64]:
    flat = labels.reshape(-1)
    if len(flat) != n or flat.dtype.kind not in "ui":
        raise DataError(
            f"'{typed}' has labels of shape {labels.shape} and type {labels.dtype} for {n} images: "
            "give one integer for each"
        )
    return flat.astype(np.int64)
