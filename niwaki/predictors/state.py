"""What predictors learned, as files: plain arrays and JSON, never pickle."""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import DataError
from niwaki.core.files import cannot_write, replacing
from niwaki.core.jsonable import JSON

# Arrays by name; those of a part of a predictor have `<part>/` in front.
State: TypeAlias = Mapping[str, NDArray[Any]]

SCHEMA = 4
_HEADER = "niwaki.json"
# What zipfile, numpy and json raise on a file that is damaged, or something else altogether.
# A RuntimeError is a member that seems encrypted or packed by unknown means, or JSON too deep.
_UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    EOFError,
    RuntimeError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)


def write_state(path: Path, state: State, *, kind: str, about: Mapping[str, JSON]) -> None:
    """Write arrays and a JSON header to one `.npz` file, whole or not at all.

    Args:
        path: File to write; its folder must exist.
        state: Arrays of numbers, booleans or text.
        kind: Of predictor.
        about: Anything to keep beside it.

    Raises:
        RunFolderError: If the file cannot be written.
    """
    said = {"schema": SCHEMA, "kind": kind, "arrays": _digest(state), "about": about}
    header = json.dumps(said)
    arrays = {_HEADER: np.frombuffer(header.encode(), dtype=np.uint8), **state}
    try:
        with replacing(path) as file:
            np.savez(file, allow_pickle=False, **arrays)
    except OSError as error:
        raise cannot_write(path, error) from error


def read_state(path: Path, *, kind: str) -> tuple[dict[str, NDArray[Any]], Mapping[str, JSON]]:
    """Read what `write_state` wrote.

    Returns:
        The arrays, and what was kept beside them.

    Raises:
        DataError: If the file is missing, damaged or changed, holds objects, or is of another kind.
    """
    try:
        # Opened here: numpy leaves a damaged file open.
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays: dict[str, NDArray[Any]] = {name: file[name] for name in file.files}
        header = json.loads(arrays.pop(_HEADER).tobytes())
        found, schema, about = header["kind"], header["schema"], header["about"]
        written = header.get("arrays")  # of schema 2 and later
    except FileNotFoundError as error:
        raise DataError(f"there is no saved predictor at '{path}': fit and save one") from error
    except _UNREADABLE as error:
        raise DataError(
            f"'{path}' is not a saved predictor ({error}): fit and save one again"
        ) from error
    if (found, schema) != (kind, SCHEMA):
        raise DataError(
            f"'{path}' holds a {found} of schema {schema}, but a {kind} of schema {SCHEMA} was "
            "wanted: fit and save one again"
        )
    if written != _digest(arrays):
        raise DataError(
            f"the arrays of '{path}' are not those that were saved: fit and save one again"
        )
    return arrays, about


def _digest(state: State) -> str:
    """Return what tells arrays from any others, by name, type, shape and content."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(state):
        array = np.asarray(state[name])
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def part_of(state: State, part: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of one part, without the part's name."""
    prefix = f"{part}/"
    return {name[len(prefix) :]: a for name, a in state.items() if name.startswith(prefix)}


def as_part(state: State, part: str) -> dict[str, NDArray[Any]]:
    """Return arrays as those of one part."""
    return {f"{part}/{name}": array for name, array in state.items()}


def array_of(state: State, name: str, *, n_dimensions: int) -> NDArray[Any]:
    """Return one array of a state.

    Raises:
        DataError: If it is missing, or has another number of dimensions.
    """
    if name not in state:
        raise DataError(f"the saved predictor has no '{name}': was it saved with other settings?")
    if state[name].ndim != n_dimensions:
        raise DataError(
            f"'{name}' of the saved predictor has {state[name].ndim} dimensions, but "
            f"{n_dimensions} were wanted: fit and save one again"
        )
    return state[name]
