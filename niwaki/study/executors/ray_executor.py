"""Evaluations on the nodes of a Ray cluster."""

import logging
import time
import warnings
from pathlib import Path
from typing import Any

import ray
from ray import cloudpickle
from ray.exceptions import RayError

from niwaki.core.errors import StudyError
from niwaki.core.measurement import Measurement
from niwaki.evaluation.base import Evaluator
from niwaki.study.executors.failures import explain
from niwaki.study.executors.pool import WorkerPool
from niwaki.study.executors.ray_artifacts import Artifacts
from niwaki.study.executors.ray_cluster import RayClusterSettings
from niwaki.study.executors.ray_session import no_place, open_session
from niwaki.study.executors.ray_worker import (
    Answer,
    Begun,
    Lost,
    Missing,
    Parcel,
    Placed,
    RayWorker,
    Ready,
    Refused,
    cause_of_death,
    started_mailbox,
)
from niwaki.study.executors.travel import packed

TAKING_S = 0.1  # to wait for a worker that takes a job
LAST_MAIL_S = 0.2  # to wait for what a worker may have said
_log = logging.getLogger(__name__)


class RayExecutor(WorkerPool[RayWorker]):
    """A pool of Ray actors, one job each at a time, wherever the cluster has room for them.

    Workers start with the first jobs that need them and keep their evaluator from job to job. One
    that is lost, alone or with its node, is replaced, and its job is tried again elsewhere. When
    this process dies, however it does, Ray ends its actors.

    What the evaluator has prepared is read in place by workers that see the same files at the same
    path, and is sent through the object store to those that do not. Data that it loads by itself
    must be on every node, or come with `runtime_env`.

    Args:
        evaluator: Pickled once (cloudpickle). Its modules must be importable on the nodes; files
            that were imported by their path are sent along.
        settings: How many workers, what they take, and how patient to be with them.
        logs: Existing folder for what workers print; those that do not see it leave it to Ray.
        artifacts: Where the evaluator has prepared what it needs; None if it needs nothing.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        settings: RayClusterSettings | None = None,
        *,
        logs: Path | None = None,
        artifacts: Path | None = None,
    ) -> None:
        self._settings = settings or RayClusterSettings()
        super().__init__(
            self._settings, [f"ray-{slot}" for slot in range(self._settings.n_workers)]
        )
        self._evaluator = evaluator
        self._logs = logs.resolve() if logs else None
        self._artifacts = artifacts
        self._parcel: Any = None  # references of what is in the object store
        self._packed: Any = None
        self._mailbox: Any = None  # takes what workers have to say
        self._mail: Any = None  # reference of the next sentence; None once the mailbox is lost
        self._owns_session = False
        self._failed_starts = dict.fromkeys(self._names, 0)
        self._target_id = ""
        self._placed_at = 0.0

    def _open(self) -> None:
        """Connect to Ray, and put the evaluator where every worker can fetch it."""
        evaluator = packed(self._evaluator, cloudpickle.dumps)
        artifacts = Artifacts.of(self._artifacts) if self._artifacts else None
        self._owns_session = open_session(self._settings)
        node = ray.get_runtime_context().get_node_id()
        self._mailbox = started_mailbox(node)
        self._mail = self._mailbox.take.remote()
        shipped = "working_dir" in self._settings.runtime_env
        parcel = Parcel(
            evaluator=evaluator,
            artifacts=artifacts if artifacts and artifacts.files else None,
            mailbox=self._mailbox,
            node=node,
            working_directory="" if shipped else str(Path.cwd()),
        )
        self._parcel = ray.put(parcel)
        self._placed_at = time.monotonic()

    def _start(self, name: str) -> RayWorker:
        log = self._logs / f"{name}.log" if self._logs else None
        return RayWorker(name, self._settings, log)

    def _dismiss(self) -> None:
        if ray.is_initialized():
            for worker in self._workers.values():
                worker.kill()
            if self._mailbox is not None:
                self._read_last_mail()
                ray.kill(self._mailbox)
            if self._owns_session:
                ray.shutdown()
        self._parcel = self._packed = self._mailbox = self._mail = None

    def _give_out(self) -> None:
        while self._queue and (worker := self._idle_worker(self._queue[0].nodes)):
            worker.give(self._queue[0])
            self._queue.popleft()
            # Sent on now and not at the next wait: until then the driver may think for long.
            if ray.wait([worker.awaited], timeout=TAKING_S)[0]:
                self._hear(worker)

    def _idle_worker(self, avoided: frozenset[str]) -> RayWorker | None:
        """Return a worker without a job, on another node than the avoided ones if there is one."""
        idle = [worker for worker in self._workers.values() if worker.idle]
        return min(idle, key=lambda worker: worker.node in avoided, default=None)

    def _listen(self, deadline: float | None) -> None:
        awaited = {w.awaited: w for w in self._workers.values() if w.awaited is not None}
        mail = [] if self._mail is None else [self._mail]
        patience_s = self._patience_s(deadline)
        first, others = ray.wait([*awaited, *mail], num_returns=1, timeout=patience_s)
        if first and others:
            first += ray.wait(others, num_returns=len(others), timeout=0)[0]
        for reference in first:
            if reference in awaited:
                self._hear(awaited[reference])
            else:
                self._read_mail()

    def _read_mail(self) -> None:
        """Hand on what a worker has said."""
        try:
            _log.warning("%s", ray.get(self._mail))
        except RayError as error:
            self._mail = None
            _log.warning("what workers say is in their logs alone: %s", cause_of_death(error))
        else:
            self._mail = self._mailbox.take.remote()

    def _read_last_mail(self) -> None:
        """Hand on what was said just before the last answer: nobody waits until it has arrived."""
        while self._mail is not None and ray.wait([self._mail], timeout=LAST_MAIL_S)[0]:
            self._read_mail()

    def _hear(self, worker: RayWorker) -> None:
        try:
            answer: Answer = ray.get(worker.awaited)
        except RayError as error:
            self._bury(worker, worker.cause_of_death(error))
        else:
            self._answer(worker, answer)

    def _answer(self, worker: RayWorker, answer: Answer) -> None:
        match answer:
            case Placed() as placed:
                worker.settle(placed)
                worker.load(self._parcel)
            case Missing():
                worker.load(self._parcel, self._pack())
            case Ready():
                worker.ready, worker.awaited = True, None
            case Refused(reason=reason):
                self._bury(worker, f"it cannot use the evaluator ({reason})")
            case Begun():
                worker.evaluate()
            case Lost(reason=reason):
                self._stop_for(worker, reason)
            case Measurement() as measurement:
                self._failed_starts[worker.name] = 0
                self._check_target(measurement)
                self._finish(worker, measurement)

    def _pack(self) -> Any:
        """Put the artifacts into the object store, for nodes that do not see them."""
        if self._packed is None:
            assert self._artifacts is not None
            packed = Artifacts.of(self._artifacts).pack()
            try:
                self._packed = ray.put(packed)
            except RayError as error:
                raise StudyError(
                    f"what the evaluator prepared ({len(packed) / 1e6:.0f} MB) does not fit into "
                    f"Ray's object store ({explain(error)}): put the run folder on a file system "
                    "that all nodes share"
                ) from error
        return self._packed

    def _check_target(self, measurement: Measurement) -> None:
        """Refuse to mix latencies of several devices in one study."""
        self._target_id = self._target_id or measurement.target_id
        if measurement.target_id not in ("", self._target_id):
            raise StudyError(
                f"worker {measurement.worker} measured on '{measurement.target_id}', and others "
                f"on '{self._target_id}': these latencies do not compare. Name the resource of "
                "the nodes with the target device in `target_resource`, and run again"
            )

    def _note_failed_start(self, worker: RayWorker, cause: str) -> None:
        """Give a worker up that fails again and again; with the last one, the search ends."""
        name = worker.name
        self._failed_starts[name] += 1
        if self._failed_starts[name] < self._settings.n_start_failures:
            return
        if self._names == [name]:  # others may still be loading, or have work
            raise StudyError(
                f"no worker can be started on the Ray cluster, {self._failed_starts[name]} failed "
                f"in a row; the last one: {cause}. niwaki and the evaluator's modules must be "
                "importable on every node that workers are placed on: install them there, send "
                "a package with `runtime_env: {py_modules: [folder]}`, or name the plug-in by its "
                "file, which is sent along. `resources` and `target_resource` say which nodes "
                "these are"
            )
        self._names.remove(name)
        warnings.warn(
            f"worker {name} is given up after {self._failed_starts[name]} starts that failed, the "
            f"last one: {cause}. The search goes on with {len(self._names)}",
            RuntimeWarning,
            stacklevel=2,
        )

    def _stop_overdue(self) -> None:
        super()._stop_overdue()
        now, limit_s = time.monotonic(), self._settings.place_timeout_s
        if any(worker.node for worker in self._workers.values()):
            self._placed_at = now
        if limit_s is not None and self._workers and now >= self._placed_at + limit_s:
            raise StudyError(f"for {limit_s:g} s, {no_place(self._settings.demand)}")

    def _limit_s(self, worker: RayWorker) -> float | None:
        return super()._limit_s(worker) if worker.node else None

    def _deadlines(self) -> list[float]:
        limit_s = self._settings.place_timeout_s
        placed = any(worker.node for worker in self._workers.values())
        waits = [] if limit_s is None or placed else [self._placed_at + limit_s]
        return super()._deadlines() + waits
