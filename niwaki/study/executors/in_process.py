"""Evaluations one after the other in this process: deterministic, and easy to debug."""

import time
from collections import deque

from niwaki.core.errors import StudyError
from niwaki.evaluation.base import Evaluator
from niwaki.study.executors.attempt import attempt
from niwaki.study.executors.base import Executor, Finished, Job


class InProcessExecutor(Executor):
    """Runs one job per `wait`, in the order of submission.

    A crash of the evaluation is a crash of the search, and nothing can stop an evaluation that
    hangs: use `LocalProcessExecutor` for code that is not trusted to behave.

    Args:
        evaluator: Called in this process.
        worker: Name that measurements carry.
    """

    def __init__(self, evaluator: Evaluator, *, worker: str = "main") -> None:
        self._evaluator = evaluator
        self._worker = worker
        self._queue: deque[Job] = deque()
        self._started_at: float | None = None
        self._busy_s = 0.0
        self._closed_at: float | None = None

    @property
    def n_free(self) -> int:
        return 0 if self._queue or self._closed_at is not None else 1

    @property
    def n_unfinished(self) -> int:
        return len(self._queue)

    @property
    def busy_share(self) -> float:
        if self._started_at is None:
            return 0.0
        end = self._closed_at if self._closed_at is not None else time.monotonic()
        return min(1.0, self._busy_s / max(end - self._started_at, 1e-9))

    def submit(self, job: Job) -> None:
        if self._closed_at is not None:
            raise StudyError("the executor is closed: make a new one to run more jobs")
        if self._started_at is None:
            self._started_at = time.monotonic()
        self._queue.append(job)

    def wait(self, timeout_s: float | None = None) -> list[Finished]:  # noqa: ARG002
        """Run the next job to its end, however long it takes, and return it."""
        if not self._queue:
            return []
        start = time.monotonic()
        # The job leaves the queue once it is done, so that an interruption does not lose it.
        job = self._queue[0]
        measurement = attempt(self._evaluator, job, worker=self._worker)
        self._queue.popleft()
        self._busy_s += time.monotonic() - start
        return [Finished(job, measurement)]

    def close(self) -> None:
        if self._closed_at is None:
            self._closed_at = time.monotonic()
        self._queue.clear()
