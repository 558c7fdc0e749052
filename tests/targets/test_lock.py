"""One measurement at a time, and nothing stale after a kill."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from niwaki.core.errors import TargetError
from niwaki.targets import lock, lock_holders
from niwaki.targets.lock import computing, default_lock_path, measurement_lock
from niwaki.targets.lock_holders import holders, run_of

_HOLD = (
    "import sys, time; from pathlib import Path\n"
    "from niwaki.targets import lock\n"
    "with getattr(lock, sys.argv[2])(Path(sys.argv[1])):\n"
    "    print('held', flush=True); time.sleep(60)\n"
)

# The child lives as long as it is not told to end, as a loader's persistent workers do.
_FORK = (
    "import os, sys; from pathlib import Path\n"
    "from niwaki.targets import lock\n"
    "with getattr(lock, sys.argv[2])(Path(sys.argv[1])):\n"
    "    child = os.fork()\n"
    "    if not child: sys.stdin.read(); os._exit(0)\n"
    "print('let go', flush=True)\n"
    "os.waitpid(child, 0)\n"
)

Wait = Callable[[Path], AbstractContextManager[None]]


def _hold(path: Path) -> None:
    with measurement_lock(path):
        time.sleep(60)


def waiting(path: Path) -> AbstractContextManager[None]:
    return measurement_lock(path, timeout_seconds=0.3)


@contextmanager
def holder(path: Path, how: str = "measurement_lock") -> "Iterator[subprocess.Popen[str]]":
    """Let another process hold the lock, and kill it in the end, if it lives."""
    command = [sys.executable, "-c", _HOLD, str(path), how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_who_waits_in_vain_learns_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "measure.lock"
    with (
        holder(path) as process,
        pytest.raises(TargetError, match=f"process {process.pid}"),
        measurement_lock(path, timeout_seconds=0.05),
    ):
        pass


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell of every wait that is not over at once."""
    monkeypatch.setattr(lock, "_QUIET_SECONDS", 0.05)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("wait", [measurement_lock, computing])
def test_who_waits_for_another_run_is_told_once(
    wait: Wait, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "measure.lock"
    with holder(path) as process:
        threading.Timer(0.3, process.kill).start()
        with wait(path):
            process.wait()
    told, over = caplog.messages
    assert told.startswith(f"waiting for process {process.pid} (-c ")
    assert f"which holds '{path}'" in told
    assert over == "the wait is over"


@pytest.mark.usefixtures("at_once")
def test_who_waits_for_itself_first_is_told_of_another_run_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "measure.lock"
    found = [(os.getpid(),), (os.getpid(),)]
    monkeypatch.setattr(lock, "holders", lambda of: found.pop() if found else holders(of))
    with (
        holder(path) as process,
        pytest.raises(TargetError),
        measurement_lock(path, timeout_seconds=1.0),
    ):
        pass
    [told] = caplog.messages
    assert told.startswith(f"waiting for process {process.pid} ")


@pytest.mark.usefixtures("at_once")
def test_a_holder_that_was_stopped_is_said_to_be(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "measure.lock"
    with holder(path) as process:
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(TargetError, match=f"`kill -CONT {process.pid}`"), waiting(path):
            pass
    assert "it is stopped" in caplog.text


@pytest.mark.usefixtures("at_once")
def test_who_waits_for_those_who_compute_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "measure.lock"
    with (
        holder(path, "computing") as process,
        pytest.raises(TargetError, match=f"process {process.pid} .* has held .* computes: wait"),
        waiting(path),
    ):
        pass
    assert f"waiting for process {process.pid} " in caplog.text


@pytest.mark.usefixtures("at_once")
def test_a_run_that_waits_for_itself_says_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "measure.lock"
    with computing(path), pytest.raises(TargetError, match="held"), waiting(path):
        pass
    context = multiprocessing.get_context("spawn")
    worker = context.Process(target=_hold, args=(path,))
    worker.start()
    try:
        deadline = time.monotonic() + 30.0
        while not path.exists() or not path.read_text():
            assert worker.is_alive() and time.monotonic() < deadline
            time.sleep(0.01)
        with pytest.raises(TargetError, match=f"process {os.getpid()} "), waiting(path):
            pass
    finally:
        worker.kill()
        worker.join()
    assert not caplog.messages


def test_a_script_is_no_worker_whatever_it_is_called(tmp_path: Path) -> None:
    script = tmp_path / "my_multiprocessing_search.py"
    script.write_text("input()")
    process = subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE)
    try:
        assert run_of(process.pid) == process.pid
    finally:
        process.kill()
        process.communicate()


def test_where_the_system_lists_no_locks_the_file_names_the_holder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_holders, "_LOCKS", tmp_path / "none")
    path = tmp_path / "measure.lock"
    with measurement_lock(path):
        assert holders(path) == (os.getpid(),)
    assert holders(path) == ()
    with holder(path) as process:
        process.kill()  # it could not take its number back
    assert path.read_text() == str(process.pid)
    assert holders(path) == ()


def test_a_killed_holder_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "measure.lock"
    with holder(path) as process:
        process.send_signal(signal.SIGKILL)
    with measurement_lock(path, timeout_seconds=5.0):
        assert path.exists()


def test_threads_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    path, inside, most = tmp_path / "measure.lock", [0], [0]

    def measure() -> None:
        for _ in range(20):
            with measurement_lock(path):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                inside[0] -= 1

    threads = [threading.Thread(target=measure) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


@pytest.mark.parametrize("hold", ["measurement_lock", "computing"])
def test_a_child_that_was_forked_inside_keeps_nothing(hold: str, tmp_path: Path) -> None:
    path = tmp_path / "measure.lock"
    command = [sys.executable, "-c", _FORK, str(path), hold]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "let go\n"
    with waiting(path):
        process.communicate("end")


def test_an_error_inside_frees_the_machine(tmp_path: Path) -> None:
    path = tmp_path / "measure.lock"
    with pytest.raises(ZeroDivisionError), measurement_lock(path):
        _ = 1 // 0
    with measurement_lock(path, timeout_seconds=0.0):
        pass


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("keep")
    (tmp_path / "measure.lock").symlink_to(target)
    with (
        pytest.raises(TargetError, match="cannot be opened"),
        measurement_lock(tmp_path / "measure.lock"),
    ):
        pass
    assert target.read_text() == "keep"


def test_the_runtime_folder_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert default_lock_path().is_relative_to(tmp_path)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "missing"))
    assert not default_lock_path().is_relative_to(tmp_path)


def test_a_measurement_waits_for_those_who_compute(tmp_path: Path) -> None:
    path = tmp_path / "measure.lock"
    with (
        computing(path),
        pytest.raises(TargetError, match="held"),
        measurement_lock(path, timeout_seconds=0.05),
    ):
        pass
    with measurement_lock(path, timeout_seconds=0.05):
        pass


def test_who_computes_waits_for_a_measurement(tmp_path: Path) -> None:
    path = tmp_path / "measure.lock"
    with (
        measurement_lock(path),
        pytest.raises(TargetError, match="held"),
        computing(path, timeout_seconds=0.05),
    ):
        pass


def test_any_number_may_compute_at_once(tmp_path: Path) -> None:
    path = tmp_path / "measure.lock"
    with computing(path), computing(path, timeout_seconds=0.05):
        pass


def test_a_file_system_without_locks_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, kind: int) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr("fcntl.flock", refuse)
    with (
        pytest.raises(TargetError, match=r"cannot be taken \(Function not.*lock_path"),
        measurement_lock(tmp_path / "lock"),
    ):
        pass
