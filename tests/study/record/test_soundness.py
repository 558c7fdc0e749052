"""Values that cannot be reckoned with, when they are measured and when they are read."""

import json
import math
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pytest

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Measurement, Status
from niwaki.study.record.events import Asked, Told
from niwaki.study.record.history import History
from niwaki.study.record.soundness import in_plain_types, sound, whole_for_any

CANDIDATE = Candidate.of({"width": 8})


@pytest.mark.parametrize("value", [1e308, -1e101, math.nan, math.inf])
def test_what_overflows_next_fails_by_name(value: float) -> None:
    found = sound(Measurement(CANDIDATE.key, {"loss": value, "params": 1.0}))
    assert (found.status, found.values) == (Status.FAILED, {"params": 1.0})
    assert found.reason.startswith(f"'loss' is {value}: a value must be finite, and at most 1e+100")


def test_what_is_sound_or_failed_already_stays() -> None:
    fine = Measurement(CANDIDATE.key, {"loss": -1e100})
    assert sound(fine) is fine
    failed = Measurement(CANDIDATE.key, {"loss": math.nan}, status=Status.FAILED, reason="diverged")
    assert sound(failed).reason == "diverged"


def test_values_of_older_ledgers_are_read_as_failures() -> None:
    told = Told(0, Measurement(CANDIDATE.key, {"loss": 1e308}))
    history = History.of([Asked(0, CANDIDATE), told])
    assert history.n_complete == 0
    assert history.trials[0].measurement.status is Status.FAILED


class Unspeakable:
    def __repr__(self) -> str:
        raise ValueError("not yet built")


@pytest.mark.parametrize(
    ("odd", "plain"),
    [
        (np.array([1.5, math.nan]), [1.5, None]),
        (np.int64(3), 3),
        ((True, "a", None, -math.inf), [True, "a", None, None]),
        ({1: {"b": np.float32(0.5)}}, {"1": {"b": 0.5}}),
        (2**1023, 2**1023),
        (PurePosixPath("a"), "PurePosixPath('a')"),
        ({"a" * 300}, "{'" + "a" * 198),
        (Unspeakable(), "<Unspeakable>"),
    ],
)
def test_details_become_what_json_can_spell(odd: Any, plain: object) -> None:
    found = in_plain_types(Measurement(CANDIDATE.key, details={"odd": odd}))
    assert found.details == {"odd": plain}
    json.dumps(found.to_json(), allow_nan=False)


def test_details_without_end_end_and_long_integers_are_described() -> None:
    endless: dict[str, Any] = {"long": 2**1024}
    endless["again"] = endless
    within: list[Any] = []
    within.append(within)
    assert in_plain_types(Measurement(CANDIDATE.key, details={"odd": within})).details["odd"]
    found = in_plain_types(Measurement(CANDIDATE.key, details=endless))
    assert found.details["long"] == repr(2**1024)[:200]
    assert len(json.dumps(found.to_json())) < 64 * 300


@pytest.mark.parametrize(("seconds", "taken"), [(np.float32(2), 2.0), (-1.0, 0.0), ("3", 0.0)])
def test_a_time_that_is_none_is_nobodys(seconds: Any, taken: float) -> None:
    for odd, time in ((seconds, taken), (math.nan, 0.0), (math.inf, 0.0)):
        found = in_plain_types(Measurement(CANDIDATE.key, seconds=odd)).seconds
        assert (found, type(found)) == (time, float)


def test_what_has_all_that_one_goal_wants_is_whole() -> None:
    found = Measurement(CANDIDATE.key, {"near": 1.0, "ms": 2.0})
    assert whole_for_any(found, [("far", "ms"), ("near", "ms")]) is found
    failed = whole_for_any(found, [("far", "ms"), ("deep", "ms")])
    assert failed.status is Status.FAILED
    assert failed.reason.startswith("the evaluator gave no value of far, deep:")
