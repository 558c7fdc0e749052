"""Real crashes of the driver: no worker outlives it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import indent

import pytest

from tests.study.executors.test_local_processes import gone, until

ROOT = Path(__file__).parents[3]


@contextmanager
def driver(mode: str, *arguments: str) -> "Iterator[tuple[subprocess.Popen[str], list[int]]]":
    """Start a driver in its own process group; yield it and its workers' process numbers."""
    command = [sys.executable, "-m", "tests.study.executors.driver", mode, *arguments]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        pids = [int(word) for word in process.stdout.readline().split()]
        assert len(set(pids)) == 2
        try:
            yield process, pids
        finally:
            process.kill()


@pytest.mark.parametrize("mode", ["hang", "idle"])
def test_workers_end_when_the_driver_is_killed(mode: str) -> None:
    with driver(mode) as (process, pids):
        assert not any(gone(pid) for pid in pids)
        process.send_signal(signal.SIGKILL)
        process.wait()
        until(lambda: all(gone(pid) for pid in pids))


def test_children_of_workers_end_when_the_driver_is_killed(tmp_path: Path) -> None:
    marker = tmp_path / "child"
    with driver("child", str(marker)) as (process, _):
        until(lambda: marker.exists() and marker.read_text() != "")
        process.send_signal(signal.SIGKILL)
        process.wait()
        until(lambda: gone(int(marker.read_text())))


def test_a_driver_that_forgets_to_close_ends_all_the_same() -> None:
    with driver("forget") as (process, pids):
        output, errors = process.communicate(timeout=60)
        assert (output, errors, process.returncode) == ("the end\n", "", 0)
        assert all(gone(pid) for pid in pids)


def test_control_c_reaches_the_driver_alone() -> None:
    with driver("interrupt") as (process, pids):
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        output, errors = process.communicate(timeout=60)
    assert output.splitlines()[0] == "interrupted"
    assert output.splitlines()[1].startswith("complete")
    assert any(str(pid) in output.splitlines()[1] for pid in pids)
    assert errors == ""


IMPORTS = """from niwaki.study.executors import Job, LocalProcessExecutor
from niwaki.testing.scripted_evaluator import ScriptedEvaluator, script
"""
OWN_CLASS = "class Own(ScriptedEvaluator):\n    pass\n"
GUARD = "if __name__ == '__main__':\n"


def evaluating(evaluator: str) -> str:
    """Return the lines of a script that evaluate once, in a worker process."""
    return f"""print("once")
with LocalProcessExecutor({evaluator}()) as pool:
    pool.submit(Job(0, script("return")))
    print(pool.wait()[0].measurement.status)
"""


def run_script(folder: Path, text: str) -> "subprocess.CompletedProcess[str]":
    file = folder / "search.py"
    file.write_text(text)
    return subprocess.run(
        [sys.executable, str(file)], capture_output=True, text=True, timeout=120, check=False
    )


def test_a_script_that_defines_nothing_needs_no_main_guard(tmp_path: Path) -> None:
    done = run_script(tmp_path, IMPORTS + evaluating("ScriptedEvaluator"))
    assert (done.stdout.split(), done.returncode) == (["once", "complete"], 0), done.stderr


def test_a_script_that_defines_its_evaluator_runs_below_a_main_guard(tmp_path: Path) -> None:
    guarded = GUARD + indent(evaluating("Own"), "    ")
    done = run_script(tmp_path, IMPORTS + OWN_CLASS + guarded)
    assert done.stdout.split() == ["once", "complete"], done.stderr


def test_a_script_without_the_main_guard_that_it_needs_ends_with_the_remedy(tmp_path: Path) -> None:
    done = run_script(tmp_path, IMPORTS + OWN_CLASS + evaluating("Own"))
    assert done.returncode == 1
    assert "if __name__ == '__main__'" in done.stderr.splitlines()[-1]


def test_what_a_guarded_script_sets_at_its_top_holds_in_workers(tmp_path: Path) -> None:
    """Though nothing that workers need is defined in it."""
    top = "import os\nos.environ['SET_BY_MAIN'] = os.environ.get('SET_BY_MAIN', '') + '1'\n"
    asks = script_that_asks("SET_BY_MAIN")
    done = run_script(tmp_path, top + IMPORTS + GUARD + indent(asks, "    "))
    assert done.stdout.split() == ["11.0"], done.stderr  # once in each process
    done = run_script(tmp_path, top + IMPORTS + asks)
    assert done.stdout.split() == ["1.0"], done.stderr


def script_that_asks(variable: str) -> str:
    """Return the lines of a script that print a variable as a worker sees it."""
    return f"""with LocalProcessExecutor(ScriptedEvaluator()) as pool:
    pool.submit(Job(0, script("environment", variable="{variable}")))
    print(pool.wait()[0].measurement.values["environment"])
"""
