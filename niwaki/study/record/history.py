"""The state of a study, as its events tell it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from niwaki.core.candidate import Candidate
from niwaki.core.constraints import Bound, Constraint
from niwaki.core.fidelity import FULL
from niwaki.core.goals import Goal
from niwaki.core.measurement import Measurement, Status, Trial
from niwaki.spaces.base import Space
from niwaki.study.record.events import (
    REPAIR,
    Asked,
    Baseline,
    Event,
    Final,
    Note,
    Started,
    Told,
    Written,
)
from niwaki.study.record.soundness import sound

SESSION = "session"  # first word of the note that opens each session


@dataclass
class History:
    """Everything that happened, by kind; grows by `add` alone.

    Attributes:
        started: The first event; None before it.
        asked: Proposals by number.
        trials: Told trials, in the order of telling.
        told_at: Seconds of study time at which each trial was told, pauses left out.
        baseline: The baseline with its measurement, once measured; its number is -1.
        baseline_at: Seconds of study time at which it was.
        n_paid: Trials that an evaluation was paid for, at whatever fidelity.
        effort: What they cost, in full evaluations.
        n_complete: Trials that ran to their end.
        n_infeasible_in_a_row: Trials turned away since the last one that was not.
        seconds: Study time so far, pauses between sessions left out.
        last_at: Time of the last event, ISO 8601.
        goal: Name of the goal that finals are of, where the study has goals.
    """

    started: Started | None = None
    asked: dict[int, Asked] = field(default_factory=dict)
    trials: list[Trial] = field(default_factory=list)
    told_at: list[float] = field(default_factory=list)
    baseline: Trial | None = None
    baseline_at: float = 0.0
    n_paid: int = 0
    effort: float = 0.0
    n_complete: int = 0
    n_infeasible_in_a_row: int = 0
    seconds: float = 0.0
    last_at: str = ""
    goal: str = ""
    _finals: dict[str, dict[str, Measurement]] = field(default_factory=dict)  # by goal, and by key
    _written: dict[str, dict[str, Measurement]] = field(default_factory=dict)
    _open: dict[int, Asked] = field(default_factory=dict)
    _last_of: dict[str, Asked] = field(default_factory=dict)
    _n_by_fidelity: Counter[float] = field(default_factory=Counter)
    _previous: datetime | None = None

    @classmethod
    def of(cls, events: Iterable[Event]) -> "History":
        """Return the state after these events."""
        history = cls()
        for event in events:
            history.add(event)
        return history

    def add(self, event: Event) -> None:
        """Take note of one event."""
        self._advance(event)
        match event:
            case Started():
                self.started = event
            case Asked():
                self.asked[event.number] = event
                self._open[event.number] = event
                self._last_of[event.candidate.key] = event
            case Told():
                self._add_trial(event)
            case Baseline():
                self.baseline = Trial(-1, event.candidate, event.measurement)
                self.baseline_at = self.seconds
            case Written():
                self._written.setdefault(event.goal, {})[event.measurement.key] = event.measurement
            case Final():
                self._written.get(event.goal, {}).pop(event.measurement.key, None)
                self._finals.setdefault(event.goal, {})[event.measurement.key] = event.measurement
            case Note():
                pass

    def _add_trial(self, event: Told) -> None:
        candidate = self.asked[event.number].candidate
        measurement = sound(event.measurement)  # older ledgers hold values of any size
        self.trials.append(Trial(event.number, candidate, measurement))
        self.told_at.append(self.seconds)
        self._open.pop(event.number, None)
        turned_away = measurement.status is Status.INFEASIBLE
        self.n_paid += not turned_away
        if not turned_away:
            self.effort += self.asked[event.number].effort
            self._n_by_fidelity[self.asked[event.number].fidelity] += 1
        self.n_complete += measurement.complete
        self.n_infeasible_in_a_row = self.n_infeasible_in_a_row + 1 if turned_away else 0

    def of_goal(self, goal: Goal) -> "History":
        """Return the same as one goal of the study sees it.

        What lacks a value that the goal wants has failed, and only its own finals are exported.
        What is added to this history later is not in that one, but for files of the goal.
        """
        return replace(
            self,
            trials=[trial.seen_by(goal.wanted) for trial in self.trials],
            baseline=self.baseline and self.baseline.seen_by(goal.wanted),
            goal=goal.name or self.goal,
        )

    @property
    def finals(self) -> Mapping[str, Measurement]:
        """Measurements of exported models, by candidate key."""
        return self._finals.get(self.goal, {})

    @property
    def written(self) -> Mapping[str, Measurement]:
        """Measurements of exported models that were not timed yet, by candidate key."""
        return self._written.get(self.goal, {})

    @property
    def pending(self) -> Sequence[Asked]:
        """Proposals that nothing was told about, in order of asking."""
        return [self._open[number] for number in sorted(self._open)]

    @property
    def n_pending(self) -> int:
        """Number of proposals that nothing was told about."""
        return len(self._open)

    @property
    def pending_effort(self) -> float:
        """What those proposals cost, in full evaluations."""
        return sum(asked.effort for asked in self._open.values())

    @property
    def full_trials(self) -> list[Trial]:
        """The trials at full effort, in the order of telling: those that results are made of."""
        return [trial for trial in self.trials if trial.measurement.fidelity >= FULL]

    @property
    def exported(self) -> dict[str, Measurement]:
        """The finals that were written, verified and measured, by candidate key."""
        return {key: final for key, final in self.finals.items() if final.complete}

    @property
    def unexported(self) -> dict[str, Measurement]:
        """The finals that could not be written, verified or measured, by candidate key."""
        return {key: final for key, final in self.finals.items() if not final.complete}

    def baseline_of(self, space: Space) -> list[Trial]:
        """Return the baseline if it is measured and of the space: else it has no features."""
        if self.baseline is None or space.check(self.baseline.candidate):
            return []
        return [self.baseline]

    def bounds(
        self, constraints: Iterable[Constraint], *, exported: bool = False
    ) -> tuple[Bound, ...]:
        """Return constraints with the baseline's values filled in; before those, the absolute ones.

        Args:
            constraints: Of the study.
            exported: Whether they bind values of exported files, which are scored on another split:
                then the baseline's are those of its own file, where there is one.
        """
        values: dict[str, float] = {}
        if self.baseline is not None:
            values.update(self.baseline.measurement.values)
            final = self.exported.get(self.baseline.candidate.key)
            values.update(final.values if exported and final is not None else {})
        return tuple(c.resolve(values) for c in constraints if values or not c.relative)

    def candidates_asked(self) -> list[Candidate]:
        """Return every proposal of the searcher, each once, in order of asking."""
        in_order = (self.asked[number].candidate for number in sorted(self.asked))
        return list({candidate.key: candidate for candidate in in_order}.values())

    def last_asked(self, candidate: Candidate) -> Asked | None:
        """Return the latest evaluation of a candidate that was asked for, if there is any."""
        return self._last_of.get(candidate.key)

    def paid_by_fidelity(self) -> dict[float, int]:
        """Return how many trials were paid for, by the fidelity asked for, the highest first."""
        return dict(sorted(self._n_by_fidelity.items(), reverse=True))

    def _advance(self, event: Event) -> None:
        """Count the time since the last event, unless a new session opens with this one."""
        now = datetime.fromisoformat(event.at)
        # A ledger is repaired when it is opened, before the session's own note.
        opens = isinstance(event, Note) and event.text.startswith((SESSION, REPAIR))
        if self._previous is not None and not opens:
            self.seconds += max(0.0, (now - self._previous).total_seconds())
        self._previous, self.last_at = now, event.at
