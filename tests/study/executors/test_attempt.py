"""An attempt always ends in a measurement fit for the ledger."""

import asyncio
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Measurement, Status
from niwaki.study.executors.attempt import attempt
from niwaki.study.executors.base import Job
from niwaki.testing.scripted_evaluator import ScriptedEvaluator, script

JOB = Job(0, script("return"), fidelity=0.25, seed=5)


@dataclass(frozen=True)
class Returning(ScriptedEvaluator):
    """Returns what it was made with."""

    result: Any = None

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        result: Measurement = self.result
        return result


def attempt_returning(**fields: Any) -> Measurement:
    measurement = Measurement(**{"key": JOB.candidate.key, **fields})
    return attempt(Returning(result=measurement), JOB, worker="here")


def test_numbers_of_numpy_become_plain() -> None:
    values = {"a": np.float32(0.5), "b": np.int64(3), "c": True}
    measurement = attempt_returning(values=values)
    assert measurement.values == {"a": 0.5, "b": 3.0, "c": 1.0}
    assert {type(value) for value in measurement.values.values()} == {float}


@pytest.mark.parametrize("seconds", [np.float32(1.5), math.nan, "long", None, -1.0])
def test_odd_plain_fields_cost_nothing(seconds: object) -> None:
    found = attempt_returning(
        values={"a": 1.0}, status="complete", reason=None, target_id=None, seconds=seconds
    )
    assert found.complete and found.status is Status.COMPLETE
    assert found.seconds == 1.5 or 0.0 < found.seconds < 1.0  # as it was measured here
    assert Measurement.from_json(json.loads(json.dumps(found.to_json()))).values == {"a": 1.0}


def test_odd_details_cost_nothing() -> None:
    details = {
        "array": np.arange(3),
        "scalar": np.float32(0.5),
        "nan": math.nan,
        "path": Path("x"),
        "tuple": (1, (2, math.inf)),
        3: {4: None},
    }
    measurement = attempt_returning(values={"loss": 1.0}, details=details)
    assert measurement.complete
    assert json.loads(json.dumps(measurement.details, allow_nan=False)) == {
        "array": [0, 1, 2],
        "scalar": 0.5,
        "nan": None,
        "path": repr(Path("x")),
        "tuple": [1, [2, None]],
        "3": {"4": None},
    }


class Unspeakable:
    def __repr__(self) -> str:
        raise ValueError("nobody knows")


def test_details_that_cannot_be_spelled_cost_nothing() -> None:
    holds_itself: dict[str, object] = {}
    holds_itself["self"] = holds_itself
    nested: list[object] = []
    for _ in range(5000):
        nested = [nested]
    huge, large = 10**5000, 2**70
    details = {"a": holds_itself, "b": nested, "c": huge, "d": large, "e": Unspeakable()}
    measurement = attempt_returning(values={"loss": 1.0}, details=details)
    assert measurement.complete
    written = json.loads(json.dumps(measurement.to_json(), allow_nan=False))["details"]
    assert (written["c"], written["d"], written["e"]) == ("<int>", large, "<Unspeakable>")
    assert list(written["a"]) == ["self"]


def test_all_values_that_are_not_finite_are_named_and_the_others_kept() -> None:
    values = {"loss": math.nan, "latency_ms": 2.0, "ratio": -math.inf}
    measurement = attempt_returning(values=values)
    assert measurement.status is Status.FAILED
    assert measurement.reason.startswith("'loss' is nan, 'ratio' is -inf: a value must be finite")
    assert measurement.values == {"latency_ms": 2.0}


@pytest.mark.parametrize("value", [None, [0.5], np.zeros(2), {"mean": 0.5}, "0.5", b"1"])
def test_a_value_that_is_no_number_is_named(value: object) -> None:
    measurement = attempt_returning(values={"accuracy": value})
    assert measurement.status is Status.FAILED
    assert measurement.reason == f"TypeError: 'accuracy' is {value!r}: a value must be a number"


def test_a_value_that_would_overflow_next_fails() -> None:
    measurement = attempt_returning(values={"loss": 1e308, "latency_ms": -1e100})
    assert measurement.status is Status.FAILED
    assert measurement.reason.startswith("'loss' is 1e+308: a value must be finite, and at most")
    assert measurement.values == {"latency_ms": -1e100}


def test_a_failure_that_the_evaluator_reports_keeps_its_reason() -> None:
    values = {"loss": math.nan}
    measurement = attempt_returning(status=Status.FAILED, reason="no export", values=values)
    assert (measurement.status, measurement.reason) == (Status.FAILED, "no export")
    assert measurement.values == {}


def test_seconds_that_the_evaluator_knows_are_kept() -> None:
    assert attempt_returning(seconds=3600.0).seconds == 3600.0
    assert 0.0 < attempt_returning().seconds < 60.0


def test_the_job_decides_fidelity_and_seed() -> None:
    measurement = attempt_returning(fidelity=1.0, seed=1)
    assert (measurement.fidelity, measurement.seed, measurement.worker) == (0.25, 5, "here")


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (None, "returned a NoneType"),
        ({"loss": 1.0}, "returned a dict"),
        (Measurement(key="other"), "of candidate other"),
        (
            Measurement(JOB.candidate.key, {"loss": "low"}),  # type: ignore[dict-item]
            "'loss' is 'low': a value must be a number",
        ),
    ],
)
def test_what_is_no_measurement_of_the_job_is_a_failure(result: object, reason: str) -> None:
    measurement = attempt(Returning(result=result), JOB, worker="here")
    assert measurement.status is Status.FAILED
    assert measurement.key == JOB.candidate.key
    assert reason in measurement.reason


class Canceller(ScriptedEvaluator):
    """Awaits what was cancelled meanwhile."""

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        raise asyncio.CancelledError("the reply is late")


def test_what_is_no_exception_of_the_usual_kind_is_a_failure_too() -> None:
    measurement = attempt(Canceller(), JOB, worker="here")
    assert measurement.status is Status.FAILED
    assert measurement.reason.startswith("CancelledError: the reply is late (")


def test_an_interruption_is_not_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(candidate: Candidate, **_: Mapping[str, object]) -> Measurement:
        raise KeyboardInterrupt

    monkeypatch.setattr(ScriptedEvaluator, "evaluate", lambda _, c, **k: interrupt(c, **k))
    with pytest.raises(KeyboardInterrupt):
        attempt(ScriptedEvaluator(), JOB, worker="here")
