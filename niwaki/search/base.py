"""What every searcher is given, and what it can do."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.core.constraints import Bound
from niwaki.core.measurement import Trial
from niwaki.core.objectives import Objective, minimised
from niwaki.spaces.base import Space


@dataclass(frozen=True)
class Problem:
    """What is searched, and what for.

    Attributes:
        space: Where candidates come from.
        objectives: m of them, m >= 1.
        bounds: Constraints with their numbers filled in.
        seed: Every random draw of a searcher comes from a stream named after this seed.
    """

    space: Space
    objectives: tuple[Objective, ...]
    bounds: tuple[Bound, ...] = ()
    seed: int = 0

    def costs(self, trials: Sequence[Trial]) -> NDArray[np.float64]:
        """Return (n, m) minimised costs; NaN where a trial has no such value."""
        costs = minimised([trial.measurement.values for trial in trials], self.objectives)
        failed = [i for i, trial in enumerate(trials) if not trial.measurement.complete]
        costs[failed] = np.nan
        return costs

    def violations(self, trials: Sequence[Trial]) -> NDArray[np.float64]:
        """Return (n,) summed relative violations of the bounds; 0 is feasible, inf is failed.

        An infeasible trial, turned away by a cheap count, has the violation of that count.
        """
        return np.array([self._violation(trial) for trial in trials], dtype=np.float64)

    def _violation(self, trial: Trial) -> float:
        values = trial.measurement.values
        total = sum(bound.violation(values) for bound in self.bounds)
        if trial.measurement.complete and all(o.name in values for o in self.objectives):
            return total
        return total if total > 0.0 else float("inf")


class Searcher(ABC):
    """Proposes candidates and learns from their measurements.

    A searcher is a pure function of its problem, of the trials it was told, in order, and of how
    many candidates it was asked for: the i-th candidate it gives draws from the random stream
    `stream(seed, "ask", i)` alone. So a killed search is resumed by telling the ledger again and
    setting the counter (`resume`), with no searcher state on disk.

    Laws, checked by `niwaki.testing.SearcherContract`: candidates are valid, never repeat one that
    was asked before, and are the same in every process; failed and infeasible trials are survived;
    any number of candidates may be pending.
    """

    @abstractmethod
    def ask(self, n: int, pending: Sequence[Candidate] = ()) -> list[Candidate]:
        """Return up to `n` new candidates; fewer only if the space has no more.

        Args:
            n: How many are wanted, at least 1.
            pending: Candidates asked for earlier and not yet told.
        """

    @abstractmethod
    def tell(self, trials: Sequence[Trial]) -> None:
        """Learn from finished trials, in the order in which they finished."""

    @abstractmethod
    def resume(self, asked: Sequence[Candidate]) -> None:
        """Take note of the candidates that an earlier process asked for, in order of asking.

        Called at most once, before the first `ask`; `tell` follows for those that finished.
        """
