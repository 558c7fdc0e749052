"""Values that cannot be reckoned with, when they are measured and when they are read."""

import math

import pytest

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Measurement, Status
from niwaki.study.record.events import Asked, Told
from niwaki.study.record.history import History
from niwaki.study.record.soundness import sound

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
