"""What pools of workers have in common: a queue, retries after deaths, deadlines, and busy time."""

import atexit
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from niwaki.core.errors import StudyError, TargetLostError
from niwaki.core.measurement import Measurement
from niwaki.study.executors.attempt import failure
from niwaki.study.executors.base import Executor, Finished, Job

LONGEST_WAIT_S = 3600.0  # at a time: systems refuse waits of weeks, and infinite ones


@dataclass(frozen=True)
class Queued:
    """A job that waits for a worker.

    Attributes:
        job: What is to be evaluated.
        n_tries: How many workers have begun it and were lost.
        nodes: Where it was when workers were lost, begun or not.
    """

    job: Job
    n_tries: int = 0
    nodes: frozenset[str] = frozenset()


@dataclass(eq=False)
class Worker(ABC):
    """A worker as the driver sees it, and the job that it is running.

    Attributes:
        name: Name that its measurements carry.
        log: File that what it prints goes to; None if it is not in one.
        node: Where it runs; empty until that is known, and where there is only one place.
        ready: Whether it has loaded the evaluator.
        queued: What it is running, as it was queued; None if nothing.
        since: `time.monotonic()` when it was started or placed, or when its job was sent.
    """

    name: str
    log: Path | None = None
    node: str = field(default="", init=False)
    ready: bool = field(default=False, init=False)
    queued: Queued | None = field(default=None, init=False)
    since: float = field(default_factory=time.monotonic, init=False)

    @property
    def job(self) -> Job | None:
        """What it is running; None if nothing."""
        return self.queued.job if self.queued else None

    @property
    def idle(self) -> bool:
        """Whether it could take a job now."""
        return self.ready and self.queued is None

    @abstractmethod
    def give(self, queued: Queued) -> None:
        """Send a job."""

    @abstractmethod
    def has_begun(self) -> bool:
        """Whether it has begun its job, or had when it was lost."""

    @abstractmethod
    def kill(self) -> None:
        """End the process and its children now."""

    def take(self, queued: Queued) -> None:
        """Take note that a job was sent."""
        self.queued, self.since = queued, time.monotonic()

    def rest(self) -> float:
        """Take note that the job is over; returns its seconds."""
        self.queued = None
        return time.monotonic() - self.since


W = TypeVar("W", bound=Worker)


class Patience(Protocol):
    """How patient a pool is with its workers; `LocalProcessSettings` says what each means."""

    @property
    def n_workers(self) -> int: ...
    @property
    def n_retries(self) -> int: ...
    @property
    def timeout_s(self) -> float | None: ...
    @property
    def start_timeout_s(self) -> float: ...


