"""One worker of a Ray cluster: what runs in its actor, and how the driver sees it."""

import asyncio
import os
import re
import signal
import sys
import time
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TypeAlias

import ray
from ray.exceptions import ActorUnavailableError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from niwaki._version import __version__
from niwaki.core.errors import TargetLostError
from niwaki.core.measurement import Measurement
from niwaki.evaluation.base import Evaluator
from niwaki.study.executors.attempt import attempt
from niwaki.study.executors.base import Job
from niwaki.study.executors.failures import explain, explain_with_place
from niwaki.study.executors.pool import Queued, Worker
from niwaki.study.executors.ray_artifacts import Artifacts, unpack
from niwaki.study.executors.ray_cluster import RayClusterSettings
from niwaki.study.executors.travel import unpacked
from niwaki.study.executors.worker_main import limit_torch
from niwaki.study.executors.worker_process import describe_exit
from niwaki.study.record.environment import THREAD_COUNTS
from niwaki.study.watching.notices import forwarded

# What Ray says about a dead actor, and what it means.
CAUSES = {
    "node has died": "its node was lost",
    "low on memory": "its node ran out of memory, and Ray stopped it",
    "worker process has died": (
        "its process ended, and Ray does not say how: killed, perhaps out of memory, crashed in "
        "native code, or by itself"
    ),
}
# What Ray's handler of signals prints where native code crashes.
SIGNAL = re.compile(rb"^\*\*\* (SIG(?:ABRT|BUS|FPE|ILL|SEGV|TERM|TRAP)) received", re.MULTILINE)


@dataclass(frozen=True)
class Parcel:
    """What a worker is sent once.

    Attributes:
        evaluator: Packed, with the users' files that it needs.
        artifacts: What it has prepared; None if nothing.
        mailbox: Handle of the actor that takes what workers have to say.
        node: Of the driver.
        working_directory: Of the driver; empty if the workers have one of their own.
        version: Of the driver's niwaki.
    """

    evaluator: bytes
    artifacts: Artifacts | None
    mailbox: Any
    node: str
    working_directory: str
    version: str = __version__


@dataclass(frozen=True)
class Placed:
    """The worker runs, on this node, and what it prints is in its log or in those of Ray."""

    node: str
    logged: bool


@dataclass(frozen=True)
class Ready:
    """The evaluator is there; jobs may come."""


@dataclass(frozen=True)
class Refused:
    """The evaluator cannot be used there."""

    reason: str


@dataclass(frozen=True)
class Missing:
    """What the evaluator has prepared is not to be seen there, and must be sent."""


@dataclass(frozen=True)
class Begun:
    """The worker has a job, and waits to be sent on: from here on, a death is the job's."""


@dataclass(frozen=True)
class Lost:
    """The target's machine cannot be reached from there."""

    reason: str


Answer: TypeAlias = Placed | Ready | Refused | Missing | Begun | Lost | Measurement


class Mailbox:
    """Holds what workers have to say to whoever watches the study, until the driver takes it."""

    def __init__(self) -> None:
        self._sentences: asyncio.Queue[str] = asyncio.Queue()

    async def post(self, sentence: str) -> None:
        """Take a sentence."""
        await self._sentences.put(sentence)

    async def take(self) -> str:
        """Return the next sentence, once there is one."""
        return await self._sentences.get()


def started_mailbox(node: str) -> Any:
    """Return the handle of a mailbox that lives on a node, such as the driver's."""
    place = NodeAffinitySchedulingStrategy(node, soft=True)
    return ray.remote(Mailbox).options(num_cpus=0, scheduling_strategy=place).remote()


class Actor:
    """Keeps an evaluator in a process of the cluster, and evaluates one job after the other."""

    def __init__(self, name: str, n_threads: int, log: Path | None) -> None:
        # Ctrl-C is for the driver, which may share a terminal with this process.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._name, self._n_threads = name, n_threads
        self._evaluator: Evaluator | None = None
        self._job: Job | None = None
        self._mailbox: Any = None
        self._logged = log is not None and _write_to(log)

    def place(self) -> Placed:
        """Return where it runs."""
        return Placed(ray.get_runtime_context().get_node_id(), self._logged)

    def load(self, parcel: Parcel, packed: bytes | None = None) -> Answer:
        """Get ready for jobs."""
        self._mailbox = parcel.mailbox
        try:
            if parcel.version != __version__:
                return Refused(f"it has niwaki {__version__}, and the search {parcel.version}")
            if parcel.working_directory and Path(parcel.working_directory).is_dir():
                os.chdir(parcel.working_directory)
            evaluator = unpacked(parcel.evaluator)
            with forwarded(self._say):
                if not _sees_artifacts(evaluator, parcel, packed):
                    return Missing()
        except (Exception, SystemExit) as error:
            return Refused(explain_with_place(error))
        limit_torch(self._n_threads)
        self._evaluator = evaluator
        return Ready()

    def begin(self, job: Job) -> Begun:
        """Take a job, and say so. A job may end this process before any later answer is out."""
        self._job = job
        return Begun()

    def evaluate(self) -> Measurement | Lost:
        """Return what came of the job."""
        job, self._job = self._job, None
        assert self._evaluator is not None and job is not None
        limit_torch(self._n_threads)
        with forwarded(self._say):
            try:
                return attempt(self._evaluator, job, worker=self._name)
            except TargetLostError as error:
                return Lost(str(error))

    def _say(self, sentence: str) -> None:
        # Nobody waits for the answer: should the mailbox be lost, the evaluation goes on.
        self._mailbox.post.remote(sentence)


