"""The ways to search a table with goals: one search with goals, one for each, one front of all."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from benchmarks.efficiency import own
from benchmarks.efficiency.contestants import Contestant, contestants, source_digest
from benchmarks.efficiency.goals import AFTER, ENOUGH, TableWithGoals
from benchmarks.efficiency.scenario import Meter, Scenario
from niwaki.search.base import Searcher
from niwaki.search.registry import SEARCHERS
from niwaki.search.several_goals import SeveralGoals

Make: TypeAlias = Callable[[Scenario, int], Searcher]

LEAST_OF_ONE = AFTER[0]  # evaluations, of a search for one goal
MOST_OBJECTIVES, MOST_WITH_MORE = 4, 60  # hypervolumes of many objectives are slow


def with_goals(searcher: str, table: TableWithGoals) -> Contestant:
    """Return one search with goals."""
    make = partial(_for_goals, searcher, table.goals)
    return _contestant(searcher, "goals", make, table.goals, AFTER[-1])


def alone(searcher: str, goal: Scenario) -> Contestant:
    """Return a search for one goal, which knows nothing of others."""
    return _contestant(searcher, "alone", partial(_for_all, searcher), (goal,), LEAST_OF_ONE)


def one_front(searcher: str, table: TableWithGoals) -> Contestant:
    """Return one search for a front over the objectives of all goals."""
    make = partial(_for_all, searcher)
    made = _contestant(searcher, "one front", make, table.goals, AFTER[-1])
    if searcher == "surrogate" and len(table.whole.wanted) > MOST_OBJECTIVES:
        return replace(made, most_evaluations=MOST_WITH_MORE)
    return made


def _contestant(
    searcher: str, way: str, make: Make, goals: Sequence[Scenario], at_least: int
) -> Contestant:
    sources = (SeveralGoals.__module__, __name__)
    version = "-".join([contestants()[searcher].version, *(source_digest(s)[:8] for s in sources)])
    run = partial(_search, make=make, goals=goals, at_least=at_least)
    return Contestant(f"{searcher}, {way}", True, version, lambda: run)


def _search(
    meter: Meter, seed: int, *, make: Make, goals: Sequence[Scenario], at_least: int
) -> None:
    """Search until every goal has enough, but not fewer than `at_least` evaluations."""
    for _ in own.steps(meter, make(meter.scenario, seed)):
        rows = meter.rows
        if len(rows) >= at_least and all(goal.share(rows) >= ENOUGH for goal in goals):
            return


def _for_all(searcher: str, scenario: Scenario, seed: int) -> Searcher:
    made: Searcher = SEARCHERS.find(searcher).load()(own.problem_of(scenario, seed))
    return made


def _for_goals(searcher: str, goals: Sequence[Scenario], scenario: Scenario, seed: int) -> Searcher:
    """Return a searcher for several goals, as a study makes it."""
    common = own.problem_of(scenario, seed)
    problems = [replace(common, objectives=goal.objectives) for goal in goals]
    return SeveralGoals(problems, SEARCHERS.find(searcher).load())
