"""Worker processes die, hang and refuse; the search goes on, or says why not."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from niwaki.core.errors import ConfigError, StudyError
from niwaki.core.measurement import Measurement, Status
from niwaki.evaluation.base import Evaluator
from niwaki.study.executors import Job, LocalProcessExecutor, LocalProcessSettings
from niwaki.study.executors.worker_main import Message
from niwaki.study.executors.worker_process import WorkerProcess
from niwaki.study.watching.notices import forwarded
from niwaki.testing.executor_contract import PATIENCE_S, run_all
from niwaki.testing.scripted_evaluator import ScriptedEvaluator, script
from tests.study.executors.evaluators import (
    Deadly,
    Forking,
    Heavy,
    Talkative,
    TorchThreads,
    Unloadable,
    Unpicklable,
    Waiting,
)
from tests.study.executors.own_plugin import own_evaluator, parent_evaluator

ONE = LocalProcessSettings(n_workers=1)
NO_RETRY = LocalProcessSettings(n_workers=1, n_retries=0)


def executor(
    settings: LocalProcessSettings = ONE, evaluator: Evaluator | None = None
) -> LocalProcessExecutor:
    return LocalProcessExecutor(evaluator or ScriptedEvaluator(), settings)


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that happens soon, or fail."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within a minute"
        time.sleep(0.01)


def gone(pid: int) -> bool:
    """Whether a process runs no more; a zombie that nobody reaps yet does not run."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


def pid_of(measurement: Measurement) -> int:
    pid = measurement.details["pid"]
    assert isinstance(pid, int)
    return pid


def only(pool: LocalProcessExecutor) -> Measurement:
    [finished] = pool.wait(PATIENCE_S)
    return finished.measurement


def bring_up_both(pool: LocalProcessExecutor) -> set[int]:
    """Return the process numbers of two workers, once both have worked."""
    pids: set[int] = set()
    while len(pids) < 2:
        finished = run_all(pool, [script("sleep", seconds=0.2, value=i) for i in range(2)])
        pids |= {pid_of(one.measurement) for one in finished.values()}
    return pids


def test_a_candidate_that_kills_its_worker_every_time_fails() -> None:
    with executor() as pool:
        finished = run_all(pool, [script("die"), script("return")])
    failed = finished[0].measurement
    assert failed.status is Status.FAILED
    assert failed.reason == (
        "worker died, 2 times: killed by signal 9 (SIGKILL); perhaps out of memory"
    )
    assert failed.details["n_tries"] == 2
    assert finished[1].measurement.complete


def test_a_candidate_whose_worker_died_once_is_measured(tmp_path: Path) -> None:
    with executor() as pool:
        candidate = script("die_once", marker=str(tmp_path / "marker"), value=5)
        measurement = run_all(pool, [candidate])[0].measurement
    assert measurement.values["value"] == 5
    assert measurement.details["n_tries"] == 2


def test_without_retries_one_death_is_enough(tmp_path: Path) -> None:
    with executor(NO_RETRY) as pool:
        candidate = script("die_once", marker=str(tmp_path / "marker"))
        measurement = run_all(pool, [candidate])[0].measurement
    assert measurement.reason.startswith("worker died: killed by signal 9")
    assert measurement.worker == "local-0"
    assert measurement.seconds > 0


@pytest.mark.parametrize(
    ("number", "hint"),
    [(signal.SIGSEGV, "SIGSEGV); native code crashed"), (signal.SIGTERM, "15 (SIGTERM)")],
)
def test_the_signal_is_named(number: int, hint: str, tmp_path: Path) -> None:
    settings = NO_RETRY
    with LocalProcessExecutor(ScriptedEvaluator(), settings, logs=tmp_path) as pool:
        measurement = run_all(pool, [script("die", signal=int(number))])[0].measurement
    assert hint in measurement.reason
    assert measurement.reason.endswith(f"; see {tmp_path.name}/local-0.log")


def test_others_are_undisturbed_when_a_worker_dies() -> None:
    with executor(LocalProcessSettings(n_workers=2, n_retries=0)) as pool:
        pids = bring_up_both(pool)
        finished = run_all(pool, [script("sleep", seconds=0.5), script("die")])
        survivor = finished[0].measurement
        again = run_all(pool, [script("return")])[0].measurement
    assert [finished[n].measurement.complete for n in (0, 1)] == [True, False]
    assert "n_tries" not in survivor.details
    assert pid_of(survivor) in pids
    assert pid_of(again) == pid_of(survivor)


def test_a_worker_killed_from_outside_costs_its_job_one_try(tmp_path: Path) -> None:
    with executor() as pool:
        pid = pid_of(run_all(pool, [script("return")])[0].measurement)
        marker = tmp_path / "began"
        pool.submit(Job(1, script("sleep", seconds=0.5, marker=str(marker))))
        until(marker.exists)
        os.kill(pid, signal.SIGKILL)
        measurement = only(pool)
    assert measurement.complete
    assert measurement.details["n_tries"] == 2
    assert pid_of(measurement) != pid


