"""Ray on its own, started by the search: Ctrl-C, and a killed driver that leaves nothing."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray")

from tests.study.executors.ray_local import until
from tests.study.executors.test_local_processes import gone

ROOT = Path(__file__).parents[3]


EVERY_SECOND = {"TUNE_GLOBAL_CHECKPOINT_S": "1", "RAY_USAGE_STATS_ENABLED": "0"}


def result_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("run/*/result.json"))


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started, and those that they have."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    direct = [int(word) for task in tasks for word in task.read_text().split()]
    return direct + [inner for child in direct for inner in children_of(child)]


def is_agent(pid: int) -> bool:
    """Whether a process is one of Ray's agents, which wait for requests and do no work."""
    return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").endswith("Agent")


@pytest.mark.slow
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


@pytest.mark.slow
def test_tune_goes_on_with_our_search_after_a_kill(tmp_path: Path) -> None:
    told = tmp_path / "told"
    command = [sys.executable, "-m", "tests.study.executors.ray_driver", "tune", "local"]
    command.append(str(tmp_path))
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, **EVERY_SECOND}) as first:
        until(lambda: told.exists() and len(told.read_text().splitlines()) >= 8)
        first.send_signal(signal.SIGKILL)
    subprocess.run(command, cwd=ROOT, check=True, env={**os.environ, **EVERY_SECOND})
    results = [json.loads(file.read_text().splitlines()[-1]) for file in result_files(tmp_path)]
    configurations = [tuple(sorted(result["config"].items())) for result in results]
    assert len(configurations) == len(set(configurations)) == 16
    keys = {json.loads(line)["key"] for line in told.read_text().splitlines()}
    assert len(keys) == 16
