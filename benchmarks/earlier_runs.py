"""What is an earlier search worth, of the same space on another device or for another task?

On tables, as in `search_efficiency`. An earlier search of 100 evaluations by `surrogate`, with a
seed of its own, comes before each search, which then begins with the ten best of it
(`learn_from` in a configuration); `surrogate` learns from all that it measured, too. Beside it:
the same without having learned, the ten best alone, and the other searchers with and without them.
The last lines are a control: the earlier search measured random rows and was told the values of
others, so that nothing of what it says is true.

One line for each pair and searcher: medians over seeds of the evaluations to 90, 95 and 99% of the
true front's hypervolume, and the mean log10 of what is missing after 6, 10, 20 and 40 of them.

The tables are read from the folder NIWAKI_DATA (default: ../shared/data).

Run: python -m benchmarks.earlier_runs [--pairs 'nasbench201/*' ...] [--seeds 10]
     [--evaluations 60] [--searchers surrogate nsga2 optuna]
"""

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from multiprocessing import get_context

import numpy as np

from benchmarks.efficiency import own
from benchmarks.efficiency.catalogue import all_scenarios, require
from benchmarks.efficiency.scenario import SHARES, Answer, Meter, Scenario
from niwaki.core.measurement import Trial
from niwaki.core.randomness import stream
from niwaki.search.base import Earlier
from niwaki.search.earlier import informed

# What is searched, and what was searched before.
PAIRS = (
    ("nasbench201/c100/raspi4", "nasbench201/c100/pixel3"),
    ("nasbench201/c100/raspi4", "nasbench201/c10/raspi4"),
    ("nasbench201/c100/1080ti_1", "nasbench201/c100/raspi4"),
    ("nasbench201/c10/titan_rtx_32", "nasbench201/c10/1080ti_1"),
    ("nasbench201/c10/samsung_a50", "nasbench201/c10/titan_rtx_32"),
    ("transnas/macro/class+flops_m", "transnas/macro/segment+flops_m"),
    ("transnas/macro/segment+flops_m", "transnas/macro/class+flops_m"),
    ("transnas/macro/class+segment", "transnas/macro/normal+flops_m"),
    ("accelerators/latency_zcu102", "accelerators/throughput_tpuv3"),
    ("accelerators/throughput_tpuv3", "accelerators/latency_zcu102"),
    ("trained/precisions/1", "trained/precisions/0"),
    ("trained/widths/1", "trained/widths/0"),
    ("trained/trainings/1", "trained/trainings/0"),
)
CONTROLS = ("nasbench201/c100/raspi4", "accelerators/latency_zcu102")
N_EARLIER = 100
AFTER = (6, 10, 20, 40)  # evaluations
OURS = "surrogate"
ALONE, BEGINS, LEARNS = "alone", "begins", "learns"

scenario_of: Callable[[str], Scenario] = cache(lambda name: all_scenarios()[name])


def earlier_search(name: str, seed: int, *, useless: bool) -> Earlier:
    """Return what a search of a table found.

    Args:
        name: Of the table.
        seed: Of the search.
        useless: Whether it measured random rows instead, and was told the values of others.
    """
    scenario = scenario_of(name)
    if useless:
        rows, told = (
            stream(seed, "useless").permutation(len(scenario.grid))[: 2 * N_EARLIER].reshape(2, -1)
        )
    else:
        meter = Meter(scenario, N_EARLIER)
        own.run(meter, seed, searcher=OURS)
        rows = told = np.array(meter.rows)
    trials = []
    for number, (row, source) in enumerate(zip(rows.tolist(), told.tolist(), strict=True)):
        candidate = scenario.space.candidate(row)
        answer = Answer(source, None if scenario.failing[source] else scenario.told[source])
        trials.append(Trial(number, candidate, own.measured(scenario, candidate, answer)))
    return Earlier(scenario.objectives, (), tuple(trials))


@dataclass(frozen=True)
class Job:
    """Searches of one table with one seed, in every way that a searcher can use an earlier one.

    Attributes:
        name: Of the table.
        before: Of that which was searched before.
        useless: Whether nothing true came of that.
        searchers: Their names.
        seed: Of the searches; the one before has another.
        n_evaluations: Of each.
    """

    name: str
    before: str
    useless: bool
    searchers: tuple[str, ...]
    seed: int
    n_evaluations: int

    def run(self) -> list[list[float]]:
        """Return for each searcher and way the evaluations to `SHARES`, and log10 of what lacks."""
        scenario = scenario_of(self.name)
        known = earlier_search(self.before, 1000 + self.seed, useless=self.useless)
        best = informed(own.problem_of(scenario, self.seed), [known]).initial
        found = []
        for searcher, way in ways_of(self.searchers):
            meter = Meter(scenario, self.n_evaluations)
            initial = best if way == BEGINS else ()
            earlier = [known] if way == LEARNS else []
            own.run(meter, self.seed, searcher=searcher, initial=initial, earlier=earlier)
            missing = [
                1.0 - scenario.share(meter.rows[:n]) if n <= self.n_evaluations else math.nan
                for n in AFTER
            ]
            needed = [n or math.inf for n in scenario.needed(meter.rows)]
            found.append([*needed, *np.log10(np.maximum(missing, 1e-4)).tolist()])
        return found


def ways_of(searchers: Sequence[str]) -> list[tuple[str, str]]:
    """Return searchers and how each can use an earlier search: only `surrogate` learns from it."""
    ways = {
        name: (ALONE, BEGINS, LEARNS) if name == OURS else (ALONE, BEGINS) for name in searchers
    }
    return [(name, way) for name, each in ways.items() for way in each]


def main() -> None:
    """Search every pair with every searcher, and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", nargs="*", default=["*"], help="patterns of what is searched")
    parser.add_argument("--searchers", nargs="*", default=[OURS, "nsga2", "optuna"])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--evaluations", type=int, default=60)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    every = [(*pair, False) for pair in PAIRS] + [(name, name, True) for name in CONTROLS]
    cases = [case for case in every if any(fnmatch(case[0], each) for each in options.pairs)]
    require({name for case in cases for name in case[:2]})
    ends = " / ".join(f"{share:.0%}" for share in SHARES)
    print(f"| searched | before | searcher | evaluations to {ends} | log10 of what is missing |")
    print("|---|---|---|---|---|", flush=True)
    searchers = tuple(options.searchers)
    with get_context("forkserver").Pool(options.workers) as pool:
        for name, before, useless in cases:
            seeds = range(options.first_seed, options.first_seed + options.seeds)
            jobs = [
                Job(name, before, useless, searchers, seed, options.evaluations) for seed in seeds
            ]
            found = np.array(pool.map(Job.run, jobs, chunksize=1))  # seeds x ways x figures
            source = "nothing true" if useless else before
            for column, (searcher, way) in enumerate(ways_of(searchers)):
                needed = np.median(found[:, column, : len(SHARES)], axis=0)
                missing = found[:, column, len(SHARES) :].mean(axis=0)
                counts = " / ".join(f"{n:.4g}" if math.isfinite(n) else "-" for n in needed)
                path = " / ".join("-" if math.isnan(x) else f"{x:.2f}" for x in missing)
                print(f"| {name} | {source} | {searcher}, {way} | {counts} | {path} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
