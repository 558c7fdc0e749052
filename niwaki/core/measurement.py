"""Measurements: what came of evaluating a candidate, failures included."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from niwaki.core.candidate import Candidate
from niwaki.core.jsonable import JSON, finite_or_none

LARGEST_VALUE = 1e100  # in size: squares stay finite, and their sums


class Status(StrEnum):
    """How an evaluation ended."""

    COMPLETE = "complete"
    FAILED = "failed"  # it was paid for, and something went wrong: see the reason
    INFEASIBLE = "infeasible"  # a cheap count already broke a constraint, so it was not paid for


@dataclass(frozen=True)
class Measurement:
    """The values of one candidate, or the reason why there are none.

    Attributes:
        key: Key of the candidate.
        values: Finite numbers by name, at most `LARGEST_VALUE` in size, in the user's own direction
            and unit.
        status: How the evaluation ended.
        reason: A sentence for people: why it failed, or lacks values; else empty.
        fidelity: Share of the full effort, in (0, 1].
        seed: Seed that the evaluation ran with.
        target_id: Where latency was measured; empty if nowhere.
        seconds: Wall time that the evaluation took.
        worker: Who ran it.
        details: Anything else worth keeping, such as the realised precision of each layer.
    """

    key: str
    values: Mapping[str, float] = field(default_factory=dict)
    status: Status = Status.COMPLETE
    reason: str = ""
    fidelity: float = 1.0
    seed: int = 0
    target_id: str = ""
    seconds: float = 0.0
    worker: str = ""
    details: Mapping[str, JSON] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether the evaluation ran to its end."""
        return self.status is Status.COMPLETE

    @property
    def cause(self) -> str:
        """The reason without a full stop of its own, for within a sentence."""
        return self.reason.removesuffix(".")

    def to_json(self) -> dict[str, JSON]:
        """Return a JSON object; values that are not finite become null."""
        return {
            "key": self.key,
            "values": {name: finite_or_none(value) for name, value in self.values.items()},
            "status": str(self.status),
            "reason": self.reason,
            "fidelity": self.fidelity,
            "seed": self.seed,
            "target_id": self.target_id,
            "seconds": round(self.seconds, 6),
            "worker": self.worker,
            "details": self.details,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> "Measurement":
        """Read what `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: If a field is missing or of the wrong type.
        """
        values, details = data["values"], data["details"]
        if not (isinstance(values, Mapping) and isinstance(details, Mapping)):
            raise TypeError("'values' and 'details' of a measurement must be JSON objects")
        return cls(
            key=str(data["key"]),
            values={name: _number(value) for name, value in values.items()},
            status=Status(str(data["status"])),
            reason=str(data["reason"]),
            fidelity=_number(data["fidelity"]),
            seed=_integer(data["seed"]),
            target_id=str(data["target_id"]),
            seconds=_number(data["seconds"]),
            worker=str(data["worker"]),
            details=details,
        )


def whole(measurement: Measurement, wanted: Iterable[str]) -> Measurement:
    """Return a measurement as whoever wants these values sees it: failed, if it lacks one."""
    missing = [name for name in wanted if name not in measurement.values]
    if not missing or not measurement.complete:
        return measurement
    reason = measurement.reason or (
        f"the evaluator gave no value of {', '.join(missing)}: a complete measurement has every "
        "value that is wanted"
    )
    return replace(measurement, status=Status.FAILED, reason=reason)


@dataclass(frozen=True)
class Trial:
    """A numbered candidate with its measurement: what a searcher is told.

    Attributes:
        number: Position in the order of asking, from 0.
        candidate: What was asked.
        measurement: What came of it.
    """

    number: int
    candidate: Candidate
    measurement: Measurement

    def seen_by(self, wanted: Iterable[str]) -> "Trial":
        """Return the trial as whoever wants these values sees it: failed, if it lacks one."""
        seen = whole(self.measurement, wanted)
        return self if seen is self.measurement else replace(self, measurement=seen)

    def copied(self) -> "Trial":
        """Return the trial with mappings of its own, for who may change them."""
        measurement = self.measurement
        values, details = dict(measurement.values), dict(measurement.details)
        return replace(self, measurement=replace(measurement, values=values, details=details))


def _integer(value: JSON) -> int:
    # Not by way of a float, which would round a large seed.
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"an integer was expected, but {value!r} came")
    return value


def _number(value: JSON) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"a number was expected, but {value!r} came")
    return float(value)