class WorkerPool(Executor, Generic[W]):
    """Workers that start with the first jobs that need them, and are replaced when they are lost.

    Args:
        patience: How many workers, and what they may take.
        names: Of the workers.
    """

    def __init__(self, patience: Patience, names: Sequence[str]) -> None:
        self._patience = patience
        self._names = list(names)
        self._workers: dict[str, W] = {}
        self._queue: deque[Queued] = deque()
        self._finished: deque[Finished] = deque()
        self._lost_target = ""  # what was said of it; empty as long as it can be reached
        self._busy_s = 0.0
        self._started_at: float | None = None
        self._closed_at: float | None = None

    @abstractmethod
    def _open(self) -> None:
        """Get ready for the first job."""

    @abstractmethod
    def _start(self, name: str) -> W:
        """Start a worker."""

    @abstractmethod
    def _give_out(self) -> None:
        """Give queued jobs to idle workers."""

    @abstractmethod
    def _listen(self, deadline: float | None) -> None:
        """Wait for the first sign of any worker, and deal with all there are."""

    @abstractmethod
    def _note_failed_start(self, worker: W, cause: str) -> None:
        """Deal with a worker that was lost before it began a job."""

    @abstractmethod
    def _dismiss(self) -> None:
        """End all workers."""

    @property
    def n_free(self) -> int:
        if self._closed_at is not None:
            return 0
        return max(0, len(self._names) - len(self._queue) - len(self._busy()))

    @property
    def n_unfinished(self) -> int:
        return len(self._queue) + len(self._busy()) + len(self._finished)

    @property
    def busy_share(self) -> float:
        if self._started_at is None:
            return 0.0
        now = time.monotonic() if self._closed_at is None else self._closed_at
        busy_s = self._busy_s + sum(now - worker.since for worker in self._busy())
        return min(1.0, busy_s / max(self._patience.n_workers * (now - self._started_at), 1e-9))

    def submit(self, job: Job) -> None:
        if self._closed_at is not None:
            raise StudyError("the executor is closed: make a new one to run more jobs")
        if self._started_at is None:
            self._open()
            # Registered after the hooks of multiprocessing and Ray, so it runs before those.
            atexit.register(self.close)
            self._started_at = time.monotonic()
        self._queue.append(Queued(job))
        self._put_to_work()

    def wait(self, timeout_s: float | None = None) -> list[Finished]:
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._finished and self.n_unfinished:
            if self._lost_target:
                raise TargetLostError(self._lost_target)
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
        self._dismiss()
        self._workers.clear()
        self._queue.clear()
        self._finished.clear()

    def _busy(self) -> list[W]:
        return [worker for worker in self._workers.values() if worker.queued is not None]

    def _put_to_work(self) -> None:
        """Give queued jobs to idle workers, and start workers for the rest."""
        if self._lost_target:
            return
        self._give_out()
        n_starting = sum(not worker.ready for worker in self._workers.values())
        for name in self._names:
            if n_starting >= len(self._queue):
                return
            if name not in self._workers:
                self._workers[name] = self._start(name)
                n_starting += 1

    def _finish(self, worker: W, measurement: Measurement) -> None:
        queued = worker.queued
        assert queued is not None
        self._busy_s += worker.rest()
        if n_lost := queued.n_tries:
            details = {**measurement.details, "n_tries": n_lost + 1}
            measurement = replace(measurement, details=details)
        self._finished.append(Finished(queued.job, measurement))

    def _stop_for(self, worker: W, reason: str) -> None:
        """Give out no more once what is finished is taken: the target cannot be reached."""
        self._lost_target = reason
        self._queue_again(worker, begun=False)

    def _fail(self, worker: W, reason: str) -> None:
        assert worker.job is not None
        seconds = time.monotonic() - worker.since
        self._finish(worker, failure(worker.job, reason, seconds=seconds, worker=worker.name))

    def _bury(self, worker: W, cause: str) -> None:
        """Take a lost worker out, and decide what its loss means for its job."""
        self._take_out(worker)
        queued = worker.queued
        if queued is None or not worker.has_begun():
            self._queue_again(worker, begun=False)
            self._note_failed_start(worker, cause)
        elif queued.n_tries < self._patience.n_retries:
            self._queue_again(worker, begun=True)
        else:
            tries = f", {queued.n_tries + 1} times" if queued.n_tries else ""
            log = f"; see {worker.log.parent.name}/{worker.log.name}" if worker.log else ""
            self._fail(worker, f"worker died{tries}: {cause}{log}")

    def _take_out(self, worker: W) -> None:
        worker.kill()
        del self._workers[worker.name]

    def _queue_again(self, worker: W, *, begun: bool) -> None:
        """Put the job of a worker that is out, if it had one, in front of all others."""
        if (queued := worker.queued) is not None:
            nodes = queued.nodes | {worker.node}
            self._queue.appendleft(Queued(queued.job, queued.n_tries + begun, nodes))
            self._busy_s += worker.rest()

    def _stop_overdue(self) -> None:
        now = time.monotonic()
        for worker in list(self._workers.values()):
            limit_s = self._limit_s(worker)
            if limit_s is None or now < worker.since + limit_s:
                continue
            if worker.queued is None:
                self._bury(worker, f"it was not ready within {limit_s:g} s")
                continue
            self._take_out(worker)
            self._fail(worker, f"stopped after {limit_s:g} s, the longest evaluation allowed")

    def _limit_s(self, worker: W) -> float | None:
        """Return how long the worker may go on with what it does now."""
        if not worker.ready:
            return self._patience.start_timeout_s
        return None if worker.queued is None else self._patience.timeout_s

    def _deadlines(self) -> list[float]:
        """Return when something has to be looked at, even if no worker says anything."""
        limits = [(worker.since, self._limit_s(worker)) for worker in self._workers.values()]
        return [since + limit_s for since, limit_s in limits if limit_s is not None]

    def _patience_s(self, deadline: float | None) -> float | None:
        """Return the time until the first deadline of all, from 0 to an hour; None without any."""
        ends = self._deadlines() + ([] if deadline is None else [deadline])
        left_s = min(ends) - time.monotonic() if ends else None
        return None if left_s is None else max(0.0, min(left_s, LONGEST_WAIT_S))