def test_an_idle_worker_killed_from_outside_costs_nothing() -> None:
    with executor(NO_RETRY) as pool:
        pid = pid_of(run_all(pool, [script("return")])[0].measurement)
        os.kill(pid, signal.SIGKILL)
        measurement = run_all(pool, [script("return")])[0].measurement
    assert measurement.complete
    assert "n_tries" not in measurement.details


def test_an_evaluation_that_hangs_is_stopped_and_the_next_one_runs() -> None:
    with executor(LocalProcessSettings(n_workers=1, timeout_s=0.5)) as pool:
        finished = run_all(pool, [script("hang"), script("return")])
    measurement = finished[0].measurement
    assert measurement.status is Status.FAILED
    assert measurement.reason == "stopped after 0.5 s, the longest evaluation allowed"
    assert measurement.seconds >= 0.5
    assert finished[1].measurement.complete


def test_the_children_of_a_dead_worker_die_with_it(tmp_path: Path) -> None:
    marker = tmp_path / "child"
    with executor(NO_RETRY) as pool:
        run_all(pool, [script("orphan", marker=str(marker))])
    until(lambda: gone(int(marker.read_text())))


def test_a_copy_that_an_evaluation_forks_does_not_answer() -> None:
    with executor(NO_RETRY, Forking()) as running:
        found = run_all(running, [script("return"), script("raise"), script("return", value=2)])
    statuses = [found[number].measurement.status for number in range(3)]
    assert statuses == [Status.COMPLETE, Status.FAILED, Status.COMPLETE]


def test_closing_kills_what_is_running(tmp_path: Path) -> None:
    with executor() as pool:
        pid = pid_of(run_all(pool, [script("return")])[0].measurement)
        pool.submit(Job(1, script("hang")))
        assert pool.wait(0.2) == []
    assert gone(pid)


