"""Evaluations in worker processes on this machine."""

import logging
import time
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path

from niwaki.core.errors import ConfigError, StudyError
from niwaki.evaluation.base import Evaluator
from niwaki.study.executors.failures import explain
from niwaki.study.executors.gpus import gpu_of
from niwaki.study.executors.pool import Queued, WorkerPool
from niwaki.study.executors.travel import main_expects_it, needs_main, packed
from niwaki.study.executors.worker_main import (
    Began,
    Done,
    Hello,
    Lost,
    Message,
    Noticed,
    Ready,
    Refused,
    WorkerSettings,
)
from niwaki.study.executors.worker_process import WorkerProcess

CLOSING_PATIENCE_S = 2.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LocalProcessSettings:
    """How evaluations are spread over processes.

    Attributes:
        n_workers: Processes, at least 1.
        n_threads: Threads of each numeric library in each process, at least 1.
        timeout_s: Longest evaluation, loading data on first use, and waiting for the
            measurements of other runs, included; None has no limit.
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


class LocalProcessExecutor(WorkerPool[WorkerProcess]):
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
        self._settings = settings or LocalProcessSettings()
        names = [f"local-{slot}" for slot in range(self._settings.n_workers)]
        super().__init__(self._settings, names)
        self._evaluator = evaluator
        self._packed: bytes | None = None
        self._with_main = True
        self._logs = logs
        self._n_failures_in_a_row = 0

    def _open(self) -> None:
        self._packed = packed(self._evaluator)
        self._with_main = main_expects_it() or needs_main(self._packed)

    def _start(self, name: str) -> WorkerProcess:
        log = self._logs / f"{name}.log" if self._logs else None
        gpu = gpu_of(self._names.index(name))
        settings = WorkerSettings(name, self._settings.n_threads, log, gpu)
        try:
            return WorkerProcess(settings, with_main=self._with_main)
        except OSError as error:
            raise StudyError(
                f"a worker process cannot be started ({explain(error)}): free some memory, or use "
                "fewer workers, and run the same command again"
            ) from error

    def _dismiss(self) -> None:
        idle = [worker for worker in self._workers.values() if worker.idle]
        for worker in idle:
            worker.dismiss()
        for worker in self._workers.values():
            if worker not in idle:
                worker.kill()
        deadline = time.monotonic() + CLOSING_PATIENCE_S
        for worker in idle:
            worker.leave(max(0.0, deadline - time.monotonic()))

    def _give_out(self) -> None:
        for worker in list(self._workers.values()):
            if self._queue and worker.idle:
                self._give(worker, self._queue[0])

    def _give(self, worker: WorkerProcess, queued: Queued) -> None:
        try:
            worker.give(queued)
        except OSError:
            self._bury(worker, worker.cause_of_death())
        else:
            self._queue.popleft()

    def _listen(self, deadline: float | None) -> None:
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
            case Lost(reason=reason):
                self._stop_for(worker, reason)
            case Noticed(sentence=sentence):
                _log.warning("%s", sentence)

    def _give_up_on(self, worker: WorkerProcess) -> None:
        """Take a worker out through no fault of its own; its job keeps its tries."""
        if self._workers.get(worker.name) is worker:
            self._take_out(worker)
            self._queue_again(worker, begun=False)

    def _note_failed_start(self, worker: WorkerProcess, cause: str) -> None:
        self._n_failures_in_a_row += 1
        if self._n_failures_in_a_row >= self._settings.n_start_failures:
            where = f"see the files in {self._logs.name}/" if self._logs else "see its output above"
            raise StudyError(
                f"no worker process can be started, {self._n_failures_in_a_row} died in a row; the "
                f"last one ({worker.name}): {cause}. For more, {where}; the evaluator's module "
                "must be importable in a fresh process, and a script that defines it must start "
                "its study below `if __name__ == '__main__':`"
            )
