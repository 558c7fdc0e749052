"""The data source `idx`: images and labels in MNIST's file format, gzipped or not."""

import gzip
import math
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import ConfigError, DataError
from niwaki.tasks.arrays import Arrays
from niwaki.tasks.assembly import Preparation, prepare
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.checks import Given
from niwaki.tasks.paths import by_split, existing
from niwaki.tasks.task import TaskKind, TaskSettings, declared

_GZIP_MAGIC = b"\x1f\x8b"
_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


@dataclass(frozen=True)
class IdxSettings:
    """Where images and labels are.

    Attributes:
        inputs: One file, from which all splits are carved, or a file for each split by name.
        labels: The same for the labels.
        task: Name of the task.
        classes: Names of the classes, or their number.
        layout: Layout of the inputs; empty for NHW if they have three axes, and else to tell by the
            shape.
        standardise: Whether to give each channel mean 0 and standard deviation 1 over train;
            None does so unless the layout is `as_given`.
        fractions: Share of the train items for splits without files, by split name.
    """

    inputs: str | dict[str, str]
    labels: str | dict[str, str]
    task: str = "label"
    classes: int | tuple[str, ...] = 10
    layout: str = ""
    standardise: bool | None = None
    fractions: dict[str, float] = field(default_factory=dict)


def load(settings: IdxSettings, *, seed: int) -> TaskData:
    """Read the files.

    Raises:
        ConfigError: If a setting does not fit the others.
        DataError: If a file is missing, damaged, or not what the task needs.
    """
    declaration = TaskSettings(kind=TaskKind.CLASSIFICATION, classes=settings.classes)
    task = declared(settings.task, declaration)
    inputs, labels = by_split(settings.inputs, "inputs"), by_split(settings.labels, "labels")
    if inputs.keys() != labels.keys():
        raise ConfigError(
            f"'inputs' has files for {', '.join(inputs)}, and 'labels' for {', '.join(labels)}: "
            "give both for the same splits"
        )
    given = {split: _read(inputs[split], labels[split], split, task.name) for split in inputs}
    # The format is one of images: three axes need no telling.
    is_grey = given[SplitName.TRAIN].arrays.inputs.ndim == 3
    layout = settings.layout or ("NHW" if is_grey else "")
    preparation = Preparation(layout, settings.standardise, settings.fractions)
    return prepare((task,), given, preparation, seed=seed)


def _read(inputs: str, labels: str, split: SplitName, task: str) -> Given:
    arrays = [read_idx(existing(typed, split), typed) for typed in (inputs, labels)]
    return Given(Arrays(arrays[0], {task: arrays[1]}), f"'{inputs}' with '{labels}'")


def read_idx(path: Path, typed: str) -> NDArray[Any]:
    """Parse an idx file: two zero bytes, a type, the number of axes, their lengths, the values.

    Args:
        path: The file, gzipped or not.
        typed: What to call it in messages.

    Returns:
        The array, in the machine's own byte order.

    Raises:
        DataError: If the file is not an idx file, or longer or shorter than it says.

    References:
        LeCun, Cortes and Burges (1998), "The MNIST database", section on file formats.
    """
    data = _bytes(path, typed)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _TYPES or data[3] == 0:
        raise DataError(
            f"'{typed}' is no idx file: it starts with the bytes {data[:4].hex(' ') or '(none)'}, "
            "not with 00 00, a type from 08 to 0e, and the number of axes"
        )
    dtype, n_axes = np.dtype(_TYPES[data[2]]), data[3]
    start = 4 + 4 * n_axes
    if len(data) < start:
        raise DataError(f"'{typed}' ends within its header, after {len(data)} bytes: get it again")
    shape = struct.unpack(f">{n_axes}I", data[4:start])
    wanted = math.prod(shape) * dtype.itemsize
    if len(data) - start != wanted:
        raise DataError(
            f"'{typed}' says that it holds {shape} values of type {dtype.name}, which is {wanted} "
            f"bytes, but {len(data) - start} follow its header: get the file again"
        )
    try:
        values = np.frombuffer(data, dtype, offset=start).reshape(shape)
    except ValueError as error:  # 64 axes are numpy's most; of nothing, others may be endless
        raise DataError(
            f"'{typed}' says that its shape is {shape}, which no array has: get the file again"
        ) from error
    return values.astype(dtype.newbyteorder("="))


def _bytes(path: Path, typed: str) -> bytes:
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if data[:2] == _GZIP_MAGIC else data
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"'{typed}' cannot be read: {error}. Get the file again") from error
