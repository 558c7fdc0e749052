"""Tables of which several fronts are wanted, and how the searches of them are counted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from math import inf, nan

import numpy as np

from benchmarks.efficiency.catalogue import DEVICES, TASKS, nasbench201, transnas
from benchmarks.efficiency.scenario import SHARES, Scenario
from niwaki.evaluation.table import TableEvaluator, ValueColumn

AFTER = (40, 80, 120)  # evaluations
N_ENDS = 2  # of `SHARES`: 90 and 95%
ENOUGH = SHARES[N_ENDS - 1]


@dataclass(frozen=True, eq=False)
class TableWithGoals:
    """A table, with a front of its own for each goal.

    Attributes:
        whole: With the objectives of all goals: what one evaluation measures.
        goals: The same rows, each with its own objectives.
    """

    whole: Scenario
    goals: tuple[Scenario, ...]

    @classmethod
    def of(cls, whole: Scenario, goals: Sequence[tuple[str, ...]]) -> "TableWithGoals":
        """Return a table with goals that are named after their objectives."""
        return cls(
            whole,
            tuple(
                replace(whole, name=f"{whole.name}/{'+'.join(wanted)}", wanted=wanted)
                for wanted in goals
            ),
        )


def tables_with_goals() -> dict[str, TableWithGoals]:
    """Return every table by name: cells for six devices, and networks for three tasks."""
    known = {scenario.name: scenario for source in (nasbench201, transnas) for scenario in source()}
    tables = [_fleet(known[f"nasbench201/{data}/{DEVICES[0]}"], data) for data in ("c100", "c10")]
    for space in ("macro", "micro"):
        whole = known[f"transnas/{space}/{'+'.join(TASKS)}+flops_m"]
        whole = replace(whole, name=f"tasks/{space}")
        tables.append(TableWithGoals.of(whole, [(task, "flops_m") for task in TASKS]))
    return {table.whole.name: table for table in tables}


def _fleet(cells: Scenario, data: str) -> TableWithGoals:
    """Return the cells with their accuracy against the latency of each device."""
    settings = cells.evaluator.rows.settings
    values = {name: settings.values[name] for name in ("accuracy", *settings.cheap)}
    for device in DEVICES:
        values[device] = ValueColumn("minimize", f"help_lat_ms_{device}", "ms")
    table = TableEvaluator(replace(settings, values=values))
    whole = Scenario(f"fleet/{data}", "fleet", table, ("accuracy", *DEVICES), family=cells.family)
    return TableWithGoals.of(whole, [("accuracy", device) for device in DEVICES])


@dataclass(frozen=True)
class Reached:
    """What came of one seed.

    Attributes:
        needed: Evaluations until every goal has 90 and 95% of its own true front's hypervolume;
            infinite if one never had.
        shares: Mean over goals of the share of that after `AFTER` evaluations; NaN if fewer were
            made.
    """

    needed: tuple[float, ...]
    shares: tuple[float, ...]


def by_one_search(goals: Sequence[Scenario], rows: Sequence[int]) -> Reached:
    """Count rows that were evaluated in this order, each of which counts for every goal."""
    needed = np.max([_needed(goal, rows) for goal in goals], axis=0)
    return Reached(
        tuple(needed.tolist()),
        tuple(_mean(goals, [rows[:n]] * len(goals)) if n <= len(rows) else nan for n in AFTER),
    )


def by_one_each(goals: Sequence[Scenario], searches: Sequence[Sequence[int]]) -> Reached:
    """Count a search for each goal as they are paid for where none knows of another."""
    needed = np.sum([_needed(*each) for each in zip(goals, searches, strict=True)], axis=0)
    shares = [_mean(goals, [rows[: n // len(goals)] for rows in searches]) for n in AFTER]
    return Reached(tuple(needed.tolist()), tuple(shares))


def by_one_each_paid_once(goals: Sequence[Scenario], searches: Sequence[Sequence[int]]) -> Reached:
    """Count the same, but a row that the search of another goal has evaluated is free."""
    counts = [_needed(*each) for each in zip(goals, searches, strict=True)]
    needed = []
    for each in zip(*counts, strict=True):
        if inf in each:
            needed.append(inf)
            continue
        seen = [rows[: int(n)] for rows, n in zip(searches, each, strict=True)]
        needed.append(float(len(set().union(*seen))))
    return Reached(tuple(needed), tuple(_mean(goals, in_turn(searches, n)) for n in AFTER))


def by_all_rows(goals: Sequence[Scenario], searches: Sequence[Sequence[int]]) -> Reached:
    """Count the same, in turn, and whatever was evaluated counts for the fronts of all goals."""
    turns = [row for round_ in zip_longest(*searches) for row in round_ if row is not None]
    return by_one_search(goals, list(dict.fromkeys(turns)))


def in_turn(searches: Sequence[Sequence[int]], n: int) -> list[list[int]]:
    """Return the rows of each search when `n` different ones were evaluated, taken in turn."""
    taken: list[list[int]] = [[] for _ in searches]
    known: set[int] = set()
    for round_ in zip_longest(*searches):
        for own, row in zip(taken, round_, strict=True):
            if row is None:
                continue
            if len(known | {row}) > n:
                return taken
            known.add(row)
            own.append(row)
    return taken


def _needed(goal: Scenario, rows: Sequence[int]) -> list[float]:
    return [inf if n is None else float(n) for n in goal.needed(rows)[:N_ENDS]]


def _mean(goals: Sequence[Scenario], rows: Sequence[Sequence[int]]) -> float:
    """Return the mean share of goals, each by rows of its own."""
    return float(np.mean([goal.share(own) for goal, own in zip(goals, rows, strict=True)]))
