"""A searcher let loose on a toy."""

from dataclasses import dataclass

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Trial
from niwaki.search.base import Searcher
from niwaki.testing.toys import Toy


@dataclass(frozen=True)
class Run:
    """What a searcher was asked and told.

    Attributes:
        asked: In order.
        told: In order.
        n_told_before: How much was told before each was asked.
    """

    asked: tuple[Candidate, ...]
    told: tuple[Trial, ...]
    n_told_before: tuple[int, ...]


def search(searcher: Searcher, toy: Toy, n: int, *, n_workers: int = 1) -> Run:
    """Ask for `n` candidates, or all there are, and tell their measurements.

    Args:
        searcher: New, or resumed from a finished run.
        toy: Evaluated on the spot.
        n: How many candidates are asked for.
        n_workers: How many are pending at a time; of these every third finishes late.
    """
    asked: list[Candidate] = []
    told: list[Trial] = []
    pending: list[Trial] = []
    n_told_before: list[int] = []
    while len(asked) < n or pending:
        if len(asked) < n and len(pending) < n_workers:
            proposed = searcher.ask(1, [trial.candidate for trial in pending])
            if not proposed:
                n = len(asked)
                continue
            pending.append(Trial(len(asked), proposed[0], toy.measure(proposed[0])))
            asked.append(proposed[0])
            n_told_before.append(len(told))
        else:
            late = len(told) % 3 == 1
            told.append(pending.pop(-1 if late else 0))
            searcher.tell([told[-1]])
    return Run(tuple(asked), tuple(told), tuple(n_told_before))
