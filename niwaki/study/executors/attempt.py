"""One evaluation, from a job to a measurement, whatever happens in between."""

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import replace

from niwaki.core.errors import TargetLostError
from niwaki.core.fidelity import FULL
from niwaki.core.jsonable import JSON
from niwaki.core.measurement import Measurement, Status
from niwaki.core.wording import kind_of
from niwaki.evaluation.base import Evaluator
from niwaki.study.executors.base import Job
from niwaki.study.executors.failures import explain_with_place, traceback_lines
from niwaki.study.record.soundness import in_plain_types, sound


def attempt(evaluator: Evaluator, job: Job, *, worker: str) -> Measurement:
    """Evaluate a job's candidate.

    Args:
        evaluator: Runs in this process.
        job: What to evaluate.
        worker: Name to leave in the measurement.

    Returns:
        The evaluator's measurement, with the job's seed, the worker, and the wall time unless the
        evaluator filled it in itself (a table knows what training had cost). Its fidelity is the
        job's, or the full one where the candidate gains nothing by effort.
        Failed, with a reason, if the evaluator raised or returned something that is not finite, or
        as large as what overflows next.

    Raises:
        TargetLostError: If the target's machine cannot be reached: that says nothing about the
            candidate.
    """
    start, fidelity, process = time.perf_counter(), job.fidelity, os.getpid()
    try:
        measurement = evaluator.evaluate(job.candidate, fidelity=job.fidelity, seed=job.seed)
        measurement = _checked(measurement, job)
        if fidelity < FULL and not evaluator.gains_by_effort(job.candidate):
            fidelity = FULL
    except (KeyboardInterrupt, TargetLostError):  # Ctrl-C in the search's own process alone
        raise
    except BaseException as error:  # also what is no Exception, such as asyncio's CancelledError
        details: dict[str, JSON] = {"traceback": traceback_lines(error)}
        measurement = failure(job, explain_with_place(error), details=details)
    finally:
        _end_unless(process)
    return replace(
        measurement,
        fidelity=fidelity,
        seed=job.seed,
        seconds=measurement.seconds or time.perf_counter() - start,
        worker=worker,
    )


def _end_unless(process: int) -> None:
    """End a copy of the process that an evaluation forked and let go on: one answer is enough."""
    if os.getpid() != process:
        print("a process that an evaluation forked is ended here", file=sys.stderr, flush=True)  # noqa: T201
        os._exit(1)


def failure(
    job: Job,
    reason: str,
    *,
    seconds: float = 0.0,
    worker: str = "",
    details: Mapping[str, JSON] | None = None,
) -> Measurement:
    """Return the failed measurement of a job."""
    return Measurement(
        key=job.candidate.key,
        status=Status.FAILED,
        reason=reason,
        fidelity=job.fidelity,
        seed=job.seed,
        seconds=seconds,
        worker=worker,
        details=details or {},
    )


def _checked(measurement: Measurement, job: Job) -> Measurement:
    """Return the measurement in plain types; failed if a value is not finite, or too large."""
    if not isinstance(measurement, Measurement):
        raise TypeError(
            f"the evaluator returned {kind_of(measurement)}: evaluate must return a Measurement"
        )
    if measurement.key != job.candidate.key:
        raise ValueError(
            f"the evaluator returned the measurement of candidate {measurement.key}, but "
            f"{job.candidate.key} was asked for: set key=candidate.key"
        )
    return sound(in_plain_types(measurement))
