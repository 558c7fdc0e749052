"""A target in another process, reached as another machine is."""

import logging
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from execnet import XSpec
from execnet.gateway_base import Popen2IO

from niwaki.core.errors import ConfigError, DataError, TargetError, TargetLostError
from niwaki.targets import cpu_capabilities as table
from niwaki.targets.latency import Latency
from niwaki.targets.machine import Processor
from niwaki.targets.onnxruntime_cpu import OnnxRuntimeCpu
from niwaki.targets.remote import connection, session, target
from niwaki.targets.remote.connection import Connection, connection_to
from niwaki.targets.remote.target import RemoteOnnxRuntime
from niwaki.targets.remote.way import completed
from niwaki.targets.remote.wire import settings_text, target_of
from tests.targets.budgets import SMALL
from tests.targets.networks import conv_net, image

# Everything that the machine of a target is asked to have, and what these need themselves.
INSTALLED = (
    *("numpy", "numpy.libs", "scipy", "scipy.libs", "onnx", "onnxruntime"),
    *("google", "ml_dtypes", "typing_extensions.py", "packaging", "flatbuffers"),
)
MODEL = conv_net(8, 16, 1)


def remote(way: str = f"popen//python={sys.executable}", **settings: Any) -> RemoteOnnxRuntime:
    return RemoteOnnxRuntime(connection=way, quick=SMALL, thorough=SMALL, **settings)


@pytest.fixture
def board(tmp_path: Path) -> RemoteOnnxRuntime:
    """A target of its own: the address differs, so that no other test uses its process."""
    way = f"popen//python=env BOARD={tmp_path} {sys.executable}"
    return remote(way, patience_seconds=0.1)


def process_of(board: RemoteOnnxRuntime) -> int:
    there = connection_to(board.connection)._session
    assert there is not None
    return int(there.pipes.popen.pid)


def test_its_id_is_the_one_that_the_machine_gives_itself() -> None:
    assert remote().target_id == OnnxRuntimeCpu().target_id
    assert remote(threads=2).target_id == OnnxRuntimeCpu(threads=2).target_id


def test_answers_and_graphs_are_those_of_the_machine() -> None:
    feeds = image(16, n_items=1)
    here, there = OnnxRuntimeCpu(), remote()
    np.testing.assert_array_equal(there.run(MODEL, feeds)["y"], here.run(MODEL, feeds)["y"])
    kinds = [[n.op_type for n in t.optimised(MODEL).graph.node] for t in (here, there)]
    assert kinds[0] == kinds[1]


def test_nothing_but_the_runtime_is_needed_there(tmp_path: Path) -> None:
    for name in INSTALLED:
        found = [Path(folder) / name for folder in sys.path if (Path(folder) / name).exists()]
        for each in found[:1]:
            (tmp_path / name).symlink_to(each)
    bare = remote(f"popen//python=env -i PYTHONPATH={tmp_path} {sys.executable} -BS")
    assert bare.measure([MODEL], [image(16)])[0].target_id == OnnxRuntimeCpu().target_id
    assert not [path for path in tmp_path.iterdir() if path.name not in (*INSTALLED, "runtime")]


def test_what_is_not_installed_there_is_named(tmp_path: Path) -> None:
    bare = remote(f"popen//python=env -i PYTHONPATH={tmp_path} {sys.executable} -BS")
    with pytest.raises(TargetLostError, match=r"No module named .*pip install numpy scipy onnx"):
        _ = bare.target_id


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ("popen//python=no-such-command-at-all", "there is no command no-such-command-at-all"),
        ("popen//python=sh -c 'echo hello; cat > /dev/null'", "what answers is not Python"),
        ("popen//python=false", "the process there ended"),
    ],
)
def test_a_machine_that_cannot_be_reached_is_named(
    way: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "FIRST_TRIES", 1)
    with pytest.raises(TargetLostError, match=rf"{said}\): check that `.*--version` works"):
        _ = remote(way).target_id


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ("pi@raspi4", "does not say how to reach"),
        ("ssh=a//popen", "does not say how to reach"),
        ("ssh=a//pyton=python3", "has 'pyton', which is none of"),
        ("ssh=a//python=b//python=c", "has 'python' twice"),
        ("", "does not say how to reach"),
        ("ssh=", "says nothing behind 'ssh'"),
        ("ssh", "says nothing behind 'ssh'"),
        ("popen//python='a", "cannot be read"),
    ],
)
def test_an_address_that_cannot_be_read_is_refused_before_anything_is_done(
    way: str, said: str
) -> None:
    with pytest.raises(TargetError, match=f"{said}.*write ssh=user@host"):
        remote(way)


