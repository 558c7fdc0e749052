"""States of training on disk: whole or not there at all, and not more bytes than allowed."""

import codecs
import struct
import warnings
from contextlib import suppress
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch

from niwaki.core.errors import RunFolderError
from niwaki.core.files import cannot_write, replacing

# What torch.load raises for bytes that are cut off, flipped, or no checkpoint at all.
_DAMAGE = (
    OSError,
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AssertionError,
    AttributeError,
    EOFError,
    struct.error,
    UnpicklingError,
)

# What pickles of numpy's numbers and arrays call: a module's extra state may hold some.
_NUMPY = [
    np.ndarray,
    np.dtype,
    *(getattr(np.dtypes, name) for name in np.dtypes.__all__),
    np.float64(0).__reduce__()[0],
    np.zeros(0).__reduce__()[0],
    codecs.encode,
]


def save_checkpoint(state: dict[str, Any], path: Path) -> None:
    """Write a training state so that a kill leaves the old file or the new one, never half.

    Raises:
        RunFolderError: If the disk is full, or the folder cannot be written.
    """
    try:
        with replacing(path) as file:
            torch.save(state, file)
    except OSError as error:
        raise cannot_write(path, error) from error
    except RuntimeError as error:  # of torch, whose writer hides what the disk said
        raise RunFolderError(
            f"the checkpoint '{path}' cannot be written ({error}): "
            "free some disk space and start the same command again"
        ) from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote; tensors, arrays and plain values alone are loaded.

    Raises:
        RunFolderError: If the file cannot be read.
    """
    try:
        with torch.serialization.safe_globals(_NUMPY):
            state = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(state, dict):
            raise TypeError(f"it holds {type(state).__name__}")
    except _DAMAGE as error:
        raise RunFolderError(
            f"the checkpoint '{path}' is damaged ({type(error).__name__}): delete it to train anew"
        ) from error
    return state


class CheckpointStore:
    """Keeps the states of many trainings, the youngest ones, within a number of bytes.

    Several processes may use one folder. What is lost costs time alone: a training starts anew. So
    a state that cannot be written is a warning, and no more.

    Args:
        folder: Created with the first state.
        most_bytes: Of all states together; 0 keeps nothing.
    """

    def __init__(self, folder: Path, most_bytes: float) -> None:
        self._folder, self._most_bytes = folder, most_bytes

    def load(self, name: str) -> dict[str, Any] | None:
        """Return the state of that name; None if there is none, or it is damaged."""
        path = self._path(name)
        try:
            return load_checkpoint(path) if path.exists() else None
        except RunFolderError:
            path.unlink(missing_ok=True)
            return None

    def save(self, name: str, state: dict[str, Any]) -> None:
        """Keep a state, and drop the oldest ones if there are too many bytes."""
        if not self._most_bytes:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            save_checkpoint(state, self._path(name))
        except (OSError, RunFolderError) as error:
            warnings.warn(f"a trained network is not kept: {error}", RuntimeWarning, stacklevel=2)
            return
        self._shrink()

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.pt"

    def _shrink(self) -> None:
        files = []
        for path in self._folder.glob("*.pt"):
            with suppress(FileNotFoundError):  # another process dropped it
                status = path.stat()
                files.append((status.st_mtime_ns, status.st_size, path))
        n_bytes = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if n_bytes <= self._most_bytes:
                return
            path.unlink(missing_ok=True)
            n_bytes -= size
