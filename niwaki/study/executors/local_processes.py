"""Evaluations in worker processes on this machine."""

import atexit
import time
from collections import deque
from dataclasses import dataclass, replace
from multiprocessing import connection
from pathlib import Path

from niwaki.core.errors import ConfigError, StudyError
from niwaki.core.measurement import Measurement
from niwaki.evaluation.base import Evaluator
from niwaki.study.executors.attempt import failure
from niwaki.study.executors.base import Executor, Finished, Job
from niwaki.study.executors.failures import explain
from niwaki.study.executors.gpus import gpu_of
from niwaki.study.executors.travel import packed
from niwaki.study.executors.worker_main import (
    Began,
    Done,
    Hello,
    Message,
    Ready,
    Refused,
    WorkerSettings,
)
from niwaki.study.executors.worker_process import WorkerProcess

CLOSING_PATIENCE_S = 2.0


@dataclass(frozen=True)
class LocalProcessSettings:
    """How evaluations are spread over processes.

    Attributes:
        n_workers: Processes, at least 1.
        n_threads: Threads of each numeric library in each process, at least 1.
        timeout_s: Longest evaluation, loading data on first use included; None has no limit.
        n_retries: How often a candidate whose worker died is tried again on a fresh one. A
            transient death should not condemn a candidate; a repeated one should.
        start_timeout_s: Longest start of a worker, imports included.
        n_start_failures: How many workers in a row may die without a job before the search ends.
    """

    n_workers: int = 2
    n_threads: int = 1
    timeout_s: float | None = None
    n_retries: int = 1
    start_timeout_s: float = 300.0
    n_start_failures: int = 3

    def __post_init__(self) -> None:
        """Reject what cannot work."""
        limits = {"n_workers": 1, "n_threads": 1, "n_retries": 0, "n_start_failures": 1}
        for name, least in limits.items():
            if getattr(self, name) < least:
                raise ConfigError(f"{name} must be at least {least}, not {getattr(self, name)}")
        for name in ("timeout_s", "start_timeout_s"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"{name} must be a positive number of seconds, not {value}")


@dataclass(frozen=True)
class _Queued:
    """A job that waits for a worker, and how many workers it has already cost."""

    job: Job
    n_tries: int = 0