def test_patience_is_positive() -> None:
    with pytest.raises(ConfigError, match="patience_seconds"):
        remote(patience_seconds=0.0)


def test_ssh_is_never_left_waiting_for_an_answer_unless_that_is_asked_for() -> None:
    found = completed("ssh=pi@raspi4 -p 2222 -o batchmode=no")
    words = str(found.ssh).split()
    assert words[-5:] == ["pi@raspi4", "-p", "2222", "-o", "batchmode=no"]
    assert "ServerAliveInterval=15" in words
    assert "BatchMode=yes" not in words
    assert found.python == "python3"
    assert "BatchMode=yes" in str(completed("ssh=pi@raspi4").ssh).split()


def test_a_process_that_was_lost_is_started_again(
    board: RemoteOnnxRuntime, caplog: pytest.LogCaptureFixture
) -> None:
    run = board.open(MODEL)
    before = run(image(16))["y"]
    first = process_of(board)
    os.kill(first, signal.SIGKILL)
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(run(image(16))["y"], before)  # the model is sent again
    assert process_of(board) != first
    assert "its process ended; again" in caplog.text


def test_a_model_that_ends_the_process_twice_is_to_blame(
    board: RemoteOnnxRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def deadly(self: Connection, there: Any, question: Any, *rest: Any) -> Any:
        if question[0] == "open":
            asked.append(question[0])
            os.kill(there.pipes.popen.pid, signal.SIGKILL)
        return exchange(self, there, question, *rest)

    exchange: Callable[..., Any] = Connection._exchange
    _ = board.target_id
    monkeypatch.setattr(Connection, "_exchange", deadly)
    with pytest.raises(TargetError, match="was asked to open this, its process ended") as refused:
        board.open(MODEL)
    assert not isinstance(refused.value, TargetLostError)
    assert asked == ["open", "open"]


def test_a_link_that_is_lost_says_less_of_a_model_than_a_process_that_ends(
    board: RemoteOnnxRuntime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def flapping(self: Connection, there: Any, question: Any, *rest: Any) -> Any:
        if question[0] == "open" and len(caplog.records) < 3:
            os.kill(there.pipes.popen.pid, signal.SIGKILL)
        return exchange(self, there, question, *rest)

    exchange: Callable[..., Any] = Connection._exchange
    _ = board.target_id
    monkeypatch.setattr(Connection, "_exchange", flapping)
    monkeypatch.setattr(session, "ENDED_BY_SSH", -signal.SIGKILL)
    with caplog.at_level(logging.WARNING):
        board.open(MODEL)
    assert caplog.text.count("the link or its process was lost; again") == 3


def test_a_machine_that_does_not_come_back_is_lost(
    board: RemoteOnnxRuntime,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(connection, "BETWEEN_TRIES_S", 0.05)
    _ = board.target_id
    os.kill(process_of(board), signal.SIGKILL)
    monkeypatch.setattr(
        connection, "completed", lambda _: XSpec("popen//python=false//id=a//execmodel=thread")
    )
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(TargetLostError, match="cannot be reached"),
    ):
        board.run(MODEL, image(16))
    assert "Waiting for it, for up to 0.1 s" in caplog.text


def test_an_answer_that_nobody_waits_for_any_more_is_passed_over(
    board: RemoteOnnxRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_to: Callable[..., Any] = Connection._answer_to

    def interrupted(*_: object) -> Any:
        monkeypatch.setattr(Connection, "_answer_to", answer_to)
        raise KeyboardInterrupt

    expected = OnnxRuntimeCpu().run(MODEL, image(16, seed=2))["y"]
    run = board.open(MODEL)
    monkeypatch.setattr(Connection, "_answer_to", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(image(16, seed=1))
    np.testing.assert_array_equal(run(image(16, seed=2))["y"], expected)


def told(*came: object) -> Any:
    """A session of which one side is written down beforehand."""
    left = iter(came)
    return SimpleNamespace(channel=SimpleNamespace(receive=lambda: next(left)))


def test_what_is_said_there_is_told_here(caplog: pytest.LogCaptureFixture) -> None:
    there = told((6, "done", None), (7, "said", "waiting for somebody"), (7, "done", 0.25))
    with caplog.at_level(logging.WARNING):
        found = Connection("ssh=board")._answer_to(7, there)
    assert found == ("done", 0.25)
    assert "on 'ssh=board': waiting for somebody" in caplog.text


@pytest.mark.parametrize("nonsense", [None, "done", (7, "done"), ("7", "done", 0.25), {}])
def test_what_is_no_answer_ends_the_session(nonsense: object) -> None:
    with pytest.raises(EOFError, match="no answer"):
        Connection("ssh=board")._answer_to(7, told(nonsense))


def test_errors_are_raised_as_ours_alone() -> None:
    refused = connection._error("refused", ("DataError", "text"))
    assert type(refused) is DataError
    for name in ("__loader__", "SystemExit", "ClassVar", "NoSuchError"):
        assert type(connection._error("refused", (name, "text"))) is TargetError
    with pytest.raises(EOFError, match="no answer"):
        connection._error("refused", "text alone")


def test_what_hangs_is_given_up(board: RemoteOnnxRuntime) -> None:
    _ = board.target_id
    stopped = process_of(board)
    os.kill(stopped, signal.SIGSTOP)
    found = replace(board, silence_seconds=5.0).run(MODEL, image(16))
    assert found["y"].shape == (1, 8, 1, 1)
    assert process_of(board) != stopped


def runs(process: int) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        text = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


def script(path: Path, *lines: str) -> str:
    """Return a way through a script that runs Python in the end."""
    path.write_text("\n".join(["#!/bin/sh", *lines]))
    path.chmod(0o755)
    return f"popen//python={path}"


def test_what_hangs_behind_another_command_is_given_up_and_ended(tmp_path: Path) -> None:
    way = script(tmp_path / "wrapper", f'{sys.executable} "$@"', "true")
    board = remote(way, silence_seconds=5.0)
    _ = board.target_id
    wrapper = process_of(board)
    children = Path(f"/proc/{wrapper}/task/{wrapper}/children").read_text()
    os.kill(int(children), signal.SIGSTOP)
    assert board.run(MODEL, image(16))["y"].shape == (1, 8, 1, 1)
    assert process_of(board) != wrapper
    assert not runs(int(children))


def test_an_interruption_leaves_no_half_of_a_message(
    board: RemoteOnnxRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(Popen2IO):
        def write(self, data: bytes) -> None:
            monkeypatch.undo()
            self._write(data[: len(data) // 2])
            self.outfile.flush()
            raise KeyboardInterrupt

    run = board.open(MODEL)
    monkeypatch.setattr(session.Pipes, "write", Interrupted.write)
    with pytest.raises(KeyboardInterrupt):
        run(image(16))
    assert connection_to(board.connection)._session is None
    assert run(image(16))["y"].shape == (1, 8, 1, 1)


OTHER = "onnxruntime-cpu-t1-00000000"


def test_a_machine_that_has_become_another_is_noticed(
    board: RemoteOnnxRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    [latency] = board.measure([MODEL], [image(16)])
    monkeypatch.setattr(target, "Latency", Reading(replace(latency, target_id=OTHER)))
    with pytest.raises(TargetLostError, match=r"was '.*' before, and is '.*-00000000' now"):
        board.measure([MODEL], [image(16)])


def test_a_machine_that_comes_back_as_another_answers_nothing(board: RemoteOnnxRuntime) -> None:
    _ = board.target_id
    identities = connection_to(board.connection)._identities
    for settings, known in identities.items():
        identities[settings] = replace(known, target_id=OTHER)
    os.kill(process_of(board), signal.SIGKILL)
    with pytest.raises(TargetLostError, match=rf"was '{OTHER}' before, and is '.*' now"):
        board.run(MODEL, image(16))


def test_a_worker_finds_the_machine_that_its_search_began_with(board: RemoteOnnxRuntime) -> None:
    calibrated = board.calibrated(0.5)
    assert calibrated.reached_as == OnnxRuntimeCpu().target_id
    with pytest.raises(TargetLostError, match=rf"was '{OTHER}' before"):
        _ = replace(calibrated, reached_as=OTHER).capabilities


def test_a_worker_waits_for_a_machine_that_its_search_has_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connection, "BETWEEN_TRIES_S", 0.05)
    monkeypatch.setattr(connection, "FIRST_TRIES", 1)
    up = tmp_path / "up"
    way = script(tmp_path / "board", f"test -e {up} || exit 1", f'exec {sys.executable} "$@"')
    with pytest.raises(TargetLostError, match="cannot be reached"):
        _ = remote(way).target_id
    later = threading.Timer(0.5, up.touch)
    later.start()
    with caplog.at_level(logging.WARNING):
        found = remote(way, reached_as=OnnxRuntimeCpu().target_id, patience_seconds=30.0)
        assert found.target_id == OnnxRuntimeCpu().target_id
    assert "is back" in caplog.text


class Reading:
    """Reads one latency, whatever is written."""

    def __init__(self, latency: Latency) -> None:
        self.latency = latency

    def from_json(self, _: object) -> Latency:
        return self.latency


def test_scores_may_come_from_here(board: RemoteOnnxRuntime) -> None:
    nearby = replace(board, scores_here=True)
    expected = OnnxRuntimeCpu().run(MODEL, image(16))["y"]
    np.testing.assert_array_equal(nearby.run(MODEL, image(16))["y"], expected)
    assert connection_to(board.connection)._session is None  # nothing was asked there


def test_weights_keep_to_seven_bits_if_either_side_saturates(
    board: RemoteOnnxRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = Processor("old", "x86_64", ("avx2",))
    assert table.cpu_capabilities(old).reduce_range
    monkeypatch.setattr(target, "processor", lambda: old)
    assert board.capabilities.reduce_range


def test_capabilities_come_back_as_they_were() -> None:
    found = OnnxRuntimeCpu().capabilities
    assert type(found).from_json(found.to_json()) == found


def test_data_beside_a_file_travel_with_it(tmp_path: Path, board: RemoteOnnxRuntime) -> None:
    path = tmp_path / "model.onnx"
    onnx.save_model(
        onnx.load_from_string(MODEL),
        str(path),
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    assert (tmp_path / "weights.bin").exists()
    expected = OnnxRuntimeCpu().run(MODEL, image(16))["y"]
    np.testing.assert_array_equal(board.run(path, image(16))["y"], expected)
    with pytest.raises(TargetError, match=r"no model file '.*gone\.onnx'"):
        board.run(tmp_path / "gone.onnx", image(16))


def test_a_damaged_file_is_refused_as_it_is_here(tmp_path: Path, board: RemoteOnnxRuntime) -> None:
    (tmp_path / "m.onnx").write_bytes(b"no model")
    with pytest.raises(TargetError, match=r"m\.onnx' cannot be sent to another machine"):
        board.open(tmp_path / "m.onnx")


def test_text_as_input_does_not_travel(board: RemoteOnnxRuntime) -> None:
    with pytest.raises(TargetError, match="'x' holds object, which does not travel"):
        board.run(MODEL, {"x": np.array(["a"], dtype=object)})


def test_settings_travel_whole() -> None:
    given = OnnxRuntimeCpu(
        threads=3,
        spinning=True,
        disabled_optimizers=("A", "B"),
        nominal_reference_ms=0.25,
        quick=SMALL,
        lock_path=Path("elsewhere/lock"),
        lock_timeout_seconds=5.0,
    )
    assert target_of(settings_text(given)) == given


def test_a_copy_is_equal_and_a_connection_is_kept(board: RemoteOnnxRuntime) -> None:
    _ = board.target_id
    copy = pickle.loads(pickle.dumps(board))
    assert copy == board
    process = process_of(board)
    assert copy.run(MODEL, image(16))["y"].shape == (1, 8, 1, 1)
    assert process_of(copy) == process


def test_a_thread_that_waits_for_an_answer_keeps_no_process_from_its_end(
    board: RemoteOnnxRuntime,
) -> None:
    _ = board.target_id
    there = connection_to(board.connection)
    process = process_of(board)
    os.kill(process, signal.SIGSTOP)
    waiting = threading.Thread(target=lambda: board.describe(), daemon=True)
    waiting.start()
    while not there._lock.locked():
        time.sleep(0.01)
    there._close_in(os.getpid())
    assert not runs(process)
    waiting.join(60.0)  # it asks again, of another process
    assert not waiting.is_alive()
