"""What every searcher is given, and what it can do."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite, nan
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.core.constraints import Bound
from niwaki.core.measurement import Status, Trial
from niwaki.core.objectives import Objective, minimised
from niwaki.spaces.base import Space

T = TypeVar("T")


def nothing_is_cheap(candidate: Candidate) -> Mapping[str, float]:  # noqa: ARG001
    """Return no values: every value of a candidate has to be paid for."""
    return {}


def own_key(candidate: Candidate) -> str:
    """Return the candidate's key: no two candidates are one network."""
    return candidate.key


def _itself(part: object) -> Any:
    """Return what tells objects apart, of which some cannot be hashed; methods are of an object."""
    owner = getattr(part, "__self__", None)
    return id(part) if owner is None else (id(owner), getattr(part, "__func__", None))


@dataclass(frozen=True)
class Earlier:
    """A search that was made before in the same space: for another device, data or objective.

    Attributes:
        objectives: Of that search.
        bounds: What is required now, in the numbers of that search: relative to its own baseline.
        trials: At full effort, of candidates of the space.
    """

    objectives: tuple[Objective, ...]
    bounds: tuple[Bound, ...]
    trials: tuple[Trial, ...]


@dataclass(frozen=True)
class Problem:
    """What is searched, and what for.

    Attributes:
        space: Where candidates come from.
        objectives: m of them, m >= 1.
        bounds: Constraints with their numbers filled in.
        seed: Every random draw of a searcher comes from a stream named after this seed.
        initial: Candidates that every searcher asks for first, in this order, such as a baseline.
        cheap: Gives the values of a candidate that cost nothing, perhaps none; exact, so that no
            searcher has to predict them.
        identity: Gives equal names to candidates that are one and the same network, such as
            isomorphic cells: what is known of one holds for the other, and only one is asked for.
        alike: Gives equal names to candidates that are one network measured apart, such as cells
            that were trained once per spelling: what is known of one says much about the other,
            yet each may be asked for. None: there are no such candidates.
        promises: Guesses how good a candidate is, by name, more for better; what cannot be judged
            is left out. A guess costs much less than a measurement, but more than nothing. None:
            nobody guesses.
        earlier: Searches to learn from. `niwaki.search.earlier.informed` adds them, and the best
            that they found to `initial`.
        goals: Of a search that is to find several fronts, the problem of each; then `objectives`
            are those of all of them, and `bounds` those that all have.
    """

    space: Space
    objectives: tuple[Objective, ...]
    bounds: tuple[Bound, ...] = ()
    seed: int = 0
    initial: tuple[Candidate, ...] = ()
    cheap: Callable[[Candidate], Mapping[str, float]] = nothing_is_cheap
    identity: Callable[[Candidate], str] = own_key
    alike: Callable[[Candidate], str] | None = None
    promises: Callable[[Candidate], Mapping[str, float]] | None = None
    earlier: tuple[Earlier, ...] = ()
    goals: tuple["Problem", ...] = ()
    _once: dict[Callable[["Problem"], Any], Any] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _common: dict[tuple[Any, ...], Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def wanted(self) -> tuple[str, ...]:
        """Names of the values of objectives and bounds, those of goals included, each once."""
        names = [o.name for o in self.objectives] + [b.name for b in self.bounds]
        of_goals = (name for goal in self.goals for name in goal.wanted)
        return tuple(dict.fromkeys([*names, *of_goals]))

    @property
    def fronts(self) -> tuple["Problem", ...]:
        """The problems whose fronts are wanted: of the goals, or else this one."""
        return self.goals or (self,)

    def once(self, make: Callable[["Problem"], T]) -> T:
        """Return what follows from the problem alone: made once, for all searchers of it."""
        if make not in self._once:
            self._once[make] = make(self)
        found: T = self._once[make]
        return found

    def in_common(self, make: Callable[["Problem"], T]) -> T:
        """Return what follows from candidates alone: made once for all that are made from this one.

        Problems that `replace` makes, such as those of several goals, share it for as long as they
        are alike in the space, what is cheap, which candidates are the same or alike, and the seed.
        """
        own = (self.space, self.cheap, self.identity, self.alike)
        key = (make, *map(_itself, own), self.seed)
        if key not in self._common:
            self._common[key] = make(self), own  # kept, so that no other gets their names
        found: T = self._common[key][0]
        return found

    def costs(self, trials: Sequence[Trial]) -> NDArray[np.float64]:
        """Return (n, m) minimised costs; NaN where a trial has no such value."""
        costs = minimised([trial.measurement.values for trial in trials], self.objectives)
        failed = [i for i, trial in enumerate(trials) if not trial.measurement.complete]
        costs[failed] = np.nan
        return costs

    def violations(self, trials: Sequence[Trial]) -> NDArray[np.float64]:
        """Return (n,) summed relative violations of the bounds; 0 is feasible, inf is failed.

        An infeasible trial, turned away by a cheap count, has the violation of that count. A trial
        that lacks the value of an objective or of a bound has failed, whatever its status says.
        """
        return np.array([self._violation(trial) for trial in trials], dtype=np.float64)

    def _violation(self, trial: Trial) -> float:
        values = trial.measurement.values
        total = sum(bound.violation(values) for bound in self.bounds)
        if trial.measurement.complete:
            return total if all(isfinite(values.get(name, nan)) for name in self.wanted) else inf
        infeasible = trial.measurement.status is Status.INFEASIBLE
        return total if infeasible and total > 0.0 else inf


class Searcher(ABC):
    """Proposes candidates and learns from their measurements.

    A searcher is a pure function of its problem, of the candidates it was asked for, in order, and
    of the trials it was told, in order: the i-th candidate draws from the random stream
    `stream(seed, "ask", i)` alone, and neither the size of a batch nor the moment of a `tell`
    between two others matters. So a killed search is resumed from its ledger: `resume` what was
    asked, `tell` what finished. No searcher state is on disk.

    Laws, checked by `niwaki.testing.searcher_contract`: candidates are valid, never repeat one that
    was asked before or told from elsewhere, nor one of the same identity, and are the same in every
    process; failed and infeasible trials are survived; any number of candidates may be pending.

    Attributes:
        sees_fidelities: Whether trials of less than the full effort are told as they are, each
            candidate perhaps several times, with `trial.measurement.fidelity` to tell them apart.
            A searcher that does not is told one trial of each candidate, with values brought to
            the scale of the full effort: see `niwaki.search.schedulers.full_effort_view`.
    """

    sees_fidelities: ClassVar[bool] = False

    @property
    def n_left(self) -> int | None:
        """How many candidates it still proposes; None if it goes on as long as there are any."""
        return None

    @abstractmethod
    def ask(self, n: int, pending: Sequence[Candidate] = ()) -> list[Candidate]:
        """Return up to `n` new candidates; fewer, or none, only if no more is found.

        Args:
            n: How many are wanted, at least 1.
            pending: Candidates asked for earlier and not yet told.
        """

    @abstractmethod
    def tell(self, trials: Sequence[Trial]) -> None:
        """Learn from finished trials, in the order in which they finished.

        A trial that was never asked for here, such as one of an earlier study, is learned from
        all the same.
        """

    @abstractmethod
    def resume(self, asked: Sequence[Candidate]) -> None:
        """Take note of candidates that others asked for, in order of asking.

        That is an earlier process, before the first `ask`, or between two of them a searcher that
        searches the same space for another goal. `tell` follows for those that finished.
        """

    def favourites(self, most: int) -> list[Candidate]:  # noqa: ARG002
        """Return up to `most` new candidates that it would ask for next, the best first.

        None if it cannot tell, at all or so far, as here. A searcher that can gives
        `expected_gains` too, and is asked jointly with others that search for other goals.
        """
        return []

    def expected_gains(self, candidates: Sequence[Candidate]) -> NDArray[np.float64]:
        """Return (n,) by how much each candidate is expected to move the front, 0 or more.

        As shares of the front's extent, so that gains of several searchers may be added up. Asked
        for after `favourites` that were not empty, before anything else happens.
        """
        raise NotImplementedError
