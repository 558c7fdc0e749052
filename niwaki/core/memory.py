"""How much memory a process may take."""

import math
import os
from pathlib import Path

CONTROL_GROUPS = Path("/sys/fs/cgroup")


def usable_memory(root: Path = CONTROL_GROUPS) -> float:
    """Return the bytes that this process may use: the machine's, or a container's limit.

    Args:
        root: Where control groups are mounted.

    Returns:
        Infinity if nobody knows.
    """
    return min(_physical(), _limit(root / "memory.max"), _limit(root / _VERSION_1))


_VERSION_1 = "memory/memory.limit_in_bytes"


def _physical() -> float:
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):  # as on Windows
        return math.inf


def _limit(path: Path) -> float:
    try:
        text = path.read_text().strip()
    except OSError:
        return math.inf
    return float(text) if text.isdecimal() else math.inf
