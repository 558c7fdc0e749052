"""What runs in a worker process: evaluate the jobs that come through a pipe."""

import contextlib
import faulthandler
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import TextIOWrapper
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeAlias

from niwaki.core.candidate import Candidate, Value
from niwaki.core.errors import TargetLostError
from niwaki.core.measurement import Measurement
from niwaki.evaluation.base import Evaluator
from niwaki.study.executors.attempt import attempt
from niwaki.study.executors.base import Job
from niwaki.study.executors.failures import explain_with_place
from niwaki.study.executors.travel import unpacked
from niwaki.study.watching.notices import forwarded

ORPHAN_POLL_S = 1.0
# Out of memory, the kernel should choose a worker over the search itself.
OOM_SCORE_ADJUSTMENT = 500


@dataclass(frozen=True)
class Hello:
    """The process runs and waits for the evaluator."""


@dataclass(frozen=True)
class Ready:
    """The evaluator is there; jobs may come."""


@dataclass(frozen=True)
class Refused:
    """The evaluator cannot be loaded here."""

    reason: str


@dataclass(frozen=True)
class Began:
    """A job was read, and its evaluation starts: from here on, a death is the job's."""

    number: int


@dataclass(frozen=True)
class Done:
    """A job is finished."""

    number: int
    measurement: Measurement


@dataclass(frozen=True)
class Lost:
    """The target's machine cannot be reached from here."""

    reason: str


@dataclass(frozen=True)
class Noticed:
    """Something that whoever watches the study should know."""

    sentence: str


Message: TypeAlias = Hello | Ready | Refused | Began | Done | Lost | Noticed


@dataclass(frozen=True)
class Order:
    """A job as it travels. A candidate does not: its cached views cannot be pickled."""

    number: int
    items: tuple[tuple[str, Value], ...]
    fidelity: float
    seed: int

    @classmethod
    def of(cls, job: Job) -> "Order":
        """Pack a job."""
        return cls(job.number, job.candidate.items, job.fidelity, job.seed)

    def job(self) -> Job:
        """Unpack it."""
        return Job(self.number, Candidate(self.items), self.fidelity, self.seed)


@dataclass(frozen=True)
class WorkerSettings:
    """How one worker process behaves.

    Attributes:
        name: Name that its measurements carry.
        n_threads: Threads of each numeric library.
        log: File that its output is appended to; None leaves it on the driver's terminal.
        environment: Variables that it is born with, beside those of the driver.
    """

    name: str
    n_threads: int
    log: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


def run_worker(connection: "Connection[Any, Any]", settings: WorkerSettings) -> None:
    """Serve jobs until the driver closes the pipe or dies."""
    _leave_the_terminal(settings.log)
    # What is started here, by data loaders for one, starts as it does in the driver. By default it
    # would be spawned as this process was, and cannot import a module that came from a user's file.
    multiprocessing.set_start_method(None, force=True)
    _volunteer_for_the_out_of_memory_killer()
    threading.Thread(target=_die_with_the_driver, args=(os.getppid(),), daemon=True).start()
    # The driver going away in the middle of a message is the normal end of a worker.
    with (
        contextlib.suppress(EOFError, OSError),
        forwarded(lambda sentence: connection.send(Noticed(sentence))),
    ):
        connection.send(Hello())
        evaluator = _load(connection, settings)
        while evaluator is not None:
            order: Order = connection.recv()
            connection.send(Began(order.number))
            limit_torch(settings.n_threads)
            try:
                measurement = attempt(evaluator, order.job(), worker=settings.name)
            except TargetLostError as error:
                connection.send(Lost(str(error)))
            else:
                connection.send(Done(order.number, measurement))


def _load(connection: "Connection[Any, Any]", settings: WorkerSettings) -> Evaluator | None:
    data = connection.recv_bytes()
    try:
        evaluator = unpacked(data)
    except (Exception, SystemExit) as error:
        connection.send(Refused(explain_with_place(error)))
        return None
    limit_torch(settings.n_threads)
    connection.send(Ready())
    return evaluator


def _leave_the_terminal(log: Path | None) -> None:
    """Let Ctrl-C reach the driver alone, and keep the worker's children in a group with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    os.setpgid(0, 0)
    if log is not None:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(descriptor, sys.__stdout__.fileno() if sys.__stdout__ else 1)
        os.dup2(descriptor, sys.__stderr__.fileno() if sys.__stderr__ else 2)
        os.close(descriptor)
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=True)  # what a killed process said is worth most
    faulthandler.enable()


def _volunteer_for_the_out_of_memory_killer() -> None:
    with contextlib.suppress(OSError):  # not Linux, or not allowed
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE_ADJUSTMENT))


def _die_with_the_driver(driver_pid: int) -> None:
    """Kill this worker and its children once the driver is gone, in the middle of a job too.

    PR_SET_PDEATHSIG is not used: it follows the driver's thread rather than its process, and it
    would end the worker before the worker can end its children.
    """
    driver = multiprocessing.parent_process()
    # The driver's pipe tells at once, unless a process forked from the driver holds it open.
    while driver is not None and os.getppid() == driver_pid:
        driver.join(ORPHAN_POLL_S)
        if not driver.is_alive():
            break
    os.killpg(0, signal.SIGKILL)


def limit_torch(n_threads: int) -> None:
    """Limit torch, where something has imported it; the environment limits what comes later."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != n_threads:
        torch.set_num_threads(n_threads)
