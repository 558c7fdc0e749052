"""What earlier searches of the same space found: on other devices, for other data or objectives."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, islice, zip_longest

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.core.errors import SpaceError
from niwaki.core.pareto import fronts
from niwaki.search.base import Earlier, Problem
from niwaki.spaces.many import faults

Array = NDArray[np.float64]

N_FIRST = 10  # of the best that were found, to begin with


def problem_of(earlier: Earlier, now: Problem) -> Problem:
    """Return what was searched for then, in the space of `now`."""
    return replace(
        now,
        objectives=earlier.objectives,
        bounds=earlier.bounds,
        initial=(),
        promises=None,
        earlier=(),
    )


def informed(problem: Problem, earlier: Sequence[Earlier]) -> Problem:
    """Return a problem of which every searcher begins with the best of earlier searches.

    `surrogate` learns from everything that they measured, too.

    Args:
        problem: What is searched now.
        earlier: The most alike first.

    Raises:
        SpaceError: If a trial is not of the space.
    """
    candidates = [trial.candidate for each in earlier for trial in each.trials]
    if fault := next(filter(None, faults(problem.space, candidates)), ""):
        raise SpaceError(fault)
    known = {problem.identity(candidate) for candidate in problem.initial}
    best: dict[str, Candidate] = {}
    by_turns = zip_longest(*(_best_first(problem, each) for each in earlier))
    for candidate in chain.from_iterable(by_turns):
        if candidate is not None and (name := problem.identity(candidate)) not in known:
            best.setdefault(name, candidate)
    initial = (*problem.initial, *[*best.values()][:N_FIRST])
    return replace(problem, initial=initial, earlier=tuple(e for e in earlier if e.trials))


def _best_first(now: Problem, earlier: Earlier) -> list[Candidate]:
    """Return the best candidates of a search, each front spread out: ends first, then what is far.

    They are the best by what is wanted now if all of that was measured then. If none keeps to the
    bounds, those that come nearest to it.
    """
    measured = {name for trial in earlier.trials for name in trial.measurement.values}
    was = {objective.name: objective.direction for objective in earlier.objectives}
    alike = all(
        o.name in measured and was.get(o.name, o.direction) == o.direction for o in now.objectives
    )
    judge = problem_of(earlier, now)
    if alike:
        judge = replace(judge, objectives=now.objectives)
    costs, violations = judge.costs(earlier.trials), judge.violations(earlier.trials)
    if not (violations == 0.0).any():
        nearest = np.argsort(violations, kind="stable")
        nearest = nearest[np.isfinite(violations[nearest])]
        return [earlier.trials[row].candidate for row in nearest[:N_FIRST]]
    costs[violations > 0.0] = np.nan
    found = (front[row] for front in fronts(costs) for row in _spread(costs[front]))
    return [earlier.trials[row].candidate for row in islice(found, N_FIRST)]


def _spread(costs: Array) -> list[int]:
    """Return the rows of (n, m) costs: the best of each column, then the farthest from all before.

    At most `N_FIRST` of them.
    """
    width = np.ptp(costs, axis=0)
    scaled = costs / np.where(width > 0.0, width, 1.0)
    chosen = list(dict.fromkeys(scaled.argmin(axis=0).tolist()))
    while len(chosen) < min(N_FIRST, len(costs)):
        apart = ((scaled[:, None] - scaled[chosen]) ** 2).sum(axis=2).min(axis=1)
        apart[chosen] = -1.0
        chosen.append(int(apart.argmax()))
    return chosen
