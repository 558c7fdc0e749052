"""One measurement at a time on a machine."""

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from niwaki.core.errors import TargetError

_POLL_SECONDS = 0.005


def default_lock_path() -> Path:
    """Return the lock file of this user: in the runtime folder if there is one."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and os.access(runtime, os.W_OK):
        return Path(runtime) / "niwaki" / "measure.lock"
    return Path(tempfile.gettempdir()) / f"niwaki-{os.getuid()}" / "measure.lock"


@contextmanager
def measurement_lock(path: Path | None = None, *, timeout_seconds: float = 600.0) -> Iterator[None]:
    """Hold the machine while measuring.

    The kernel drops the lock when its holder dies, however it dies: nothing stale is left behind.

    Args:
        path: Lock file; by default `default_lock_path()`.
        timeout_seconds: How long to wait for other measurements.

    Raises:
        TargetError: If the machine is not free in time, with the process that holds it, or if the
            lock file cannot be made.
    """
    path = path or default_lock_path()
    descriptor = _open(path)
    try:
        _acquire(descriptor, path, timeout_seconds)
        # Only for the message of those who wait in vain.
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise TargetError(
            f"the measurement lock '{path}' cannot be opened ({error.strerror}): "
            "make its folder writable, or set XDG_RUNTIME_DIR to one that is"
        ) from error


def _acquire(descriptor: int, path: Path, timeout_seconds: float) -> None:
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                break
            time.sleep(_POLL_SECONDS)
    holder = os.pread(descriptor, 32, 0).decode(errors="replace") or "unknown"
    raise TargetError(
        f"another measurement (process {holder}) has held '{path}' for {timeout_seconds:g} s: "
        "wait for it, or stop it"
    )
