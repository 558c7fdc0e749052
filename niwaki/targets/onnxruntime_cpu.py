"""ONNX Runtime on the processor of this machine."""

import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from niwaki.core.errors import TargetError
from niwaki.core.jsonable import JSON, fingerprint
from niwaki.core.randomness import derived_seed, stream
from niwaki.targets.base import Effort, Feeds, Model, Outputs, Runner
from niwaki.targets.capabilities import Capabilities
from niwaki.targets.cpu_capabilities import cpu_capabilities
from niwaki.targets.feeds import check_pairs
from niwaki.targets.latency import Latency
from niwaki.targets.lock import computing, measurement_lock
from niwaki.targets.machine import (
    affinity,
    describe_machine,
    load_average,
    processor,
    usable_cores,
)
from niwaki.targets.onnxruntime_target import OnnxRuntimeTarget
from niwaki.targets.protocol import (
    PROTOCOL_VERSION,
    SESSION_SPREAD,
    Run,
    Samples,
    clock_for,
    interleave,
    pinned,
    time_alone,
)
from niwaki.targets.reference import reference_feeds, reference_model
from niwaki.targets.sessions import describe, open_session, run_session
from niwaki.targets.statistics import median_of_runs, undisturbed


@dataclass(frozen=True)
class OnnxRuntimeCpu(OnnxRuntimeTarget):
    """ONNX Runtime on this processor.

    Attributes are those of `OnnxRuntimeTarget`.

    Raises:
        TargetError: On threads below 1, or cores that this process may not use; when it measures,
            on fewer cores than threads.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if strangers := sorted(set(self.cores) - set(affinity())):
            raise TargetError(
                f"core {strangers[0]} was asked for, but this process may use {list(affinity())}: "
                "choose among these, or none to leave it to the system"
            )

    @property
    def target_id(self) -> str:
        cpu = processor()
        identity: dict[str, JSON] = {
            "runtime": f"onnxruntime {onnxruntime.__version__}",
            "processor": cpu.model,
            "architecture": cpu.architecture,
            "flags": list(cpu.flags),
            "threads": self.threads,
            "spinning": self.spinning,
            "disabled_optimizers": list(self.disabled_optimizers),
            "cores": list(self.cores),
            "protocol": PROTOCOL_VERSION,
        }
        return f"onnxruntime-cpu-t{self.threads}-{fingerprint(identity, n_hex=8)}"

    @property
    def capabilities(self) -> Capabilities:
        return cpu_capabilities(processor())

    def run(self, model: Model, feeds: Feeds) -> Outputs:
        return self.open(model)(feeds)

    def open(self, model: Model) -> Runner:
        session = open_session(model, self.session_settings)
        return partial(run_session, session, what=describe(model))

    def optimised(self, model: Model) -> onnx.ModelProto:
        with tempfile.TemporaryDirectory(prefix="niwaki-") as folder:
            path = Path(folder) / "optimised.onnx"
            open_session(model, self.session_settings, optimised_path=path)
            return onnx.load(path)

    def calibrate(self) -> float:
        with self._pinned():
            run = self._runner(reference_model(), reference_feeds())
            with self._lock():
                return time_alone(run, budget=self.thorough, clock=clock_for(self.threads))

    def describe(self) -> dict[str, JSON]:
        return describe_machine()

    def measure(
        self,
        models: Sequence[Model],
        feeds: Sequence[Feeds],
        *,
        effort: Effort = Effort.QUICK,
        seed: int = 0,
    ) -> list[Latency]:
        check_pairs(models, feeds)
        with self._pinned():
            reference = self._runner(reference_model(), reference_feeds())
            runs = [self._runner(model, given) for model, given in zip(models, feeds, strict=True)]
            with self._lock():
                samples = interleave(
                    runs,
                    reference,
                    budget=self.quick if effort is Effort.QUICK else self.thorough,
                    clock=clock_for(self.threads),
                    seed=derived_seed(seed, "turns"),
                )
        return [self._latency(sample, seed) for sample in samples]

    def computing(self) -> AbstractContextManager[None]:
        return computing(self.lock_path, timeout_seconds=self.lock_timeout_seconds)

    @contextmanager
    def _pinned(self) -> Iterator[None]:
        """Run on the cores that were asked for, which must be enough for the threads."""
        with pinned(self.cores):
            n_cores = math.ceil(usable_cores())
            if self.threads > n_cores:
                raise TargetError(
                    f"{self.threads} threads were asked for, but there are {n_cores} cores for "
                    "them here: those that wait for a core tell nothing of latency. Give at most "
                    f"{n_cores} `threads`, or more `cores`"
                )
            yield

    def _lock(self) -> AbstractContextManager[None]:
        return measurement_lock(self.lock_path, timeout_seconds=self.lock_timeout_seconds)

    def _runner(self, model: Model, feeds: Feeds) -> Run:
        session = open_session(model, self.session_settings)
        given = dict(feeds)
        # The first run, with its checks, happens here, so that errors come before the waiting.
        names = list(run_session(session, given, what=describe(model)))
        return partial(session.run, names, given)

    def _latency(self, samples: Samples, seed: int) -> Latency:
        reference_ms = undisturbed(samples.reference_ms)
        ratio = samples.ratio.widened(SESSION_SPREAD)
        median = median_of_runs(samples.wall_ms, stream(seed, "interval"))
        p90_ms, p99_ms = np.percentile(samples.wall_ms, (90, 99))
        return Latency(
            target_id=self.target_id,
            ratio=ratio.value,
            ratio_low=ratio.low,
            ratio_high=ratio.high,
            nominal_reference_ms=self.nominal_reference_ms or reference_ms,
            reference_ms=reference_ms,
            p50_ms=median.value,
            p90_ms=float(p90_ms),
            p99_ms=float(p99_ms),
            min_ms=float(samples.wall_ms.min()),
            interval_low_ms=median.low,
            interval_high_ms=median.high,
            n_runs=samples.wall_ms.size,
            load_average=load_average(),
            converged=samples.converged,
        )
