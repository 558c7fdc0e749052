"""Who holds a lock file, for those who wait for it: as far as Linux tells, and the file itself."""

import os
import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from niwaki.core.excerpt import excerpt
from niwaki.core.locks import is_alive

_LOCKS = Path("/proc/locks")
_WORKER = "from multiprocessing"  # how the code begins that Python starts worker processes with
_SERVES = "import sys;exec(eval(sys.stdin.readline()))"


def holders(path: Path) -> tuple[int, ...]:
    """Return the processes that hold a lock on a file; those that no system names are left out.

    Where the system does not list its locks, the one that the file names.
    """
    found = _listed(path)
    if not found:
        with suppress(OSError, ValueError):
            named = int(path.read_text())
            found = [named] if is_alive(named) else []  # who was killed could not take it back
    return tuple(dict.fromkeys(map(run_of, found)))


def run_of(process: int) -> int:
    """Return the process that a worker process works for; itself if it is none."""
    seen = {process}
    while _is_worker(_command(process)):
        parent = _parent(process)
        if parent in (0, 1) or parent in seen:
            break
        process = parent
        seen.add(process)
    return process


def described(process: int) -> str:
    """Return a process for people: its number, its command, and what to do if it stands still."""
    words = _command(process)
    if words and Path(words[0]).name.startswith("python"):
        words = words[1:]
    if not words:
        return f"process {process}"
    if _SERVES in words:  # as execnet starts it
        return f"process {process} (which serves a search on another machine)"
    name = excerpt(" ".join(shlex.join([Path(words[0]).name, *words[1:]]).split()))
    stopped = f"; it is stopped, and `kill -CONT {process}` lets it go on"
    return f"process {process} ({name}{stopped if _state(process) == 'T' else ''})"


def _is_worker(command: Sequence[str]) -> bool:
    code = command[command.index("-c") + 1 :] if "-c" in command else []
    return bool(code) and code[0].startswith(_WORKER)


def _listed(path: Path) -> list[int]:
    """Return whom the system lists: `1: FLOCK  ADVISORY  WRITE 4711 fe:00:1234 0 EOF`."""
    found = []
    with suppress(OSError, ValueError):
        status = path.stat()
        device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"
        file = f"{device}:{status.st_ino}"
        for line in _LOCKS.read_text().splitlines():
            words = line.split()
            if words[1] == "FLOCK" and words[5] == file:
                found.append(int(words[4]))
    return found


def _command(process: int) -> list[str]:
    with suppress(OSError):
        text = Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace")
        return text.rstrip("\0").split("\0") if text else []
    return []


def _parent(process: int) -> int:
    stat = _stat(process)
    return int(stat[1]) if len(stat) > 1 else 0


def _state(process: int) -> str:
    return next(iter(_stat(process)), "")


def _stat(process: int) -> list[str]:
    """Return the fields after the name, which may hold anything: state, parent, and so on."""
    with suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return []
