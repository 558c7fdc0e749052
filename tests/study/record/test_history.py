"""What counts as study time, and what does not."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from niwaki.core.candidate import Candidate
from niwaki.core.constraints import Constraint
from niwaki.core.measurement import Measurement
from niwaki.study.record.events import Asked, Baseline, Final, Note, Started
from niwaki.study.record.history import SESSION, History
from niwaki.study.record.ledger import Ledger, read_ledger
from niwaki.study.record.recorder import Recorder

CANDIDATE = Candidate.of({"width": 8})


def at(seconds: float) -> str:
    return (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).isoformat()


BEGUN = (Started("s", "hash", 0, at=at(0)), Note(f"{SESSION} starts", at=at(0)))


def test_a_pause_between_sessions_is_no_study_time() -> None:
    again = Note(f"{SESSION} starts", at=at(5000))
    history = History.of([*BEGUN, Asked(0, CANDIDATE, at=at(7)), again])
    history.add(Asked(1, CANDIDATE, at=at(5003)))
    assert history.seconds == 10.0


def test_nor_is_one_after_which_the_ledger_had_to_be_repaired(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    with Ledger.open(path) as ledger:
        for event in (*BEGUN, Asked(0, CANDIDATE, at=at(7))):
            ledger.append(event)
    with path.open("ab") as file:
        file.write(b'{"event":"told"')  # and the machine went off, long before now
    with Ledger.open(path) as ledger:
        ledger.append(Note(f"{SESSION} starts"))
    assert History.of(read_ledger(path)).seconds == 7.0


@pytest.mark.parametrize("jump_s", [30000.0, -30000.0])
def test_nor_is_what_a_machine_slept_or_its_clock_was_set_by(tmp_path: Path, jump_s: float) -> None:
    passed = iter([0.0, 0.0, 7.0, 67.0, 70.0])
    path = tmp_path / "trials.jsonl"
    with Ledger.open(path) as ledger:
        recorder = Recorder(ledger, History(), clock=lambda: next(passed))
        for event in (*BEGUN, Asked(0, CANDIDATE, at=at(7))):
            recorder.record(event)
        recorder.record(Asked(1, CANDIDATE, at=at(67 + jump_s)))
        recorder.record(Asked(2, CANDIDATE, at=at(70 + jump_s)))
    assert recorder.history.seconds == 70.0
    events = read_ledger(path)
    assert History.of(events).seconds == 70.0
    notes = [event.text for event in events if isinstance(event, Note)]
    assert notes[1].startswith(f"the time of day jumped by {jump_s:.0f} s")
    assert notes[2:] == [f"{SESSION} goes on"]


def measured(ms: float) -> Measurement:
    return Measurement(CANDIDATE.key, {"ms": ms})


def test_the_baseline_was_measured_at_a_study_time() -> None:
    history = History.of([*BEGUN, Baseline(CANDIDATE, measured(4.0), at=at(5))])
    history.add(Asked(0, CANDIDATE, at=at(9)))
    assert (history.baseline_at, history.seconds) == (5.0, 9.0)


def test_files_are_bound_by_the_baselines_own_file_and_trials_by_its_measurement() -> None:
    bounds = [Constraint.parse(text) for text in ("ms <= 0.5 * baseline", "ms <= 3")]
    history = History.of(BEGUN)
    assert [bound.limit for bound in history.bounds(bounds)] == [3.0]
    history.add(Baseline(CANDIDATE, measured(4.0), at=at(5)))
    assert [bound.limit for bound in history.bounds(bounds, exported=True)] == [2.0, 3.0]
    history.add(Final(0, measured(5.0), at=at(6)))
    assert [bound.limit for bound in history.bounds(bounds, exported=True)] == [2.5, 3.0]
    assert [bound.limit for bound in history.bounds(bounds)] == [2.0, 3.0]
