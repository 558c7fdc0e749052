"""Measurements survive the ledger."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from niwaki.core import Candidate, Measurement, Status
from niwaki.core.measurement import Trial, whole

FINITE = st.floats(allow_nan=False, allow_infinity=False)
MEASUREMENTS = st.builds(
    Measurement,
    key=st.text(),
    values=st.dictionaries(st.text(), FINITE),
    status=st.sampled_from(Status),
    reason=st.text(),
    fidelity=st.floats(0.01, 1.0),
    seed=st.integers(0, 2**63),
    target_id=st.text(),
    seconds=st.integers(0, 10**9).map(lambda micros: round(micros / 1e6, 6)),
    worker=st.text(),
    details=st.dictionaries(st.text(), st.none() | FINITE | st.lists(st.text())),
)


@given(MEASUREMENTS)
def test_json_brings_it_back(measurement: Measurement) -> None:
    assert Measurement.from_json(json.loads(json.dumps(measurement.to_json()))) == measurement


def test_a_value_that_is_not_finite_is_null_and_comes_back_as_nan() -> None:
    data = Measurement("k", {"a": math.inf, "b": math.nan, "c": 1.0}).to_json()
    assert data["values"] == {"a": None, "b": None, "c": 1.0}
    again = Measurement.from_json(data)
    assert math.isnan(again.values["a"])
    assert again.values["c"] == 1.0


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("values", [1], TypeError),
        ("values", {"a": "1"}, TypeError),
        ("values", {"a": True}, TypeError),
        ("seed", 1.5, TypeError),
        ("fidelity", "1", TypeError),
        ("status", "fine", ValueError),
    ],
)
def test_a_field_of_another_type_is_refused(
    field: str, value: object, error: type[Exception]
) -> None:
    data = {**Measurement("k").to_json(), field: value}
    with pytest.raises(error):
        Measurement.from_json(data)  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["key", "values", "status", "details", "seed"])
def test_a_missing_field_is_refused(field: str) -> None:
    data = {name: value for name, value in Measurement("k").to_json().items() if name != field}
    with pytest.raises(KeyError, match=field):
        Measurement.from_json(data)


def test_only_a_complete_one_is_complete() -> None:
    assert [Measurement("k", status=status).complete for status in Status] == [True, False, False]


def test_a_complete_measurement_that_lacks_a_wanted_value_has_failed() -> None:
    found = Measurement("k", {"a": 1.0}, seed=3)
    assert whole(found, ["a"]) is found
    seen = whole(found, ["a", "b", "c"])
    assert (seen.status, seen.values, seen.seed) == (Status.FAILED, {"a": 1.0}, 3)
    assert seen.reason.startswith("the evaluator gave no value of b, c")
    assert whole(Measurement("k", reason="no such layer"), ["b"]).reason == "no such layer"


@pytest.mark.parametrize("status", [Status.FAILED, Status.INFEASIBLE])
def test_one_that_is_not_complete_stays_what_it_is(status: Status) -> None:
    found = Measurement("k", status=status, reason="it broke")
    assert whole(found, ["b"]) is found
    trial = Trial(0, Candidate.of({"width": 8}), found)
    assert trial.seen_by(["b"]) is trial


def test_what_is_done_to_a_copied_trial_changes_no_other() -> None:
    trial = Trial(0, Candidate.of({"width": 8}), Measurement("k", {"a": 1.0}, details={"b": 2}))
    copy = trial.copied()
    assert copy == trial
    copy.measurement.values.clear()  # type: ignore[attr-defined]
    copy.measurement.details.clear()  # type: ignore[attr-defined]
    assert (trial.measurement.values, trial.measurement.details) == ({"a": 1.0}, {"b": 2})
