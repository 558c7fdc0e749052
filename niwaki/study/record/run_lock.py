"""One writer per run folder: a lock that the kernel releases however its holder dies."""

import fcntl
import json
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from niwaki.core.errors import RunFolderError
from niwaki.core.files import cannot_write
from niwaki.core.locks import is_alive, try_lock
from niwaki.study.record.events import utc_now

_POLL_S = 0.05


class RunLock:
    """An exclusive `flock` on one file.

    The file says who holds it, for people; the kernel's lock alone decides. Network file systems
    differ: NFS since Linux 2.6.12 and SMB forward `flock` to the server, some clusters' parallel
    file systems do not (Lustre needs `-o flock`), and there two hosts could write at once.

    Args:
        path: The lock file; its folder must exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1

    def acquire(self, *, patience_s: float = 5.0) -> Self:
        """Take the lock.

        Args:
            patience_s: How long to wait for a holder that has died but left a forked child behind,
                which keeps the lock until it notices. A living holder is not waited for.

        Raises:
            RunFolderError: If another process holds the lock, or the file cannot be written.
        """
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise cannot_write(self.path, error) from error
        try:
            self._wait_for(descriptor, time.monotonic() + patience_s)
            _write_holder(descriptor)
        except OSError as error:
            os.close(descriptor)
            raise cannot_write(self.path, error) from error
        except RunFolderError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return self

    def release(self) -> None:
        """Give the lock back. Calling it again does nothing."""
        if self._descriptor < 0:
            return
        # The file stays: removing it would let two processes lock two files of one name.
        os.ftruncate(self._descriptor, 0)
        # Closing alone would leave the lock to children that were forked meanwhile.
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        os.close(self._descriptor)
        self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    def _wait_for(self, descriptor: int, deadline: float) -> None:
        while not try_lock(descriptor, fcntl.LOCK_EX):
            holder = _read_holder(descriptor)
            # No name at all: a new holder is about to write it, or `is_locked` is looking.
            alive = holder is not None and not holder.dead
            if alive or time.monotonic() >= deadline:
                raise RunFolderError(
                    f"the run folder '{self.path.parent}' is in use by {holder or 'a process'}: "
                    "wait for it, stop it, or give this run another name"
                )
            time.sleep(_POLL_S)


def is_locked(path: Path) -> bool:
    """Return whether a process holds the lock now; False if there is no such file.

    Raises:
        RunFolderError: If the file cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise RunFolderError(
            f"whether the run is going on cannot be told, since '{path}' cannot be opened: "
            f"{error.strerror}; check its permissions"
        ) from error
    try:
        # Taken for a moment and shared, so that several may look; `acquire` waits for this.
        return not try_lock(descriptor, fcntl.LOCK_SH)
    except OSError as error:
        raise RunFolderError(
            f"whether the run is going on cannot be told, since '{path}' cannot be locked: "
            f"{error.strerror}; copy the run to a file system with locks"
        ) from error
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class _Holder:
    """Who wrote the lock file last."""

    pid: int
    host: str
    since: str

    @property
    def dead(self) -> bool:
        """Whether it surely runs no more; unknown for another host."""
        return self.host == socket.gethostname() and not is_alive(self.pid)

    def __str__(self) -> str:
        place = "" if self.host == socket.gethostname() else f" on {self.host}"
        state = ", which died and left a child running" if self.dead else ""
        return f"process {self.pid}{place} since {self.since}{state}"


def _write_holder(descriptor: int) -> None:
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": utc_now()}
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(holder).encode() + b"\n", 0)


def _read_holder(descriptor: int) -> _Holder | None:
    """Return what the file says; None while its holder is writing it."""
    try:
        data = json.loads(os.pread(descriptor, 4096, 0))
        return _Holder(int(data["pid"]), str(data["host"]), str(data["since"]))
    except (ValueError, KeyError, TypeError):
        return None
