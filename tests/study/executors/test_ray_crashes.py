"""Ray on its own, started by the search: Ctrl-C, and a killed driver that leaves nothing."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray")

from tests.study.executors.test_local_processes import gone, until

ROOT = Path(__file__).parents[3]


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started, and those that they have."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    direct = [int(word) for task in tasks for word in task.read_text().split()]
    return direct + [inner for child in direct for inner in children_of(child)]


def is_agent(pid: int) -> bool:
    """Whether a process is one of Ray's agents, which wait for requests and do no work."""
    return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").endswith("Agent")


def test_control_c_reaches_the_driver_alone_and_its_death_ends_ray(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.study.executors.ray_driver", "interrupt", "local"]
    with subprocess.Popen(
        [*command, str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert process.stdout.readline() == "waiting\n"
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        assert process.stdout.readline() == "interrupted\n"
        last = process.stdout.readline()
        assert last.startswith("complete") and f"'pid': {pid}" in last
        # Ray's agents of a node take a minute to notice that it is gone.
        started = [child for child in children_of(process.pid) if not is_agent(child)]
        assert pid in started
        process.send_signal(signal.SIGKILL)
        output, errors = process.communicate(timeout=60)
    assert (output, errors) == ("", "")
    until(lambda: all(gone(child) for child in started))