def test_an_interruption_in_the_middle_of_a_message_costs_no_try(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(worker: WorkerProcess) -> Iterator[Message]:
        monkeypatch.undo()
        worker.connection.recv()
        raise KeyboardInterrupt
        yield

    with executor(NO_RETRY) as pool:
        run_all(pool, [script("return")])
        monkeypatch.setattr(WorkerProcess, "messages", interrupted)
        pool.submit(Job(1, script("return", value=2)))
        with pytest.raises(KeyboardInterrupt):
            pool.wait(PATIENCE_S)
        measurement = only(pool)
    assert measurement.values["value"] == 2
    assert "n_tries" not in measurement.details


def test_jobs_finish_in_any_order() -> None:
    with executor(LocalProcessSettings(n_workers=2)) as pool:
        bring_up_both(pool)
        pool.submit(Job(10, script("sleep", seconds=2.0)))
        pool.submit(Job(11, script("return")))
        order = [one.job.number for _ in range(2) for one in pool.wait(PATIENCE_S)]
    assert order == [11, 10]


def test_waiting_gives_up_when_the_time_is_up() -> None:
    with executor() as pool:
        pool.submit(Job(0, script("hang")))
        assert pool.wait(0.0) == []
        assert pool.wait(0.3) == []
        assert pool.n_unfinished == 1


def test_free_places_are_workers_without_a_job() -> None:
    with executor(LocalProcessSettings(n_workers=2)) as pool:
        assert pool.n_free == 2
        for number in range(3):
            pool.submit(Job(number, script("return")))
        assert (pool.n_free, pool.n_unfinished) == (0, 3)


def test_threads_are_set_at_birth_and_the_drivers_environment_is_left_alone() -> None:
    before = dict(os.environ)
    with executor(LocalProcessSettings(n_workers=1, n_threads=3)) as pool:
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        finished = run_all(pool, [script("environment", variable=name) for name in names])
    assert {one.measurement.values["environment"] for one in finished.values()} == {3.0}
    assert dict(os.environ) == before


def test_how_long_threads_wait_is_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOMP_SPINCOUNT", "10000")
    with executor(LocalProcessSettings(n_workers=1, n_threads=3)) as pool:
        finished = run_all(pool, [script("environment", variable="GOMP_SPINCOUNT")])
    assert [one.measurement.values["environment"] for one in finished.values()] == [10_000.0]


@pytest.mark.parametrize("n_threads", [1, 3])
def test_torch_obeys_the_number_of_threads(n_threads: int) -> None:
    settings = LocalProcessSettings(n_workers=1, n_threads=n_threads)
    with executor(settings, TorchThreads()) as pool:
        run_all(pool, [script("return")])  # imports torch
        measurement = run_all(pool, [script("return")])[0].measurement
    assert measurement.values["n_threads"] == n_threads


def test_what_workers_print_goes_to_the_logs(tmp_path: Path) -> None:
    with LocalProcessExecutor(Talkative(), ONE, logs=tmp_path) as pool:
        run_all(pool, [script("return")])
    assert (tmp_path / "local-0.log").read_text() == "from Python\nfrom below\n"


def test_what_a_worker_waits_for_is_told_by_the_driver(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    said: list[str] = []
    settings = LocalProcessSettings(n_workers=2)
    with forwarded(said.append), LocalProcessExecutor(Waiting(), settings, logs=tmp_path) as pool:
        run_all(pool, [script("return", value=i) for i in range(4)])
    assert said == ["waiting for process 4711"]
    assert {path.read_text() for path in tmp_path.iterdir()} == {""}
    assert set(caplog.messages) == set(said)


def test_a_crash_of_native_code_leaves_its_stack_in_the_log(tmp_path: Path) -> None:
    with LocalProcessExecutor(ScriptedEvaluator(), NO_RETRY, logs=tmp_path) as pool:
        run_all(pool, [script("die", signal=int(signal.SIGSEGV))])
    assert "Segmentation fault" in (tmp_path / "local-0.log").read_text()


def test_more_than_a_pipe_holds_travels_both_ways() -> None:
    with executor(LocalProcessSettings(n_workers=2), Heavy(load=b"x" * 3_000_000)) as pool:
        finished = run_all(pool, [script("return", value=i) for i in range(4)])
    assert {one.measurement.values["n_bytes"] for one in finished.values()} == {3_000_000.0}


def test_an_evaluator_that_cannot_travel_is_refused_with_a_remedy() -> None:
    with executor(evaluator=Unpicklable()) as pool, pytest.raises(StudyError) as caught:
        pool.submit(Job(0, script("return")))
    assert "cannot travel" in str(caught.value)
    assert "at the top of a module" in str(caught.value)


def test_an_evaluator_in_a_file_travels_also_once_the_file_is_gone(tmp_path: Path) -> None:
    with executor(evaluator=own_evaluator(tmp_path / "mine")) as pool:
        pool.submit(Job(0, script("return", value=3)))
        shutil.rmtree(tmp_path / "mine")
        assert only(pool).values["value"] == 29.0
        run_all(pool, [script("die"), script("return", value=3)])
        pool.submit(Job(3, script("return", value=3)))
        assert only(pool).values["value"] == 29.0


def test_workers_that_cannot_load_the_evaluator_end_the_search_with_their_reason() -> None:
    with executor(LocalProcessSettings(n_workers=2), Unloadable()) as pool:
        pool.submit(Job(0, script("return")))
        pool.submit(Job(1, script("return")))
        with pytest.raises(StudyError, match=r"3 died in a row.*No module named 'somewhere_else'"):
            pool.wait(PATIENCE_S)


def test_workers_that_die_at_the_start_end_the_search_with_their_exit_code() -> None:
    with executor(evaluator=Deadly()) as pool:
        pool.submit(Job(0, script("return")))
        with pytest.raises(StudyError, match=r"3 died in a row.*exited with code 9"):
            pool.wait(PATIENCE_S)


def test_workers_that_do_not_start_in_time_end_the_search() -> None:
    with executor(LocalProcessSettings(start_timeout_s=0.001)) as pool:
        pool.submit(Job(0, script("return")))
        with pytest.raises(StudyError, match=r"not ready within 0\.001 s"):
            pool.wait(PATIENCE_S)


def test_no_job_is_lost_in_a_storm(tmp_path: Path) -> None:
    several = []
    for number in range(4):
        several += [
            script("return", value=number),
            script("raise", value=number),
            script("die", value=number),
            script("die_once", marker=str(tmp_path / f"marker{number}")),
            script("sleep", seconds=0.02, value=number),
            script("exit", code=number),
        ]
    with executor(LocalProcessSettings(n_workers=3, timeout_s=30.0)) as pool:
        finished = run_all(pool, several)
    complete = [one.measurement.complete for _, one in sorted(finished.items())]
    assert complete == [True, False, False, True, True, False] * 4


@pytest.mark.parametrize("seconds", [1e12, float("inf")])
def test_a_limit_may_be_longer_than_a_system_can_wait(seconds: float) -> None:
    settings = LocalProcessSettings(n_workers=1, timeout_s=seconds, start_timeout_s=seconds)
    with executor(settings) as pool:
        pool.submit(Job(0, script("return", value=1)))
        (finished,) = pool.wait()
    assert finished.measurement.complete


@pytest.mark.parametrize(
    "settings",
    [
        {"n_workers": 0},
        {"n_threads": 0},
        {"n_retries": -1},
        {"timeout_s": 0},
        {"timeout_s": float("nan")},
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, int]) -> None:
    [name] = settings
    with pytest.raises(ConfigError, match=name):
        LocalProcessSettings(**settings)


def test_children_of_a_worker_know_a_users_file(tmp_path: Path) -> None:
    with executor(evaluator=parent_evaluator(tmp_path / "parent_of_mine.py")) as pool:
        [done] = run_all(pool, [script("return")]).values()
    assert done.measurement.reason == ""
    assert done.measurement.values == {"value": 42.0}
