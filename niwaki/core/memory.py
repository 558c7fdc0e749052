"""How much memory a process may take."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

CONTROL_GROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")


def usable_memory(root: Path = CONTROL_GROUPS, own: Path = OWN_GROUPS) -> float:
    """Return the bytes that this process may use: the machine's, or a container's limit.

    Args:
        root: Where control groups are mounted.
        own: File that says which of them this process is in: each may have a limit, and so may
            those around it.

    Returns:
        Infinity if nobody knows.
    """
    return min([_physical(), *map(_limit, _files(root, own))])


def _files(root: Path, own: Path) -> Iterator[Path]:
    try:
        lines = own.read_text().splitlines()
    except OSError:
        lines = []
    groups = [line.split(":", 2)[1:] for line in lines if line.count(":") >= 2]
    second = [path for controllers, path in groups if not controllers]
    first = [path for controllers, path in groups if "memory" in controllers.split(",")]
    for base, name, paths in (
        (root, "memory.max", second),
        (root / "memory", "memory.limit_in_bytes", first),
    ):
        for path in ("", *paths):
            group = base / path.strip("/")
            around = (group, *group.parents)
            yield from (place / name for place in around if place.is_relative_to(base))


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
