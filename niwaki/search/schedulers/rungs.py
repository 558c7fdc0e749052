"""Who was asked at which fidelity, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from niwaki.core.candidate import Candidate
from niwaki.core.errors import StudyError
from niwaki.core.measurement import Status, Trial


@dataclass
class Rung:
    """One fidelity of one bracket.

    Attributes:
        fidelity: Share of the full effort.
        keep: Share of the candidates here that get more effort; 0 on the last rung.
        told: What came of evaluations here, by key of the candidate, in the order of telling;
            without those that were turned away at no cost.
        promoted: Keys of the candidates from here that were asked for on the next rung.
    """

    fidelity: float
    keep: float = 0.0
    told: dict[str, Trial] = field(default_factory=dict)
    promoted: set[str] = field(default_factory=set)

    @property
    def n_due(self) -> int:
        """How many candidates may be promoted now: the share to keep, of all that finished."""
        return int(len(self.told) * self.keep + 1e-9) - len(self.promoted)

    @property
    def waiting(self) -> list[Trial]:
        """Candidates that ran to their end here and were not promoted."""
        return [
            trial
            for key, trial in self.told.items()
            if key not in self.promoted and trial.measurement.complete
        ]


class Bracket:
    """A ladder of rungs, and the candidates that climb it.

    Args:
        fidelities: Rising, the last one 1.
        keep: Share that climbs on, from each rung but the last.
        continues: Whether only the difference to the rung below is paid for: see `Fidelities`.
    """

    def __init__(
        self, fidelities: Sequence[float], keep: Sequence[float], *, continues: bool
    ) -> None:
        self.rungs = [Rung(f, k) for f, k in zip(fidelities, (*keep, 0.0), strict=True)]
        self.n_started = 0
        self._continues = continues

    @property
    def effort_per_start(self) -> float:
        """What a new candidate costs, its share of promotions included, in full evaluations."""
        effort, alive, paid = 0.0, 1.0, 0.0
        for rung in self.rungs:
            effort += alive * (rung.fidelity - paid)
            alive *= rung.keep
            paid = rung.fidelity if self._continues else 0.0
        return effort

    def asked(self, candidate: Candidate, fidelity: float) -> None:
        """Take note of an evaluation of one of this bracket's candidates.

        Raises:
            StudyError: If it has no such rung, as when the evaluator's fidelities have changed.
        """
        position = self._position(fidelity)
        if position == 0:
            self.n_started += 1
        else:
            self.rungs[position - 1].promoted.add(candidate.key)

    def told(self, trial: Trial) -> None:
        """Take note of what came of one."""
        if trial.measurement.status is not Status.INFEASIBLE:
            position = self._position(trial.measurement.fidelity)
            self.rungs[position].told[trial.candidate.key] = trial

    def _position(self, fidelity: float) -> int:
        return position_of(fidelity, self.rungs)


def position_of(fidelity: float, rungs: Sequence[Rung]) -> int:
    """Return the position of the first rung with a fidelity.

    Raises:
        StudyError: If there is none, as when the evaluator's fidelities have changed.
    """
    known = [rung.fidelity for rung in rungs]
    if fidelity not in known:
        raise StudyError(
            f"an evaluation of this run had a fidelity of {fidelity:g}, and the scheduler's "
            f"are {', '.join(f'{each:g}' for each in known)} now: let the evaluator and the "
            "scheduler have those that the run began with, or give the run another name"
        )
    return known.index(fidelity)
