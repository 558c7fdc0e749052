"""What Ray Tune asked for, what came of it, and what a searcher learns from that."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from niwaki.core.candidate import Candidate
from niwaki.core.fidelity import FULL
from niwaki.core.jsonable import JSON
from niwaki.core.measurement import Measurement, Trial

ALIKE = 1.1  # ratio of two fidelities that are not told apart


@dataclass
class TuneLog:
    """What was asked and told, by Tune's names of the trials.

    Attributes:
        asked: Candidates, in order of asking.
        told: Names and trials, in order of telling.
        pending: What was asked and not told.
        seen: Results of each trial on its way, in order of their fidelities: the latest, and of
            those before it no two that are alike.
        levels: Fidelities below the full one at which trials ended, no two of them alike.
    """

    asked: dict[str, Candidate] = field(default_factory=dict)
    told: list[tuple[str, Trial]] = field(default_factory=list)
    pending: dict[str, Candidate] = field(default_factory=dict)
    seen: dict[str, list[Measurement]] = field(default_factory=dict)
    levels: list[float] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)
    _keys: set[str] = field(default_factory=set)

    def ask(self, name: str, candidate: Candidate) -> None:
        """Take note of a candidate that was asked for."""
        self._numbers[name] = len(self.asked)
        self.asked[name] = self.pending[name] = candidate
        self._keys.add(candidate.key)

    def __contains__(self, candidate: Candidate) -> bool:
        """Return whether a candidate was asked for."""
        return candidate.key in self._keys

    def see(self, name: str, measurement: Measurement) -> None:
        """Take note of a result; one of no more effort than before is of a trial that runs anew."""
        fidelity = measurement.fidelity
        before = [m for m in self.seen.get(name, ()) if m.fidelity < fidelity]
        if len(before) > 1 and before[-1].fidelity < ALIKE * before[-2].fidelity:
            before.pop()
        self.seen[name] = [*before, measurement]

    def tell(self, name: str, measurement: Measurement) -> bool:
        """Take note of how a trial ended; a trial that Tune runs again is told again.

        Returns:
            Whether trials that were told before now have more to say, at a level that is new.
        """
        self.told.append((name, Trial(self._numbers[name], self.asked[name], measurement)))
        self.pending.pop(name, None)
        new = measurement.complete and self._level(measurement.fidelity) is None
        if new:
            self.levels.append(measurement.fidelity)
        return new

    def lessons(self, start: int = 0) -> Iterator[Trial]:
        """Yield what trials have to say from the `start`-th told on, at every level on their way.

        So candidates of the full effort show what becomes of the results of less.
        """
        for name, trial in self.told[start:]:
            end = trial.measurement
            if end.complete:
                level = self._level(end.fidelity) or end.fidelity
                for lower in sorted(each for each in self.levels if each < level):
                    yield from _at(lower, trial, self.seen.get(name, ()))
                trial = replace(trial, measurement=replace(end, fidelity=level))
            yield trial

    def to_json(self) -> dict[str, JSON]:
        """Return everything, as a JSON object."""
        return {
            "asked": [[name, candidate.to_json()] for name, candidate in self.asked.items()],
            "seen": {name: [m.to_json() for m in seen] for name, seen in self.seen.items()},
            "told": [[name, trial.measurement.to_json()] for name, trial in self.told],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "TuneLog":
        """Read what `to_json` wrote."""
        log = cls()
        for name, candidate in data["asked"]:
            log.ask(name, Candidate.from_json(candidate))
        for name, seen in data.get("seen", {}).items():  # absent in logs of earlier versions
            log.seen[name] = [Measurement.from_json(measurement) for measurement in seen]
        for name, measurement in data["told"]:
            log.tell(name, Measurement.from_json(measurement))
        return log

    def _level(self, fidelity: float) -> float | None:
        """Return the level that a fidelity is alike to; None if there is none."""
        if fidelity >= FULL:
            return FULL
        return next((v for v in self.levels if v / ALIKE <= fidelity <= v * ALIKE), None)


def _at(level: float, trial: Trial, seen: Sequence[Measurement]) -> Iterator[Trial]:
    """Yield the trial as it was at a level, if it has a result of about that effort."""
    for measurement in seen:
        if level / ALIKE <= measurement.fidelity <= level * ALIKE and measurement.complete:
            yield replace(trial, measurement=replace(measurement, fidelity=level))
            return
