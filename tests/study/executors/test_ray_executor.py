"""The executor `ray` on a Ray of one machine: the laws, and what becomes of lost workers."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("ray")

import ray

from niwaki.core.errors import StudyError
from niwaki.core.measurement import Measurement, Status
from niwaki.evaluation.base import Evaluator
from niwaki.study.executors import Executor, Job
from niwaki.study.executors.ray_cluster import RayClusterSettings
from niwaki.study.executors.ray_executor import RayExecutor
from niwaki.study.watching.notices import forwarded
from niwaki.testing.executor_contract import PATIENCE_S, ExecutorContract, run_all
from niwaki.testing.scripted_evaluator import ScriptedEvaluator, script
from tests.study.executors.evaluators import (
    Deadly,
    Heavy,
    Interrupting,
    LoadedOnce,
    Talkative,
    TorchThreads,
    Unloadable,
    Waiting,
)
from tests.study.executors.ray_local import local_ray, until
from tests.study.executors.test_local_processes import gone, pid_of

ONE = RayClusterSettings(n_workers=1)


@pytest.fixture(scope="module", autouse=True)
def _ray() -> Iterator[None]:
    with local_ray(n_cpus=2):
        yield


def executor(settings: RayClusterSettings = ONE, evaluator: Evaluator | None = None) -> RayExecutor:
    return RayExecutor(evaluator or ScriptedEvaluator(), settings)


class TestRayExecutor(ExecutorContract):
    def make(self, evaluator: Evaluator) -> Executor:
        return executor(evaluator=evaluator)


def test_what_a_worker_raises_is_told_in_words_of_its_own() -> None:
    with executor(evaluator=Interrupting()) as pool:
        failed = run_all(pool, [script("return")])[0].measurement
    assert failed.status is Status.FAILED
    assert failed.reason.startswith("worker died, 2 times: TaskCancelledError: ")
    assert "Traceback" not in failed.reason and "\x1b" not in failed.reason


def test_a_candidate_that_kills_its_worker_every_time_fails() -> None:
    with executor() as pool:
        finished = run_all(pool, [script("die"), script("return")])
    failed = finished[0].measurement
    assert failed.status is Status.FAILED
    assert failed.reason == (
        "worker died, 2 times: its process ended, and Ray does not say how: killed, perhaps out "
        "of memory, crashed in native code, or by itself"
    )
    assert (failed.worker, failed.details["n_tries"]) == ("ray-0", 2)
    assert finished[1].measurement.complete


@pytest.mark.slow
def test_the_signal_and_the_log_are_named_where_native_code_crashes(tmp_path: Path) -> None:
    settings = RayClusterSettings(n_workers=1, n_retries=0)
    crash, killed = (script("die", signal=int(s)) for s in (signal.SIGABRT, signal.SIGKILL))
    with RayExecutor(ScriptedEvaluator(), settings, logs=tmp_path) as pool:
        finished = run_all(pool, [crash, killed])
    reasons = [finished[number].measurement.reason for number in (0, 1)]
    assert reasons[0].startswith("worker died: killed by signal 6 (SIGABRT); native code gave up")
    assert reasons[1].startswith("worker died: its process ended, and Ray does not say how")
    assert all(reason.endswith(f"; see {tmp_path.name}/ray-0.log") for reason in reasons)


@pytest.mark.slow
def test_a_candidate_whose_worker_died_once_is_measured(tmp_path: Path) -> None:
    with executor() as pool:
        candidate = script("die_once", marker=str(tmp_path / "marker"), value=5)
        measurement = run_all(pool, [candidate])[0].measurement
    assert measurement.values["value"] == 5
    assert measurement.details["n_tries"] == 2


def _heard(pool: RayExecutor, said: list[str]) -> bool:
    """Evaluate once more, and tell whether anything was said so far."""
    pool.submit(Job(pool.n_unfinished, script("return")))
    assert pool.wait()[0].measurement.complete
    return bool(said)


def test_what_workers_say_reaches_who_watches_once(tmp_path: Path) -> None:
    said: list[str] = []
    with forwarded(said.append), RayExecutor(Waiting(), ONE, logs=tmp_path) as pool:
        until(lambda: _heard(pool, said))
        assert _heard(pool, said)
    assert said == ["waiting for process 4711"]
    assert {path.read_text() for path in tmp_path.iterdir()} == {""}


def test_evaluations_go_on_without_the_mailbox(caplog: pytest.LogCaptureFixture) -> None:
    with RayExecutor(Waiting(), ONE) as pool:
        run_all(pool, [script("return")])
        ray.kill(pool._mailbox)
        until(lambda: _heard(pool, caplog.messages) and "what workers" in caplog.messages[-1])
        assert _heard(pool, caplog.messages)


def test_an_idle_worker_that_is_killed_costs_nothing() -> None:
    with executor(RayClusterSettings(n_workers=1, n_retries=0)) as pool:
        pid = pid_of(run_all(pool, [script("return")])[0].measurement)
        os.kill(pid, signal.SIGKILL)
        until(lambda: gone(pid))
        measurement = run_all(pool, [script("return")])[0].measurement
    assert measurement.complete
    assert "n_tries" not in measurement.details


def test_an_evaluation_that_hangs_is_stopped_with_its_children(tmp_path: Path) -> None:
    marker = tmp_path / "child"
    with executor(RayClusterSettings(n_workers=1, timeout_s=2.0)) as pool:
        finished = run_all(pool, [script("parent", marker=str(marker)), script("return")])
    measurement = finished[0].measurement
    assert measurement.reason == "stopped after 2 s, the longest evaluation allowed"
    assert measurement.seconds >= 2.0
    assert finished[1].measurement.complete
    until(lambda: gone(int(marker.read_text())))


def test_two_workers_finish_in_any_order_and_keep_their_evaluators() -> None:
    with executor(RayClusterSettings(n_workers=2)) as pool:
        pids = bring_up_both(pool)
        pool.submit(Job(10, script("sleep", seconds=2.0)))
        pool.submit(Job(11, script("return")))
        several = [one for _ in range(2) for one in pool.wait(PATIENCE_S)]
    assert [one.job.number for one in several] == [11, 10]
    assert {one.measurement.worker for one in several} == {"ray-0", "ray-1"}
    assert {pid_of(one.measurement) for one in several} == pids


def bring_up_both(pool: RayExecutor) -> set[int]:
    """Return the process numbers of two workers, once both have worked."""
    pids: set[int] = set()
    while len(pids) < 2:
        finished = run_all(pool, [script("sleep", seconds=0.2, value=i) for i in range(2)])
        pids |= {pid_of(one.measurement) for one in finished.values()}
    return pids


@pytest.mark.slow
def test_waiting_gives_up_when_the_time_is_up_and_closing_kills_what_runs() -> None:
    with executor() as pool:
        pid = pid_of(run_all(pool, [script("return")])[0].measurement)
        pool.submit(Job(1, script("hang")))
        assert pool.wait(0.3) == []
        assert (pool.n_free, pool.n_unfinished) == (0, 1)
    until(lambda: gone(pid))


@pytest.mark.slow
def test_threads_are_limited_from_birth() -> None:
    with executor(RayClusterSettings(n_workers=1, n_threads=3), TorchThreads()) as pool:
        run_all(pool, [script("return")])  # imports torch
        measurement = run_all(pool, [script("return")])[0].measurement
    assert measurement.values["n_threads"] == 3


def test_what_workers_print_goes_to_the_logs(tmp_path: Path) -> None:
    with RayExecutor(Talkative(), ONE, logs=tmp_path) as pool:
        run_all(pool, [script("return")])
    assert (tmp_path / "ray-0.log").read_text() == "from Python\nfrom below\n"


@pytest.mark.slow
def test_megabytes_travel_both_ways() -> None:
    with executor(evaluator=Heavy(load=b"x" * 3_000_000)) as pool:
        finished = run_all(pool, [script("return", value=i) for i in range(3)])
    assert {one.measurement.values["n_bytes"] for one in finished.values()} == {3_000_000.0}
    assert len(str(finished[0].measurement.details["load"])) == 3_000_000


@pytest.mark.slow
def test_an_evaluator_of_a_script_travels() -> None:
    @dataclass(frozen=True)
    class Local(ScriptedEvaluator):
        """Cannot be imported anywhere."""

    with executor(evaluator=Local()) as pool:
        assert run_all(pool, [script("return")])[0].measurement.complete


@dataclass(frozen=True)
class Locked(ScriptedEvaluator):
    """Holds something that cannot travel."""

    lock: object = threading.Lock()


def test_an_evaluator_that_cannot_travel_is_refused_with_a_remedy() -> None:
    with executor(evaluator=Locked()) as pool, pytest.raises(StudyError, match="on first use"):
        pool.submit(Job(0, script("return")))


@pytest.mark.parametrize(
    ("evaluator", "reason"),
    [
        (Unloadable(), "No module named 'somewhere_else'"),
        pytest.param(Deadly(), "its process ended", marks=pytest.mark.slow),
    ],
)
def test_workers_that_cannot_start_end_the_search(evaluator: Evaluator, reason: str) -> None:
    settings = RayClusterSettings(n_workers=1, n_start_failures=2)
    with executor(settings, evaluator) as pool:
        pool.submit(Job(0, script("return")))
        with pytest.raises(StudyError, match=rf"2 failed in a row.*{reason}"):
            pool.wait(PATIENCE_S)


def test_a_bad_node_is_given_up_while_the_others_are_still_loading(tmp_path: Path) -> None:
    settings = RayClusterSettings(n_workers=2, n_start_failures=1)
    with executor(settings, LoadedOnce(flag=tmp_path / "first")) as pool:
        with pytest.warns(RuntimeWarning, match="given up after 1 starts .* goes on with 1"):
            finished = run_all(pool, [script("return"), script("return")])
        assert all(each.measurement.complete for each in finished.values())


def test_a_resource_that_no_node_has_ends_the_search_and_is_named() -> None:
    settings = RayClusterSettings(n_workers=1, target_resource="raspi4", place_timeout_s=0.5)
    with executor(settings) as pool:
        pool.submit(Job(0, script("return")))
        with pytest.raises(StudyError, match=r"CPU 1, raspi4 1; the nodes have: CPU 2, raspi4 0"):
            pool.wait(PATIENCE_S)


def test_places_that_others_have_taken_end_the_search_if_nobody_leaves() -> None:
    with executor(RayClusterSettings(n_workers=1, num_cpus=2)) as first:
        run_all(first, [script("return")])
        settings = RayClusterSettings(n_workers=1, num_cpus=2, place_timeout_s=0.5)
        with executor(settings) as second:
            second.submit(Job(0, script("return")))
            with pytest.raises(StudyError, match=r"taken.*free: CPU 0"):
                second.wait(PATIENCE_S)


@pytest.mark.slow
def test_more_workers_than_places_take_turns() -> None:
    with executor(RayClusterSettings(n_workers=3, place_timeout_s=20.0)) as pool:
        candidates = [script("sleep", seconds=0.9, value=value) for value in range(6)]
        finished = run_all(pool, candidates)
    assert all(one.measurement.complete for one in finished.values())
    assert len({one.measurement.worker for one in finished.values()}) == 2


@dataclass(frozen=True)
class Wandering(ScriptedEvaluator):
    """Measures on another device each time."""

    def evaluate(self, candidate, *, fidelity: float, seed: int) -> Measurement:  # type: ignore[no-untyped-def]
        return Measurement(candidate.key, {"value": 1.0}, target_id=f"device {time.monotonic()}")


def test_latencies_of_two_devices_are_not_mixed() -> None:
    with executor(evaluator=Wandering()) as pool:
        run_all(pool, [script("return")])
        pool.submit(Job(1, script("return")))
        with pytest.raises(StudyError, match="target_resource"):
            pool.wait(PATIENCE_S)
