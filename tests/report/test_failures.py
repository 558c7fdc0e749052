"""Failures grouped by reason."""

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Measurement, Status, Trial
from niwaki.report import ReportData
from niwaki.report.failures import MAX_REASON_CHARACTERS, UNKNOWN, group_failures
from niwaki.report.models import Models, State
from tests.report.studies import LATENCY


def groups_of(*reasons: tuple[Status, str]) -> list[tuple[State, str, int]]:
    trials = [
        Trial(i, Candidate.of({"n": i}), Measurement(str(i), status=status, reason=reason))
        for i, (status, reason) in enumerate(reasons)
    ]
    models = Models(ReportData(study="s", objectives=(LATENCY,), trials=trials))
    return [(f.state, f.reason, len(f.rows)) for f in group_failures(models.rows)]


def test_reasons_that_differ_in_numbers_are_one() -> None:
    found = groups_of(
        (Status.INFEASIBLE, "macs 9.1e+07 > 3e7"),
        (Status.FAILED, "loss is NaN at step 3"),
        (Status.FAILED, "out of memory at 0xfe01"),
        (Status.FAILED, "loss is NaN at step 41"),
        (Status.INFEASIBLE, "macs 91,234,567 > 3e7"),
        (Status.COMPLETE, ""),
    )
    assert found == [
        (State.FAILED, "loss is NaN at step 3", 2),
        (State.FAILED, "out of memory at 0xfe01", 1),
        (State.INFEASIBLE, "macs 9.1e+07 > 3e7", 2),
    ]


def test_missing_and_endless_reasons_are_bounded() -> None:
    (first, second) = groups_of((Status.FAILED, "  "), (Status.FAILED, "x" * 10_000))
    assert first[1] == UNKNOWN
    assert len(second[1]) == MAX_REASON_CHARACTERS
