"""What a ledger holds: one small record per thing that happened."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ClassVar, Self, TypeAlias

from niwaki.core.candidate import Candidate
from niwaki.core.jsonable import JSON
from niwaki.core.measurement import Measurement

SCHEMA = 1
REPAIR = "removed a torn last line"  # first words of the note that a repaired ledger holds


def utc_now() -> str:
    """Return the time as ISO 8601, in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class Started:
    """A study began: always the first event.

    Attributes:
        study_id: Name of the study, for people.
        config_hash: Fingerprint of everything in the configuration that changes results.
        seed: Seed of the whole study.
        schema: Version of the ledger's format.
        at: When, ISO 8601 in UTC.
    """

    kind: ClassVar[str] = "study"
    study_id: str
    config_hash: str
    seed: int
    schema: int = SCHEMA
    at: str = field(default_factory=utc_now)

    def to_json(self) -> dict[str, JSON]:
        """Return the fields as a JSON object."""
        return {
            "schema": self.schema,
            "study_id": self.study_id,
            "config_hash": self.config_hash,
            "seed": self.seed,
            "at": self.at,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> "Started":
        """Read what `to_json` wrote."""
        return cls(
            study_id=str(data["study_id"]),
            config_hash=str(data["config_hash"]),
            seed=_integer(data["seed"]),
            schema=_integer(data["schema"]),
            at=str(data["at"]),
        )


@dataclass(frozen=True)
class Asked:
    """An evaluation was asked for: of a new candidate, or of one that is to get more effort.

    Attributes:
        number: Position in the order of asking, from 0.
        candidate: What the searcher proposed, now or earlier.
        fidelity: Share of the full effort that it is to be evaluated with, in (0, 1].
        seed: Seed of its evaluation; the same for all evaluations of a candidate.
        effort: What it costs, in full evaluations: the fidelity, or less if the evaluation goes on
            from an earlier one.
        at: When, ISO 8601 in UTC.
    """

    kind: ClassVar[str] = "asked"
    number: int
    candidate: Candidate
    fidelity: float = 1.0
    seed: int = 0
    effort: float = 1.0
    at: str = field(default_factory=utc_now)

    def to_json(self) -> dict[str, JSON]:
        """Return the fields as a JSON object."""
        return {
            "number": self.number,
            "candidate": self.candidate.to_json(),
            "fidelity": self.fidelity,
            "seed": self.seed,
            "effort": self.effort,
            "at": self.at,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> "Asked":
        """Read what `to_json` wrote."""
        return cls(
            number=_integer(data["number"]),
            candidate=Candidate.from_json(data["candidate"]),
            fidelity=_number(data["fidelity"]),
            seed=_integer(data["seed"]),
            # Ledgers from before there were schedulers lack it: all their efforts were full.
            effort=_number(data.get("effort", data["fidelity"])),
            at=str(data["at"]),
        )


@dataclass(frozen=True)
class Told:
    """An asked candidate was measured, failed, or was turned away.

    Attributes:
        number: Number under which it was asked.
        measurement: What came of it.
        at: When, ISO 8601 in UTC.
    """

    kind: ClassVar[str] = "told"
    number: int
    measurement: Measurement
    at: str = field(default_factory=utc_now)

    def to_json(self) -> dict[str, JSON]:
        """Return the fields as a JSON object."""
        return {"number": self.number, "measurement": self.measurement.to_json(), "at": self.at}

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> "Told":
        """Read what `to_json` wrote."""
        return cls(
            number=_integer(data["number"]),
            measurement=Measurement.from_json(_object(data["measurement"])),
            at=str(data["at"]),
        )


@dataclass(frozen=True)
class Baseline:
    """The candidate that relative constraints refer to was measured.

    Attributes:
        candidate: The baseline.
        measurement: Its values.
        at: When, ISO 8601 in UTC.
    """

    kind: ClassVar[str] = "baseline"
    candidate: Candidate
    measurement: Measurement
    at: str = field(default_factory=utc_now)

    def to_json(self) -> dict[str, JSON]:
        """Return the fields as a JSON object."""
        return {
            "candidate": self.candidate.to_json(),
            "measurement": self.measurement.to_json(),
            "at": self.at,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> "Baseline":
        """Read what `to_json` wrote."""
        return cls(
            candidate=Candidate.from_json(data["candidate"]),
            measurement=Measurement.from_json(_object(data["measurement"])),
            at=str(data["at"]),
        )


@dataclass(frozen=True)
class _OfFile:
    """Something about a finalist's file.

    Attributes:
        number: Number under which it was asked; None for a model nobody asked for, such as
            the baseline. The candidate's key is in the measurement.
        measurement: Values of the exported file.
        goal: That it is a finalist of; empty if the study has no goals.
        at: When, ISO 8601 in UTC.
    """

    number: int | None
    measurement: Measurement
    goal: str = ""
    at: str = field(default_factory=utc_now)

    def to_json(self) -> dict[str, JSON]:
        """Return the fields as a JSON object."""
        goal: dict[str, JSON] = {"goal": self.goal} if self.goal else {}
        measurement = self.measurement.to_json()
        return {"number": self.number, **goal, "measurement": measurement, "at": self.at}

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> Self:
        """Read what `to_json` wrote."""
        number = data["number"]
        return cls(
            number=None if number is None else _integer(number),
            measurement=Measurement.from_json(_object(data["measurement"])),
            goal=str(data.get("goal", "")),
            at=str(data["at"]),
        )


@dataclass(frozen=True)
class Written(_OfFile):
    """A finalist was written as a file and verified; it is timed together with the others."""

    kind: ClassVar[str] = "written"


@dataclass(frozen=True)
class Final(_OfFile):
    """A finalist was written as a file and measured from that file; or could not be."""

    kind: ClassVar[str] = "final"


@dataclass(frozen=True)
class Note:
    """Something people may want to know later: a resume, a repair, another environment.

    Attributes:
        text: A sentence.
        at: When, ISO 8601 in UTC.
    """

    kind: ClassVar[str] = "note"
    text: str
    at: str = field(default_factory=utc_now)

    def to_json(self) -> dict[str, JSON]:
        """Return the fields as a JSON object."""
        return {"text": self.text, "at": self.at}

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> "Note":
        """Read what `to_json` wrote."""
        return cls(text=str(data["text"]), at=str(data["at"]))


Event: TypeAlias = Started | Asked | Told | Baseline | Written | Final | Note

_KINDS: dict[str, type[Event]] = {
    kind.kind: kind for kind in (Started, Asked, Told, Baseline, Written, Final, Note)
}


def event_to_json(event: Event) -> dict[str, JSON]:
    """Return the event as a JSON object whose first field, `event`, is its kind."""
    return {"event": event.kind, **event.to_json()}


def event_from_json(data: Mapping[str, JSON]) -> Event:
    """Read what `event_to_json` wrote.

    Raises:
        KeyError, TypeError, ValueError: If a field is missing or of the wrong type, or if the kind
            of the event is unknown.
    """
    kind = data["event"]
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ValueError(f"there is no event '{kind}', only {', '.join(_KINDS)}")
    return _KINDS[kind].from_json(data)


def _object(value: JSON) -> Mapping[str, JSON]:
    if not isinstance(value, Mapping):
        raise TypeError(f"a JSON object was expected, but {value!r} came")
    return value


def _integer(value: JSON) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"an integer was expected, but {value!r} came")
    return value


def _number(value: JSON) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"a number was expected, but {value!r} came")
    return float(value)
