"""What ASHA and Hyperband share: ladders of rungs, climbed without waiting for anybody."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from niwaki.core.candidate import Candidate
from niwaki.core.errors import ConfigError
from niwaki.core.fidelity import Fidelities
from niwaki.core.measurement import Trial
from niwaki.search.base import Problem
from niwaki.search.schedulers.base import Scheduler, Step
from niwaki.search.schedulers.estimates import Estimates
from niwaki.search.schedulers.promotion import Promotion, TieBreak
from niwaki.search.schedulers.rungs import Bracket, Rung, position_of

LEAST_REDUCTION = 1.001  # closer to 1, there would be thousands of rungs


@dataclass(frozen=True)
class LadderSettings:
    """Which rungs there are, and how many candidates climb.

    Attributes:
        reduction: Least ratio between the fidelities of neighbouring rungs, from 1.001.
        least_fidelity: No rung is below it.
        keep: Share of the candidates of a rung that are promoted. 0 stands for the ratio of its
            fidelity to the next one's: then every rung gets the same effort, counting what its
            candidates cost on lower rungs.
        tie_break: Among candidates of the best ranks: `gain`, who promises to add most hypervolume
            to the front, or `spread`, who is farthest from those promoted before.

    Raises:
        ConfigError: If `reduction` is below that, or a share not in [0, 1).
    """

    reduction: float = 3.0
    least_fidelity: float = 0.0
    keep: float = 0.0
    tie_break: TieBreak = "gain"

    def __post_init__(self) -> None:
        if not self.reduction >= LEAST_REDUCTION:
            raise ConfigError(
                f"'reduction' is {self.reduction}: give at least {LEAST_REDUCTION}, such as 3"
            )
        for name in ("least_fidelity", "keep"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ConfigError(f"'{name}' is {getattr(self, name)}: give a share in [0, 1)")


class LadderScheduler(Scheduler):
    """Gives candidates little effort first, and the best of them more, rung by rung.

    A rung promotes as many of its candidates as its share to keep allows, counted over all that
    finished there, whenever a worker is free: nothing waits for a rung to fill. Which one climbs is
    decided by what its values are expected to be at full effort: see `Promotion`. Failed
    evaluations count as candidates that are not kept. Once there are no new candidates, promotion
    goes on beyond the share.

    Args:
        problem: What is searched.
        fidelities: What the evaluator can be asked for.
        settings: The ladder.

    Raises:
        ConfigError: If the evaluator knows the full effort alone, or the settings leave one rung.
    """

    def __init__(
        self, problem: Problem, fidelities: Fidelities, settings: LadderSettings | None = None
    ) -> None:
        settings = settings or LadderSettings()
        if not fidelities.several:
            raise ConfigError(
                "a scheduler needs evaluations of less than the full effort, and the evaluator can "
                "be asked for the full one alone: give shares of it (`evaluator.fidelities` of a "
                "function, `fidelities` of a table's values), or leave out 'scheduler'"
            )
        ladder = fidelities.ladder(reduction=settings.reduction, least=settings.least_fidelity)
        if len(ladder) < 2:
            raise ConfigError(
                "a scheduler needs evaluations of less than the full effort, and finds none: the "
                f"evaluator can be asked for {list(fidelities.levels)}, or any share from "
                f"{fidelities.any_from:g}; 'reduction' is {settings.reduction:g}, 'least_fidelity' "
                f"{settings.least_fidelity:g}. Lower these where there are shares, or leave out "
                "'scheduler'"
            )
        keep = [settings.keep or low / high for low, high in pairwise(ladder)]
        starts = self._starts(len(ladder))
        self._brackets = [
            Bracket(ladder[start:], keep[start:], continues=fidelities.continues)
            for start in starts
        ]
        self._bracket_of: dict[str, Bracket] = {}
        self._reached: dict[str, float] = {}  # by key, the highest fidelity asked for
        self._estimates = Estimates(problem)
        self._promotion = Promotion(problem, self._estimates, settings.tie_break)

    @abstractmethod
    def _starts(self, n_rungs: int) -> Sequence[int]:
        """Return the rungs that new candidates may start from, one bracket for each."""

    def next(self, *, may_start: bool = True) -> Step | None:
        due = next(self._promotions(beyond_share=False), None)
        if due is not None:
            return due
        if may_start:
            return Step(self._next_bracket.rungs[0].fidelity)
        return next(self._promotions(beyond_share=True), None)

    def asked(self, candidate: Candidate, fidelity: float) -> None:
        bracket = self._bracket_of.get(candidate.key) or self._starting_at(fidelity)
        self._bracket_of[candidate.key] = bracket
        bracket.asked(candidate, fidelity)
        self._reached[candidate.key] = fidelity

    def told(self, trials: Sequence[Trial]) -> None:
        self._estimates.tell(trials)
        for trial in trials:
            key, fidelity = trial.candidate.key, trial.measurement.fidelity
            self._bracket_of[key].told(trial)
            # Who gains nothing by effort is told at the full one at once.
            self._reached[key] = max(self._reached[key], fidelity)

    @property
    def _next_bracket(self) -> Bracket:
        """The bracket that got least effort so far, by what its candidates cost on average."""
        return min(self._brackets, key=lambda b: (b.n_started + 1) * b.effort_per_start)

    def _starting_at(self, fidelity: float) -> Bracket:
        """Return a new candidate's bracket, by what was asked for: maybe by an earlier version."""
        return self._brackets[position_of(fidelity, [b.rungs[0] for b in self._brackets])]

    def _promotions(self, *, beyond_share: bool) -> Iterator[Step]:
        """Yield what can be promoted, the highest rungs first."""
        for bracket in self._brackets:
            for rung, above in reversed(list(pairwise(bracket.rungs))):
                if rung.n_due > 0 or beyond_share:
                    candidate = self._promotion.choose(rung.waiting, self._ahead_of(rung))
                    if candidate is not None:
                        yield Step(above.fidelity, candidate)

    def _ahead_of(self, rung: Rung) -> list[Trial]:
        """Return the most that is known of candidates that got, or will get, more effort."""
        return [
            self._estimates.highest(key)
            for key, reached in self._reached.items()
            if reached > rung.fidelity and self._estimates.knows(key)
        ]
