"""Arrays kept on disk: written at once or not at all, rebuilt when damaged."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import ConfigError, DataError
from niwaki.core.files import expanded, replacing
from niwaki.tasks.npz_damage import NPZ_DAMAGE

ArrayTable = Mapping[str, NDArray[Any]]

_SEAL = "__seal__"


def default_cache() -> Path:
    """Return `$NIWAKI_CACHE`, or `niwaki` in the user's cache folder.

    Raises:
        ConfigError: If the user has no home folder, or the variable names that of nobody.
    """
    if chosen := os.environ.get("NIWAKI_CACHE"):
        return expanded(chosen)
    if home := os.environ.get("XDG_CACHE_HOME"):
        return Path(home) / "niwaki"
    try:
        return Path.home() / ".cache" / "niwaki"
    except RuntimeError as error:
        raise ConfigError(
            "there is no home folder to keep data in: name a folder in $NIWAKI_CACHE"
        ) from error


def cache_folder(typed: str) -> Path:
    """Return the folder that a user typed; empty for the default one.

    Raises:
        ConfigError: If `~` stands for no home folder.
    """
    return expanded(typed) if typed else default_cache()


def cached_arrays(file: Path, build: Callable[[], ArrayTable]) -> dict[str, NDArray[Any]]:
    """Return the arrays kept in `file`, built first if it is missing or damaged.

    Processes may race for a file: each writes its own and renames it, and the last one stays. No
    reader ever sees half a file.

    Args:
        file: An `.npz` file. Its name must follow everything that `build` depends on.
        build: Makes the arrays; a pure function, so that whoever wins the race wrote the same.

    Raises:
        DataError: If the file cannot be written.
    """
    kept = _read(file)
    if kept is None:
        kept = dict(build())
        _write(file, kept)
    return kept


def _read(file: Path) -> dict[str, NDArray[Any]] | None:
    """Return the arrays, or None if there is no sound file. Zip checks a CRC of every array."""
    try:
        # numpy leaves a file open that it was asked to open and then could not read.
        with file.open("rb") as stream, np.lib.npyio.NpzFile(stream) as archive:
            arrays = {name: archive[name] for name in archive.files}
        seal = str(arrays.pop(_SEAL))
    except (*NPZ_DAMAGE, KeyError):  # no seal
        return None
    return arrays if seal == _seal(file, arrays) else None


def _write(file: Path, arrays: ArrayTable) -> None:
    members: dict[str, Any] = {**arrays, _SEAL: np.array(_seal(file, arrays))}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as stream:
            np.savez(stream, **members)
    except OSError as error:
        n_mib = sum(array.nbytes for array in arrays.values()) / 2**20
        raise DataError(
            f"the cache file {file} ({n_mib:.0f} MiB) cannot be written: "
            f"{error.strerror or error}. Make room, or name another folder in $NIWAKI_CACHE"
        ) from error


def _seal(file: Path, arrays: ArrayTable) -> str:
    """Return what only a file written here, under this name, with these arrays would hold."""
    return f"{file.stem}: {' '.join(sorted(arrays))}"
