"""What an evaluator has prepared, on nodes that do not see the driver's disk."""

import hashlib
import io
import os
import shutil
import tarfile
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from niwaki.core.errors import StudyError
from niwaki.core.files import UNFINISHED


@dataclass(frozen=True)
class Artifacts:
    """The files under a folder, as they were at one moment.

    Attributes:
        folder: Absolute.
        files: Path below the folder, size in bytes and time of change in nanoseconds of each.
    """

    folder: Path
    files: tuple[tuple[str, int, int], ...]

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Take note of the files under `folder`; none if there is no such folder.

        What comes and goes meanwhile, as evaluations write and drop states, is left out.
        """
        folder, files = folder.resolve(), []
        for place, inner, names in os.walk(folder):  # which passes over a folder that has gone
            inner[:] = [name for name in inner if not name.endswith(UNFINISHED)]
            for path in (Path(place, name) for name in names):
                with suppress(FileNotFoundError):
                    if path.is_file() and path.suffix != UNFINISHED:
                        files.append(_described(path, folder))
        return cls(folder, tuple(sorted(files)))

    def seen_here(self) -> bool:
        """Whether this machine has the same files in the same place: the disk is shared."""
        try:
            return all(
                _described(self.folder / file[0], self.folder) == file for file in self.files
            )
        except OSError:
            return False

    def pack(self) -> bytes:
        """Return the files in one piece, for a machine that does not see them.

        Those that an evaluation has dropped since are left out.

        Raises:
            StudyError: If one cannot be read.
        """
        buffer = io.BytesIO()
        try:
            with tarfile.open(fileobj=buffer, mode="w") as archive:
                for name, _, _ in self.files:
                    # Open, it is what it was, also while another takes its place.
                    with suppress(FileNotFoundError), (self.folder / name).open("rb") as file:
                        archive.addfile(archive.gettarinfo(arcname=name, fileobj=file), file)
        except OSError as error:
            raise StudyError(
                f"what the evaluator prepared cannot be sent to other nodes: {error}. Run the same "
                "command again to prepare it anew"
            ) from error
        return buffer.getvalue()


def unpack(packed: bytes, root: Path | None = None) -> Path:
    """Return a folder with the packed files; made by the first who comes, and shared by all after.

    Args:
        packed: From `Artifacts.pack`.
        root: Where to make it; by default a folder of this user among the temporary files.

    Raises:
        StudyError: If that folder is somebody else's.
    """
    root = root or Path(tempfile.gettempdir()) / f"niwaki-{os.getuid()}"
    folder = root / f"artifacts-{hashlib.blake2b(packed, digest_size=8).hexdigest()}"
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    if root.stat().st_uid != os.getuid():  # who could have put anything there
        raise StudyError(f"'{root}' belongs to somebody else: remove it, or set TMPDIR")
    if folder.exists():
        return folder
    mine = Path(tempfile.mkdtemp(dir=root))
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(mine, filter="data")
    try:
        mine.rename(folder)
    except OSError:  # another worker was faster
        shutil.rmtree(mine)
    return folder


def _described(path: Path, folder: Path) -> tuple[str, int, int]:
    status = path.stat()
    return path.relative_to(folder).as_posix(), status.st_size, status.st_mtime_ns
