"""Evaluations on the nodes of a Ray cluster."""

import atexit
import time
import warnings
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
from ray import cloudpickle
from ray.exceptions import RayError

from niwaki.core.errors import StudyError
from niwaki.core.measurement import Measurement
from niwaki.evaluation.base import Evaluator
from niwaki.study.executors.attempt import failure
from niwaki.study.executors.base import Executor, Finished, Job
from niwaki.study.executors.failures import explain
from niwaki.study.executors.ray_artifacts import Artifacts
from niwaki.study.executors.ray_cluster import RayClusterSettings
from niwaki.study.executors.ray_session import no_place, open_session
from niwaki.study.executors.ray_worker import (
    Answer,
    Missing,
    Parcel,
    Placed,
    RayWorker,
    Ready,
    Refused,
    cause_of_death,
)
from niwaki.study.executors.travel import packed


@dataclass(frozen=True)
class _Queued:
    """A job that waits for a worker, how many have begun it, and the nodes that they were on."""

    job: Job
    n_tries: int = 0
    nodes: frozenset[str] = frozenset()


class RayExecutor(Executor):
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
        self._evaluator = evaluator
        self._settings = settings or RayClusterSettings()
        self._logs = logs.resolve() if logs else None
        self._artifacts = artifacts
        self._parcel: Any = None  # references of what is in the object store
        self._packed: Any = None
        self._owns_session = False
        self._workers: dict[str, RayWorker] = {}
        self._names = [f"ray-{slot}" for slot in range(self._settings.n_workers)]
        self._failed_starts = dict.fromkeys(self._names, 0)
        self._queue: deque[_Queued] = deque()
        self._nodes: dict[int, frozenset[str]] = {}  # where jobs in flight were tried before
        self._finished: deque[Finished] = deque()
        self._target_id = ""
        self._placed_at = 0.0
        self._busy_s = 0.0
        self._started_at: float | None = None
        self._closed_at: float | None = None

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
        return min(1.0, busy_s / max(self._settings.n_workers * (now - self._started_at), 1e-9))

    def submit(self, job: Job) -> None:
        if self._closed_at is not None:
            raise StudyError("the executor is closed: make a new one to run more jobs")
        if self._started_at is None:
            self._open()
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
        if ray.is_initialized():
            for worker in self._workers.values():
                worker.kill()
            if self._owns_session:
                ray.shutdown()
        self._workers.clear()
        self._queue.clear()
        self._finished.clear()
        self._parcel = self._packed = None

    def _open(self) -> None:
        """Connect to Ray, and put the evaluator where every worker can fetch it."""
        evaluator = packed(self._evaluator, cloudpickle.dumps)
        artifacts = Artifacts.of(self._artifacts) if self._artifacts else None
        self._owns_session = open_session(self._settings)
        # Registered after Ray's own hook, so it runs before that.
        atexit.register(self.close)
        shipped = "working_dir" in self._settings.runtime_env
        parcel = Parcel(
            evaluator=evaluator,
            artifacts=artifacts if artifacts and artifacts.files else None,
            node=ray.get_runtime_context().get_node_id(),
            working_directory="" if shipped else str(Path.cwd()),
        )
        self._parcel = ray.put(parcel)
        self._started_at = self._placed_at = time.monotonic()

    def _busy(self) -> list[RayWorker]:
        return [worker for worker in self._workers.values() if worker.job is not None]

    def _put_to_work(self) -> None:
        """Give queued jobs to idle workers, and start workers for the rest."""
        while self._queue and (worker := self._idle_worker(self._queue[0].nodes)):
            queued = self._queue[0]
            self._nodes[queued.job.number] = queued.nodes
            worker.give(queued.job, n_tries=queued.n_tries + 1)
            self._queue.popleft()
        n_starting = sum(not worker.ready for worker in self._workers.values())
        for name in self._names:
            if n_starting >= len(self._queue):
                return
            if name not in self._workers:
                log = self._logs / f"{name}.log" if self._logs else None
                self._workers[name] = RayWorker.start(name, self._settings, log)
                n_starting += 1

    def _idle_worker(self, avoided: frozenset[str]) -> RayWorker | None:
        """Return a worker without a job, on another node than the avoided ones if there is one."""
        idle = [worker for worker in self._workers.values() if worker.idle]
        return min(idle, key=lambda worker: worker.node in avoided, default=None)

    def _listen(self, deadline: float | None) -> None:
        """Wait for the first answer of any worker, and deal with all there are."""
        awaited = {w.awaited: w for w in self._workers.values() if w.awaited is not None}
        patience_s = self._patience_s(deadline)
        first, others = ray.wait(list(awaited), num_returns=1, timeout=patience_s)
        if first and others:
            first += ray.wait(others, num_returns=len(others), timeout=0)[0]
        for reference in first:
            self._hear(awaited[reference])

    def _hear(self, worker: RayWorker) -> None:
        try:
            answer: Answer = ray.get(worker.awaited)
        except RayError as error:
            self._bury(worker, cause_of_death(error))
        else:
            self._answer(worker, answer)

    def _answer(self, worker: RayWorker, answer: Answer) -> None:
        match answer:
            case Placed(node=node):
                worker.node = node
                worker.load(self._parcel)
            case Missing():
                worker.load(self._parcel, self._pack())
            case Ready():
                worker.ready, worker.awaited = True, None
            case Refused(reason=reason):
                self._bury(worker, f"it cannot use the evaluator ({reason})")
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

    def _finish(self, worker: RayWorker, measurement: Measurement) -> None:
        job, n_tries = worker.job, worker.n_tries
        assert job is not None
        self._busy_s += worker.rest()
        if n_tries > 1:
            measurement = replace(measurement, details={**measurement.details, "n_tries": n_tries})
        self._nodes.pop(job.number, None)
        self._finished.append(Finished(job, measurement))

    def _bury(self, worker: RayWorker, cause: str) -> None:
        """Take a lost worker out, and decide what its loss means for its job."""
        worker.kill()
        del self._workers[worker.name]
        job = worker.job
        if job is None or not worker.began():
            self._queue_again(worker, n_tries=worker.n_tries - 1)
            self._note_failed_start(worker.name, cause)
        elif worker.n_tries <= self._settings.n_retries:
            self._queue_again(worker, n_tries=worker.n_tries)
        else:
            tries = f", {worker.n_tries} times" if worker.n_tries > 1 else ""
            self._fail(worker, f"worker died{tries}: {cause}")

    def _queue_again(self, worker: RayWorker, *, n_tries: int) -> None:
        """Put the job of a lost worker, if it had one, in front of all others."""
        if worker.job is not None:
            nodes = self._nodes.pop(worker.job.number) | {worker.node}
            self._queue.appendleft(_Queued(worker.job, n_tries, nodes))
            self._busy_s += worker.rest()

    def _fail(self, worker: RayWorker, reason: str) -> None:
        assert worker.job is not None
        seconds = time.monotonic() - worker.since
        self._finish(worker, failure(worker.job, reason, seconds=seconds, worker=worker.name))

    def _note_failed_start(self, name: str, cause: str) -> None:
        """Give a worker up that fails again and again; without any, the search ends."""
        self._failed_starts[name] += 1
        if self._failed_starts[name] < self._settings.n_start_failures:
            return
        if not any(worker.ready for worker in self._workers.values()):
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
        self._check_places(now)

    def _check_places(self, now: float) -> None:
        """End a search that has no place in the cluster."""
        if any(worker.node for worker in self._workers.values()):
            self._placed_at = now
        limit_s = self._settings.place_timeout_s
        if limit_s is not None and self._workers and now >= self._placed_at + limit_s:
            raise StudyError(f"for {limit_s:g} s, {no_place(self._settings.demand)}")

    def _limit_s(self, worker: RayWorker) -> float | None:
        """Return how long the worker may go on with what it does now."""
        if not worker.node:
            return None
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
        limit_s = self._settings.place_timeout_s
        if limit_s is not None and not any(worker.node for worker in self._workers.values()):
            ends.append(self._placed_at + limit_s)
        return max(0.0, min(ends) - time.monotonic()) if ends else None
