"""No scheduling: every candidate gets the full effort."""

from collections.abc import Sequence

from niwaki.core.candidate import Candidate
from niwaki.core.fidelity import FULL, Fidelities
from niwaki.core.measurement import Trial
from niwaki.search.base import Problem
from niwaki.search.schedulers.base import Scheduler, Step


class FullEffort(Scheduler):
    """Evaluates every candidate once, at full effort: the default.

    Args:
        problem: Not looked at.
        fidelities: Not looked at: every evaluator knows the full effort.
    """

    def __init__(self, problem: Problem, fidelities: Fidelities) -> None:
        """Take note of nothing."""

    def next(self, *, may_start: bool = True) -> Step | None:
        return Step(FULL) if may_start else None

    def asked(self, candidate: Candidate, fidelity: float) -> None:
        """Do nothing."""

    def told(self, trials: Sequence[Trial]) -> None:
        """Do nothing."""
