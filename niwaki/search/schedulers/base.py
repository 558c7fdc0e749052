"""What every scheduler can do: say what a free worker does next."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Trial


@dataclass(frozen=True)
class Step:
    """The next evaluation.

    Attributes:
        fidelity: Share of the full effort.
        candidate: One that was evaluated before, with less effort; None for a new one, which is
            for the searcher to propose.
    """

    fidelity: float
    candidate: Candidate | None = None


class Scheduler(ABC):
    """Decides whether a free worker goes on with a known candidate or starts a new one.

    There are no rounds and no barriers: `next` answers at once, with whatever was told so far. A
    scheduler is a pure function of the evaluations that were asked for, in order, and of the trials
    that were told, in order; how the two were interleaved does not matter. So a killed search is
    resumed from its ledger.

    Laws, checked by `niwaki.testing.scheduler_contract`: the first evaluation of a candidate is a
    new start; no candidate is evaluated twice at one fidelity, nor at a lower one later; a
    candidate that failed gets no more; `next` changes nothing.
    """

    @abstractmethod
    def next(self, *, may_start: bool = True) -> Step | None:
        """Return the next evaluation, or None if there is none for now.

        Args:
            may_start: False once the searcher has no new candidates: then only candidates that were
                evaluated before get more effort.
        """

    @abstractmethod
    def asked(self, candidate: Candidate, fidelity: float) -> None:
        """Take note that an evaluation was asked for: what `next` said, with its candidate."""

    @abstractmethod
    def told(self, trials: Sequence[Trial]) -> None:
        """Learn from finished evaluations, in the order in which they finished."""
