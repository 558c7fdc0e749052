"""One measurement at a time, and nothing stale after a kill."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from niwaki.core.errors import TargetError
from niwaki.targets.lock import computing, default_lock_path, measurement_lock

_HOLD = (
    "import sys, time; from pathlib import Path\n"
    "from niwaki.targets.lock import measurement_lock\n"
    "with measurement_lock(Path(sys.argv[1])):\n"
    "    print('held', flush=True); time.sleep(60)\n"
)


def holder(path: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    process.stdout.close()
    return process


def test_who_waits_in_vain_learns_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "measure.lock"
    process = holder(path)
    try:
        with (
            pytest.raises(TargetError, match=f"process {process.pid}"),
            measurement_lock(path, timeout_seconds=0.05),
        ):
            pass
    finally:
        process.kill()
        process.wait()


def test_a_killed_holder_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "measure.lock"
    process = holder(path)
    process.send_signal(signal.SIGKILL)
    process.wait()
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
