"""The data source `npz`: arrays in `.npz` files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import ConfigError, DataError
from niwaki.core.registry import nearest
from niwaki.tasks.arrays import Arrays
from niwaki.tasks.assembly import Preparation, declared_tasks, prepare
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.checks import Given
from niwaki.tasks.npz_damage import NPZ_DAMAGE
from niwaki.tasks.paths import by_split, existing
from niwaki.tasks.task import TaskSettings


@dataclass(frozen=True)
class NpzSettings:
    """Where the arrays are, and what they are called.

    Attributes:
        path: One file, from which all splits are carved, or a file for each split by name.
        tasks: Declarations by task name.
        inputs: Name of the array of inputs.
        targets: Name of the array of each task's targets; the task's own name where none is given.
        layout: Layout of the inputs, such as NHWC; empty to tell by the shape.
        standardise: Whether to give each channel mean 0 and standard deviation 1 over train;
            None does so unless the layout is `as_given`.
        fractions: Share of the train items for splits without a file, by split name.
    """

    path: str | dict[str, str]
    tasks: dict[str, TaskSettings]
    inputs: str = "inputs"
    targets: dict[str, str] = field(default_factory=dict)
    layout: str = ""
    standardise: bool | None = None
    fractions: dict[str, float] = field(default_factory=dict)


def load(settings: NpzSettings, *, seed: int) -> TaskData:
    """Read the files.

    Raises:
        ConfigError: If a setting does not fit the others.
        DataError: If a file or an array is missing, or not what the tasks need.
    """
    tasks = declared_tasks(settings.tasks)
    names = {task.name: settings.targets.get(task.name, task.name) for task in tasks}
    for name in settings.targets:
        if name not in names:
            raise ConfigError(f"targets.{name} names no task{nearest(name, list(names))}")
    given = {
        split: _read(typed, split, inputs=settings.inputs, targets=names)
        for split, typed in by_split(settings.path, "path").items()
    }
    preparation = Preparation(settings.layout, settings.standardise, settings.fractions)
    return prepare(tasks, given, preparation, seed=seed)


def _read(typed: str, split: SplitName, *, inputs: str, targets: Mapping[str, str]) -> Given:
    path = existing(typed, split)
    try:
        # numpy leaves a file open that it was asked to open and then could not read.
        with path.open("rb") as stream, np.lib.npyio.NpzFile(stream) as archive:
            wanted = [_array(archive, name, typed) for name in (inputs, *targets.values())]
    except NPZ_DAMAGE as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"'{typed}' cannot be read as an .npz file: {error}. Write it with numpy.savez, and "
            "without Python objects"
        ) from error
    return Given(Arrays(wanted[0], dict(zip(targets, wanted[1:], strict=True))), f"'{typed}'")


def _array(archive: Any, name: str, typed: str) -> NDArray[Any]:
    if name not in archive.files:
        raise DataError(
            f"'{typed}' has no array '{name}'{nearest(name, archive.files)} "
            f"It has {', '.join(archive.files) or 'none'}"
        )
    array: NDArray[Any] = archive[name]
    return array
