"""What every executor can do: jobs in, finished jobs out, in whatever order they finish."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Measurement


@dataclass(frozen=True)
class Job:
    """One evaluation to run.

    Attributes:
        number: Names the job; no two jobs of one executor share a number.
        candidate: What to evaluate.
        fidelity: Share of the full effort, in (0, 1].
        seed: Seed of everything random in the evaluation.
    """

    number: int
    candidate: Candidate
    fidelity: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class Finished:
    """A job and what came of it, failures included."""

    job: Job
    measurement: Measurement


class Executor(ABC):
    """Runs evaluations somewhere, without barriers.

    Laws, checked by `niwaki.testing.executor_contract`: every submitted job comes back from `wait`
    exactly once, unless the executor is closed first; whatever goes wrong in an evaluation comes
    back as a failed measurement, unless the target's machine is lost; the measurement carries the
    job's fidelity and seed, the seconds it took and the worker that ran it.

    An executor belongs to one thread. The loop it is made for::

        with executor:
            while not done:
                for job in next_jobs(executor.n_free):
                    executor.submit(job)
                for finished in executor.wait():
                    record(finished)
    """

    @property
    @abstractmethod
    def n_free(self) -> int:
        """How many jobs could start at once if they were submitted now; 0 after closing."""

    @property
    @abstractmethod
    def n_unfinished(self) -> int:
        """How many submitted jobs `wait` has not returned yet."""

    @property
    @abstractmethod
    def busy_share(self) -> float:
        """Share of its workers' time, since the first job, that went into evaluations; [0, 1]."""

    @abstractmethod
    def submit(self, job: Job) -> None:
        """Queue a job; returns at once. More jobs than `n_free` wait for a free worker, in order.

        Raises:
            StudyError: If the executor is closed, or the evaluator cannot travel to its workers.
        """

    @abstractmethod
    def wait(self, timeout_s: float | None = None) -> list[Finished]:
        """Return the jobs that finished, in the order in which they did.

        Blocks until there is at least one. Returns an empty list when the time is up, or at once
        if no job is unfinished. An interruption (Ctrl-C) while it waits loses no finished job: the
        next call returns it.

        Args:
            timeout_s: Longest wait, at least 0; None waits as long as it takes.

        Raises:
            StudyError: If no worker can be started.
            TargetLostError: If the target's machine cannot be reached; raised once everything that
                is finished has been returned.
        """

    @abstractmethod
    def close(self) -> None:
        """Stop all workers and drop unfinished jobs. Calling it again does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
