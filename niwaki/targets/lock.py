"""One measurement at a time on a machine, and nothing of ours computing beside it."""

import fcntl
import logging
import math
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

from niwaki.core.errors import TargetError
from niwaki.core.locks import try_lock
from niwaki.targets.lock_holders import described, holders, run_of

_BUSY = ".busy"
_POLL_SECONDS = 0.005
_QUIET_SECONDS = 10.0  # a wait that lasts longer is told
_log = logging.getLogger(__name__)


def default_lock_path() -> Path:
    """Return the lock file of this user: in the runtime folder if there is one."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and os.access(runtime, os.W_OK):
        return Path(runtime) / "niwaki" / "measure.lock"
    return Path(tempfile.gettempdir()) / f"niwaki-{os.getuid()}" / "measure.lock"


@contextmanager
def measurement_lock(path: Path | None = None, *, timeout_seconds: float = 600.0) -> Iterator[None]:
    """Hold the machine while measuring: alone, once all who are `computing` have come to a stop.

    The kernel drops the lock when its holder dies, however it dies: nothing stale is left behind.
    Who waits for another run for some seconds is told so, by a warning in the log.

    Args:
        path: Lock file; by default `default_lock_path()`.
        timeout_seconds: How long to wait for other measurements, and then for computations.

    Raises:
        TargetError: If the machine is not free in time, with the process that holds it, or if the
            lock file cannot be made.
    """
    path = path or default_lock_path()
    with (
        _held(path, fcntl.LOCK_EX, timeout_seconds),
        _held(_busy_path(path), fcntl.LOCK_EX, timeout_seconds),
    ):
        yield


@contextmanager
def computing(path: Path | None = None, *, timeout_seconds: float = 600.0) -> Iterator[None]:
    """Say that this process is about to load the machine: measurements wait until it is done.

    Any number of processes may compute at once. Who wants to measure goes first: those who come
    after wait until the measurement is over. Not to be held while measuring.

    Args:
        path: Lock file of the measurements; by default `default_lock_path()`.
        timeout_seconds: How long to wait for measurements.

    Raises:
        TargetError: As `measurement_lock` does.
    """
    path = path or default_lock_path()
    with ExitStack() as stack:
        with _held(path, fcntl.LOCK_EX, timeout_seconds):
            stack.enter_context(_held(_busy_path(path), fcntl.LOCK_SH, timeout_seconds))
        yield


def _busy_path(path: Path) -> Path:
    return path.with_suffix(_BUSY)


def _reason(path: Path) -> str:
    if path.suffix == _BUSY:
        return "nothing is measured while another run computes"
    return "one run measures at a time"


@contextmanager
def _held(path: Path, kind: int, timeout_seconds: float) -> Iterator[None]:
    """Hold one lock file; the process that holds it alone is named in it for those who wait."""
    descriptor = _open(path)
    try:
        _acquire(descriptor, kind, path, timeout_seconds)
        try:
            with _naming_this_process(descriptor) if kind == fcntl.LOCK_EX else nullcontext():
                yield
        finally:
            # Closing alone would leave the lock to children that were forked meanwhile.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


@contextmanager
def _naming_this_process(descriptor: int) -> Iterator[None]:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    try:
        yield
    finally:
        os.ftruncate(descriptor, 0)


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise TargetError(
            f"the measurement lock '{path}' cannot be opened ({error.strerror}): "
            "make its folder writable, or set XDG_RUNTIME_DIR to one that is"
        ) from error


def _is_taken(descriptor: int, kind: int, path: Path) -> bool:
    """Take a lock if it is free, and tell whether it was."""
    try:
        return try_lock(descriptor, kind)
    except OSError as error:
        raise TargetError(
            f"the measurement lock '{path}' cannot be taken ({error.strerror}): set the target's "
            "lock_path, or XDG_RUNTIME_DIR, to a file system with locks"
        ) from error


def _acquire(descriptor: int, kind: int, path: Path, timeout_seconds: float) -> None:
    started, tell_after, told = time.monotonic(), _QUIET_SECONDS, False
    while not _is_taken(descriptor, kind, path):
        waited = time.monotonic() - started
        if waited > timeout_seconds:
            who = _named(holders(path)) or "a computation"
            raise TargetError(
                f"{who} has held '{path}' for {timeout_seconds:g} s, and {_reason(path)}: wait "
                "for it, stop it, or set the target's lock_timeout_seconds to more"
            )
        if waited > tell_after:
            told = _told(path)
            tell_after = math.inf if told else waited + _QUIET_SECONDS
        time.sleep(_POLL_SECONDS)
    if told:
        _log.warning("the wait is over")


def _told(path: Path) -> bool:
    """Say who is waited for, unless it is this very run; tell whether something was said."""
    holding = holders(path)
    others = [process for process in holding if process != run_of(os.getpid())]
    if holding and not others:
        return False
    who = _named(others) or "another process"
    _log.warning(
        "waiting for %s, which holds '%s': while one run measures, others stand still", who, path
    )
    return True


def _named(processes: Sequence[int]) -> str:
    return " and ".join(map(described, processes))