def _sees_artifacts(evaluator: Evaluator, parcel: Parcel, packed: bytes | None) -> bool:
    """Lead the evaluator to what was prepared; False if that has to be sent first.

    On another node than the driver's it is prepared once more: with everything there it has
    nothing to do but to take note of the folder, and to object to another device or other data.
    """
    if parcel.artifacts is None:
        return True
    here = ray.get_runtime_context().get_node_id(), str(Path.cwd())
    if here == (parcel.node, parcel.working_directory):
        return True
    if parcel.artifacts.seen_here():
        evaluator.prepare(parcel.artifacts.folder)
    elif packed is not None:
        evaluator.prepare(unpack(packed))
    else:
        return False
    return True


def _write_to(log: Path) -> bool:
    """Send all output to a file that the driver has made; where that is not seen, Ray keeps it.

    Returns:
        Whether it is seen.
    """
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    except OSError:
        return False
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    return True


class RayWorker(Worker):
    """An actor as the driver sees it, and the job that it is running.

    Attributes:
        awaited: What it has been asked and not answered; None if it is idle.
    """

    def __init__(self, name: str, settings: RayClusterSettings, log: Path | None) -> None:
        """Ask Ray for an actor; it answers `Placed` once there is a place for it."""
        super().__init__(name, log)
        if log is not None:
            log.touch()
        threads = dict.fromkeys(THREAD_COUNTS, str(settings.n_threads))
        # Numeric libraries read these when they are imported, so they are set at birth.
        variables = {**threads, **settings.runtime_env.get("env_vars", {})}
        actor = ray.remote(Actor).options(
            num_cpus=settings.num_cpus,
            num_gpus=settings.num_gpus,
            resources=settings.custom_resources,
            runtime_env={"env_vars": variables},
            # A dead worker is seen to here: Ray would run its job again without counting.
            max_restarts=0,
            max_task_retries=0,
        )
        started: Any = actor.remote(name, settings.n_threads, log)
        self._actor = started
        self.awaited: Any = self._actor.place.remote()
        self._has_begun = False
        self._log_start = 0  # bytes in the log when its job began

    def settle(self, placed: Placed) -> None:
        """Take note of where it runs."""
        self.node = placed.node
        if not placed.logged:
            self.log = None

    def load(self, parcel: Any, packed: Any = None) -> None:
        """Send the evaluator; the answer is `Ready`, `Refused` or `Missing`.

        Args:
            parcel: Reference of a `Parcel` in the object store.
            packed: Reference of packed artifacts.
        """
        self.awaited = self._actor.load.remote(parcel, packed)
        self.since = time.monotonic()

    def give(self, queued: Queued) -> None:
        """Send a job; the answer is `Begun`."""
        self.awaited = self._actor.begin.remote(queued.job)
        self.take(queued)

    def evaluate(self) -> None:
        """Have the job done that the worker has; the answer is its measurement."""
        self._has_begun = True
        self._log_start = self.log.stat().st_size if self.log else 0
        self.awaited = self._actor.evaluate.remote()

    def has_begun(self) -> bool:
        return self._has_begun

    def rest(self) -> float:
        self.awaited, self._has_begun = None, False
        return super().rest()

    def kill(self) -> None:
        ray.kill(self._actor)

    def cause_of_death(self, error: RayError) -> str:
        """Return why it does not answer, in a few words: Ray knows less of it than its log does."""
        cause = cause_of_death(error)
        if cause != CAUSES["worker process has died"] or self.log is None:
            return cause
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            received = SIGNAL.findall(log.read())
        return describe_exit(-signal.Signals[received[-1].decode()]) if received else cause


def cause_of_death(error: RayError) -> str:
    """Return why a worker does not answer, in a few words."""
    if isinstance(error, ActorUnavailableError):
        return "it cannot be reached"
    if isinstance(error, RayTaskError):
        return explain(error.cause)  # its own text is a traceback, in colours
    text = str(error)
    return next((cause for sign, cause in CAUSES.items() if sign in text), explain(error))
