"""How many evaluations does one search with goals need, beside a search for each goal?

On tables, as in `search_efficiency`: NAS-Bench-201 cells for each of six devices, six goals of
accuracy and that device's latency; TransNAS networks for each of three tasks, three goals of that
task's metric and FLOPs. One evaluation measures the values of all goals. A searcher is run

- goals: once, with goals, which choose together or in turn, and learn from every evaluation
  (`SeveralGoals`),
- each: once for each goal, which knows nothing of the others, and all evaluations are added up;
  after 120 evaluations, each of six goals has had 20,
- each, paid once: the same searches in turn, but what another one has evaluated is free,
- each, all rows: the same, and each goal's front is that of all rows that were evaluated,
- one front: once, over all objectives, at most 60 evaluations where there are more than four.

One line for each table and way: medians over seeds, with quartiles, of the evaluations until every
goal has 90 and 95% of its own true front's hypervolume, and of the mean share over goals after 40,
80 and 120. Each search ends when its goals have 95%, but not before 40 evaluations, or 120 where
it is for all goals; and at `--evaluations`.

Finished runs are kept in `--cache`. The tables are read from the folder NIWAKI_DATA (default:
../shared/data).

Run: python -m benchmarks.several_goals --seeds 10 --cache runs/several_goals
     python -m benchmarks.several_goals --tables 'fleet/*' --searchers surrogate
     python -m benchmarks.several_goals --cache runs/several_goals --summarise
"""

import argparse
import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TypeAlias

import numpy as np

from benchmarks.efficiency import goals as counting
from benchmarks.efficiency.cache import Cache
from benchmarks.efficiency.contestants import Contestant
from benchmarks.efficiency.goal_searches import alone, one_front, with_goals
from benchmarks.efficiency.goals import AFTER, N_ENDS, Reached, TableWithGoals, tables_with_goals
from benchmarks.efficiency.scenario import SHARES, Scenario

Rows: TypeAlias = Sequence[int]

GOALS, EACH, ONE_FRONT = WAYS = ("goals", "each", "one front")
SINGLE = {GOALS: with_goals, ONE_FRONT: one_front}
CHANCE = "random"  # does not hang on objectives: run once


@dataclass(frozen=True)
class Runs:
    """Searches that are made, or found in a cache.

    Attributes:
        cache: Keeps what is finished.
        n_evaluations: Of each search, at most.
        ways: Those of `WAYS` that are wanted.
        makes: Whether what is missing is run.
    """

    cache: Cache
    n_evaluations: int
    ways: Sequence[str] = WAYS
    makes: bool = True

    def counted(self, table: TableWithGoals, searcher: str, seed: int) -> dict[str, Reached]:
        """Return what each way to search a table reached with a seed."""
        goals = table.goals
        found: dict[str, Reached] = {}
        for way in self.ways if searcher != CHANCE else [ONE_FRONT]:
            if way == EACH:
                found |= _apart(goals, [self._rows(g, alone(searcher, g), seed) for g in goals])
            elif rows := self._rows(table.whole, SINGLE[way](searcher, table), seed):
                found[way] = counting.by_one_search(goals, rows)
        return found

    def _rows(self, scenario: Scenario, who: Contestant, seed: int) -> Rows | None:
        """Return the rows that a search evaluated, in order; None if it is not to be made."""
        wanted = min(self.n_evaluations, who.most_evaluations or self.n_evaluations)
        new = self.makes and self.cache.run(scenario, who, seed, wanted)
        run = self.cache.find(scenario, who, seed, wanted)
        if run is not None and new:
            said = f"{len(run.rows)} evaluations, {run.seconds:.0f} s"
            print(f"{scenario.name} {who.name} seed {seed}: {said}", file=sys.stderr, flush=True)
        return run.rows if run else None


def _apart(goals: Sequence[Scenario], found: Sequence[Rows | None]) -> dict[str, Reached]:
    searches = [rows for rows in found if rows is not None]
    if len(searches) < len(goals):
        return {}
    return {
        "each": counting.by_one_each(goals, searches),
        "each, paid once": counting.by_one_each_paid_once(goals, searches),
        "each, all rows": counting.by_all_rows(goals, searches),
    }


def line(table: str, way: str, reached: Sequence[Reached]) -> str:
    """Return a row of the printed table."""
    counts = [cell([each.needed[i] for each in reached], "g") for i in range(N_ENDS)]
    shares = [cell([each.shares[i] for each in reached], ".3f") for i in range(len(AFTER))]
    return f"| {' | '.join([table, way, str(len(reached)), *counts, *shares])} |"


def cell(figures: Sequence[float], layout: str) -> str:
    """Return median and quartiles as text; what was not reached, or not measured, is `-`."""

    def text(figure: float) -> str:
        return f"{figure:{layout}}" if math.isfinite(figure) else "-"

    low, high = np.quantile(figures, (0.25, 0.75), method="closest_observation")
    return f"{text(float(np.median(figures)))} ({text(low)}, {text(high)})"


def main() -> int:
    """Run what is missing, and print the tables."""
    options = _options()
    ends = " | ".join(f"{share:.0%}" for share in SHARES[:N_ENDS])
    marks = " | ".join(f"after {n}" for n in AFTER)
    print(f"| table | way | seeds | {ends} | {marks} |\n{'|---' * 8}|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        cache = Cache(options.cache or Path(folder))
        runs = Runs(cache, options.evaluations, options.ways, makes=not options.summarise)
        for name, table in tables_with_goals().items():
            if any(fnmatch(name, pattern) for pattern in options.tables):
                for text in lines(runs, table, options.searchers, range(options.seeds)):
                    print(text, flush=True)
    return 0


def lines(
    runs: Runs, table: TableWithGoals, searchers: Sequence[str], seeds: range
) -> Iterator[str]:
    """Yield the rows of a table that is printed, of each searcher when its seeds are done."""
    for searcher in searchers:
        of_seeds = [runs.counted(table, searcher, seed) for seed in seeds]
        for way in dict.fromkeys(way for found in of_seeds for way in found):
            reached = [found[way] for found in of_seeds if way in found]
            said = f"{searcher}, {way}" if searcher != CHANCE else searcher
            yield line(table.whole.name, said, reached)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tables", nargs="*", default=["*"], help="patterns, as 'fleet/*'")
    parser.add_argument("--searchers", nargs="*", default=["surrogate", "nsga2", CHANCE])
    parser.add_argument("--ways", nargs="*", default=list(WAYS), choices=WAYS)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--evaluations", type=int, default=200, help="of each search, at most")
    parser.add_argument("--cache", type=Path, help="keeps finished runs")
    parser.add_argument("--summarise", action="store_true", help="of what is in the cache")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
