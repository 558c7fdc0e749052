"""One writer, however the last one ended."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from niwaki.core.errors import RunFolderError
from niwaki.study.record.run_lock import RunLock, is_locked

HOLDER = """
import os, sys, time
from pathlib import Path
from niwaki.study.record.run_lock import RunLock
lock = RunLock(Path(sys.argv[1])).acquire()
child = os.fork() if len(sys.argv) > 2 else -1
if child == 0:
    time.sleep(float(sys.argv[2]))
    os._exit(0)
if len(sys.argv) > 3:
    lock.release()
print("held", flush=True)
time.sleep(600)
"""


def start_holder(path: Path, *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", HOLDER, str(path), *arguments]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def kill(holder: "subprocess.Popen[str]") -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert holder.stdout is not None
    holder.stdout.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def test_a_second_process_is_told_who_holds_the_lock(path: Path) -> None:
    holder = start_holder(path)
    try:
        with pytest.raises(
            RunFolderError, match=rf"in use by process {holder.pid} since 2\d{{3}}-"
        ):
            RunLock(path).acquire()
        assert is_locked(path)
    finally:
        kill(holder)


def test_a_killed_holder_leaves_the_lock_free(path: Path) -> None:
    kill(start_holder(path))
    assert not is_locked(path)
    with RunLock(path).acquire():
        assert is_locked(path)


def test_a_child_that_outlives_a_killed_holder_is_waited_for(path: Path) -> None:
    kill(start_holder(path, "1.0"))
    with RunLock(path).acquire(patience_s=60.0):
        assert is_locked(path)


def test_patience_with_a_dead_holders_child_ends(path: Path) -> None:
    kill(start_holder(path, "20"))
    with pytest.raises(RunFolderError, match="died and left a child running"):
        RunLock(path).acquire(patience_s=0.1)


def test_a_released_lock_is_not_left_to_children(path: Path) -> None:
    holder = start_holder(path, "600", "released")
    try:
        assert not is_locked(path)
        RunLock(path).acquire(patience_s=0.0).release()
    finally:
        os.killpg(holder.pid, signal.SIGKILL)
        kill(holder)


def test_two_locks_in_one_process_exclude_each_other(path: Path) -> None:
    with RunLock(path).acquire(), pytest.raises(RunFolderError, match="in use"):
        RunLock(path).acquire()


def test_a_released_lock_names_nobody_and_can_be_taken(path: Path) -> None:
    lock = RunLock(path).acquire()
    lock.release()
    lock.release()
    assert path.read_text() == ""
    assert not is_locked(path)
    RunLock(path).acquire().release()


def test_looking_at_a_lock_does_not_create_it(path: Path) -> None:
    assert not is_locked(path)
    assert not path.exists()


def test_a_folder_that_cannot_be_written_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="cannot be written"):
        RunLock(tmp_path / "missing" / "lock").acquire()


def test_a_lock_that_cannot_be_looked_at_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"cannot be opened: File name too long"):
        is_locked(tmp_path / ("n" * 300))


def test_a_file_system_without_locks_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, kind: int) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    (tmp_path / "lock").touch()
    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(RunFolderError, match="cannot be locked: Function not implemented; copy"):
        is_locked(tmp_path / "lock")
