"""What locks on files are made of."""

import fcntl
import os


def try_lock(descriptor: int, kind: int) -> bool:
    """Take the lock of an open file without waiting; tell whether it was free.

    Args:
        descriptor: Of the file.
        kind: `fcntl.LOCK_EX`, or `fcntl.LOCK_SH` to share it.
    """
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_alive(process: int) -> bool:
    """Return whether a process of this machine runs, whoever's it is."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    return True