class LocalProcessExecutor(Executor):
    """Our own pool of spawned processes, each with one pipe to the driver.

    Workers start with the first jobs that need them, keep their evaluator from job to job, and are
    replaced when they die. Where there are several GPUs, each worker sees one of them, in turn.
    When this process dies, however it does, the workers end too.

    Args:
        evaluator: Pickled once; its class must be importable in a fresh process, or be in a file
            that was imported by its path.
        settings: How many workers, and how patient to be with them.
        logs: Existing folder for what the workers print; None leaves it on the terminal.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        settings: LocalProcessSettings | None = None,
        *,
        logs: Path | None = None,
    ) -> None:
        self._evaluator = evaluator
        self._packed: bytes | None = None
        self._settings = settings or LocalProcessSettings()
        self._logs = logs
        self._workers: dict[str, WorkerProcess] = {}
        self._queue: deque[_Queued] = deque()
        self._finished: deque[Finished] = deque()
        self._n_failures_in_a_row = 0
        self._busy_s = 0.0
        self._started_at: float | None = None
        self._closed_at: float | None = None

    @property
    def n_free(self) -> int:
        if self._closed_at is not None:
            return 0
        return max(0, self._settings.n_workers - len(self._queue) - len(self._busy()))

    @property
    def n_unfinished(self) -> int:
        return len(self._queue) + len(self._busy()) + len(self._finished)

    @property
    def busy_share(self) -> float:
        if self._started_at is None:
            return 0.0
        now = time.monotonic() if self._closed_at is None else self._closed_at
        busy_s = self._busy_s + sum(now - worker.since for worker in self._busy())
        return min(1.0, busy_s / max(self._settings.n_workers * (now - self._started_at), 1e-9))

    def submit(self, job: Job) -> None:
        if self._closed_at is not None:
            raise StudyError("the executor is closed: make a new one to run more jobs")
        if self._started_at is None:
            self._packed = packed(self._evaluator)
            self._started_at = time.monotonic()
            # Registered after multiprocessing's own hook, so it runs before that waits for workers.
            atexit.register(self.close)
        self._queue.append(_Queued(job))
        self._put_to_work()

    def wait(self, timeout_s: float | None = None) -> list[Finished]:
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._finished and self.n_unfinished:
            self._put_to_work()
            self._listen(deadline)
            self._stop_overdue()
            if deadline is not None and time.monotonic() >= deadline:
                break
        self._put_to_work()
        # Taken one by one, so that an interruption leaves the others for the next call.
        return [self._finished.popleft() for _ in range(len(self._finished))]

    def close(self) -> None:
        if self._closed_at is not None:
            return
        self._closed_at = time.monotonic()
        self._busy_s += sum(self._closed_at - worker.since for worker in self._busy())
        atexit.unregister(self.close)
        idle = [worker for worker in self._workers.values() if worker.idle]
        for worker in idle:
            worker.dismiss()
        for worker in self._workers.values():
            if worker not in idle:
                worker.kill()
        deadline = time.monotonic() + CLOSING_PATIENCE_S
        for worker in idle:
            worker.leave(max(0.0, deadline - time.monotonic()))
        self._workers.clear()
        self._queue.clear()
        self._finished.clear()

    def _busy(self) -> list[WorkerProcess]:
        return [worker for worker in self._workers.values() if worker.job is not None]

    def _put_to_work(self) -> None:
        """Give queued jobs to idle workers, and start workers for the rest."""
        for worker in list(self._workers.values()):
            if self._queue and worker.idle:
                self._give(worker, self._queue[0])
        n_starting = sum(not worker.ready for worker in self._workers.values())
        for slot in range(self._settings.n_workers):
            if n_starting >= len(self._queue):
                return
            name = f"local-{slot}"
            if name not in self._workers:
                log = self._logs / f"{name}.log" if self._logs else None
                settings = WorkerSettings(name, self._settings.n_threads, log, gpu_of(slot))
                self._workers[name] = _start(settings)
                n_starting += 1

    def _give(self, worker: WorkerProcess, queued: _Queued) -> None:
        try:
            worker.give(queued.job, n_tries=queued.n_tries + 1)
        except OSError:
            self._bury(worker, worker.cause_of_death())
        else:
            self._queue.popleft()

    def _listen(self, deadline: float | None) -> None:
        """Wait for the first sign of any worker, and deal with all there are."""
        workers = list(self._workers.values())
        listened = [sign for worker in workers for sign in (worker.connection, worker.sentinel)]
        signs = connection.wait(listened, self._patience_s(deadline))
        for worker in workers:
            ended = worker.sentinel in signs
            if ended or worker.connection in signs:
                self._hear(worker, ended=ended)

    def _hear(self, worker: WorkerProcess, *, ended: bool) -> None:
        if ended:
            # A child of the worker may hold the pipe open: then its last message has no end.
            worker.kill_group()
        try:
            for message in worker.messages():
                self._answer(worker, message)
        except (EOFError, OSError):
            ended = True
        except KeyboardInterrupt:
            # Perhaps in the middle of a message: the rest of the pipe makes no sense any more.
            self._give_up_on(worker)
            raise
        if ended and worker.name in self._workers:
            self._bury(worker, worker.cause_of_death())

    def _answer(self, worker: WorkerProcess, message: Message) -> None:
        match message:
            case Hello():
                assert self._packed is not None
                worker.load(self._packed)
            case Ready():
                worker.ready = True
            case Refused(reason=reason):
                self._bury(worker, f"it cannot load the evaluator ({reason})")
            case Began(number=number):
                assert worker.job is not None and worker.job.number == number
                worker.began = True
            case Done(number=number, measurement=measurement):
                assert worker.job is not None and worker.job.number == number
                self._n_failures_in_a_row = 0
                self._finish(worker, measurement)

    def _finish(self, worker: WorkerProcess, measurement: Measurement) -> None:
        job, n_tries = worker.job, worker.n_tries
        assert job is not None
        self._busy_s += worker.rest()
        if n_tries > 1:
            measurement = replace(measurement, details={**measurement.details, "n_tries": n_tries})
        self._finished.append(Finished(job, measurement))

    def _bury(self, worker: WorkerProcess, cause: str) -> None:
        """Take a dead worker out, and decide what its death means for its job."""
        worker.kill()
        del self._workers[worker.name]
        job = worker.job
        if job is None or not worker.began:
            self._take_back(worker)
            self._note_failed_start(cause)
        elif worker.n_tries <= self._settings.n_retries:
            self._busy_s += worker.rest()
            self._queue.appendleft(_Queued(job, worker.n_tries))
        else:
            tries = f", {worker.n_tries} times" if worker.n_tries > 1 else ""
            self._fail(worker, f"worker died{tries}: {cause}")

    def _give_up_on(self, worker: WorkerProcess) -> None:
        """Take a worker out through no fault of its own; its job keeps its tries."""
        if self._workers.get(worker.name) is not worker:
            return
        worker.kill()
        del self._workers[worker.name]
        self._take_back(worker)

    def _take_back(self, worker: WorkerProcess) -> None:
        """Queue the job of a worker that is out, if it had one, at no cost of a try."""
        if worker.job is not None:
            self._queue.appendleft(_Queued(worker.job, worker.n_tries - 1))
            self._busy_s += worker.rest()

    def _fail(self, worker: WorkerProcess, reason: str) -> None:
        assert worker.job is not None
        seconds = time.monotonic() - worker.since
        self._finish(worker, failure(worker.job, reason, seconds=seconds, worker=worker.name))

    def _note_failed_start(self, cause: str) -> None:
        self._n_failures_in_a_row += 1
        if self._n_failures_in_a_row >= self._settings.n_start_failures:
            where = f"see the files in {self._logs.name}/" if self._logs else "see its output above"
            raise StudyError(
                f"no worker process can be started, {self._n_failures_in_a_row} died in a row; the "
                f"last one: {cause}. For more, {where}; the evaluator's module must be importable "
                "in a fresh process, and a script must start its study below "
                "`if __name__ == '__main__':`"
            )

    def _stop_overdue(self) -> None:
        now = time.monotonic()
        for worker in list(self._workers.values()):
            limit_s = self._limit_s(worker)
            if limit_s is None or now < worker.since + limit_s:
                continue
            if worker.job is None:
                self._bury(worker, f"it was not ready within {limit_s:g} s")
                continue
            worker.kill()
            del self._workers[worker.name]
            self._fail(worker, f"stopped after {limit_s:g} s, the longest evaluation allowed")

    def _limit_s(self, worker: WorkerProcess) -> float | None:
        """Return how long the worker may go on with what it does now."""
        if not worker.ready:
            return self._settings.start_timeout_s
        return None if worker.job is None else self._settings.timeout_s

    def _patience_s(self, deadline: float | None) -> float | None:
        """Return the time until the first deadline of all, at least 0."""
        ends = [] if deadline is None else [deadline]
        for worker in self._workers.values():
            limit_s = self._limit_s(worker)
            if limit_s is not None:
                ends.append(worker.since + limit_s)
        return max(0.0, min(ends) - time.monotonic()) if ends else None


def _start(settings: WorkerSettings) -> WorkerProcess:
    try:
        return WorkerProcess(settings)
    except OSError as error:
        raise StudyError(
            f"a worker process cannot be started ({explain(error)}): free some memory, or use "
            "fewer workers, and run the same command again"
        ) from error
