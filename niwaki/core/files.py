"""Files that are either whole or not there, and what to say when the disk says no."""

import errno
import glob
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TypeVar

from niwaki.core.errors import ConfigError, RunFolderError
from niwaki.core.jsonable import JSON

T = TypeVar("T")

UNFINISHED = ".tmp"  # how the name of a file ends that is not whole yet

_ABANDONED_S = 3600.0  # after this long, what is half written belongs to a process that was killed

DAMAGE = (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)
"""Errors that reading a damaged file raises."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


def cannot_write(path: Path, error: OSError) -> RunFolderError:
    """Return the error that tells a person why `path` cannot be written, and what to do."""
    if error.errno in _FULL:
        remedy = "the disk or quota is full; free some space and run the same command again"
    elif error.errno in _FORBIDDEN:
        remedy = "permission is denied; choose a folder that you may write to"
    else:
        said = error.strerror or error
        remedy = f"the system says '{said}'; check the path and the disk, and run it again"
    return RunFolderError(f"'{path}' cannot be written: {remedy}. What was there before is intact")


def cannot_read(path: Path, error: OSError) -> RunFolderError:
    """Return the error that tells a person why `path` cannot be read, and what to do."""
    return RunFolderError(
        f"'{path}' cannot be read: the system says '{error.strerror or error}'; check the path and "
        "its permissions, and run the same command again"
    )


def expanded(typed: str | Path) -> Path:
    """Return a path that a user typed, its `~` replaced by the home folder.

    Raises:
        ConfigError: If it is unknown, as of a user who is none.
    """
    try:
        return Path(typed).expanduser()
    except RuntimeError as error:
        raise ConfigError(
            f"'{typed}' cannot be found, since there is no such home folder: write the path out"
        ) from error


def write_text_atomically(path: Path, text: str) -> None:
    """Replace the contents of `path`, so that readers and crashes see the old text or the new.

    Args:
        path: File to write; its folder must exist.
        text: New contents, written as UTF-8.

    Raises:
        RunFolderError: If the disk is full or the folder cannot be written.
    """
    try:
        with replacing(path) as file:
            file.write(text.encode())
    except OSError as error:
        raise cannot_write(path, error) from error


def noted(path: Path, facts: Callable[[], Mapping[str, JSON]], *names: str) -> list[Any]:
    """Return what was noted in a file under some names; note it now if there is no such file.

    Args:
        path: The file, a JSON object; its folder must exist.
        facts: Gives what is to be noted.
        names: Among those of the facts.

    Raises:
        RunFolderError: If it cannot be read or written, or there is no such object, or one without
            these names.
    """
    try:
        text: bytes | str | None = path.read_bytes() if path.exists() else None
    except OSError as error:
        raise cannot_read(path, error) from error
    if text is None:
        text = json.dumps(facts(), indent=2) + "\n"
        write_text_atomically(path, text)
    try:
        known = json.loads(text)
        return [known[name] for name in names]
    except DAMAGE as error:
        raise RunFolderError(
            f"'{path}' is damaged ({type(error).__name__}): restore it, or start a run with "
            "another name (--name; in Python, `folder`)"
        ) from error


def computed_before(path: Path, parse: Callable[[Any], T]) -> T:
    """Return what was computed before and left in a JSON file, of which `parse` makes something.

    Raises:
        RunFolderError: If it cannot be read, or is damaged.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise cannot_read(path, error) from error
    try:
        return parse(json.loads(text))
    except DAMAGE as error:
        raise RunFolderError(
            f"'{path}' is damaged ({type(error).__name__}): delete it, and it is computed anew"
        ) from error


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a new file that takes the place of `path` once it is whole and on disk.

    What a kill left of earlier ones is removed after an hour.

    Raises:
        OSError: If the disk is full or the folder cannot be written; `path` is as it was.
    """
    clear_abandoned(path)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=UNFINISHED)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes private files; a result is as readable as any other new file.
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_to_disk(path.parent)


def clear_abandoned(path: Path) -> None:
    """Remove what processes left that were killed while they wrote a file or folder."""
    for other in path.parent.glob(f".{glob.escape(path.name)}.*{UNFINISHED}"):
        with suppress(OSError):  # finished, or cleared, by the process it belongs to, or not ours
            if time.time() - other.stat().st_mtime <= _ABANDONED_S:
                continue
            if other.is_dir():
                shutil.rmtree(other, ignore_errors=True)
            else:
                other.unlink()


def sync_to_disk(path: Path) -> None:
    """Make what a file holds, or the new names in a folder, survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    """Return the process's umask, which can only be read by setting it."""
    umask = os.umask(0o077)
    os.umask(umask)
    return umask
