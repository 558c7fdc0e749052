"""Events survive JSON."""

import json

import pytest

from niwaki.core import Candidate, Measurement, Status
from niwaki.core.jsonable import JSON
from niwaki.study.record.events import (
    Asked,
    Baseline,
    Event,
    Final,
    Note,
    Started,
    Told,
    Written,
    event_from_json,
    event_to_json,
)

CANDIDATE = Candidate.of({"depth": 3, "width": 0.5, "name": "é", "tree": ("a", (1, None))})
MEASUREMENT = Measurement(
    CANDIDATE.key,
    {"accuracy": 0.1 + 0.2},
    status=Status.FAILED,
    reason="it did not\nwork",
    fidelity=0.5,
    seed=3,
    target_id="cpu",
    seconds=1.25,
    worker="local-0",
    details={"layers": [{"bits": 8}]},
)
EVENTS: list[Event] = [
    Started("digits", "abc", 7),
    Asked(0, CANDIDATE, 0.5, 11),
    Told(0, MEASUREMENT),
    Baseline(CANDIDATE, MEASUREMENT),
    Written(0, MEASUREMENT),
    Final(0, MEASUREMENT),
    Final(None, MEASUREMENT),
    Note("“resumed”"),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_an_event_comes_back_from_json_as_it_was(event: Event) -> None:
    assert event_from_json(json.loads(json.dumps(event_to_json(event)))) == event


def test_the_kind_comes_first_for_people() -> None:
    assert [next(iter(event_to_json(event))) for event in EVENTS] == ["event"] * len(EVENTS)


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="no event 'sung', only study, asked"):
        event_from_json({"event": "sung"})


@pytest.mark.parametrize("number", [True, 1.5, "1", None])
def test_a_number_must_be_an_integer(number: JSON) -> None:
    with pytest.raises(TypeError, match="integer"):
        event_from_json({**event_to_json(EVENTS[1]), "number": number})
