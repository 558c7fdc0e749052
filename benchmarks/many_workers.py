"""What do searchers lose when many workers evaluate at once?

On tables, as in `search_efficiency`, but so many candidates are under way at any time: a worker
that ends tells its result and asks for the next candidate, without waiting for others. Evaluations
take half as long as the mean up to half as long again, drawn evenly; time is counted in means. One
line for each table, searcher and number of workers: medians over seeds of the evaluations to 90 and
95% of the true front's hypervolume, and of the time until then. Optuna's TPE is asked through
niwaki's interface, where a proposal that was asked before is mutated.

The tables are read from the folder NIWAKI_DATA (default: ../shared/data).

Run: python -m benchmarks.many_workers [--tables 'nasbench201/c100/raspi4' 'made/bits/0' ...]
     [--searchers surrogate optuna nsga2] [--workers 1 8 32] [--seeds 10] [--evaluations 150]
"""

import argparse
import heapq
import math
import sys
from fnmatch import fnmatch

import numpy as np

from benchmarks.efficiency.catalogue import all_scenarios
from benchmarks.efficiency.own import measured, problem_of
from benchmarks.efficiency.scenario import SHARES, Meter, Scenario
from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Trial
from niwaki.core.randomness import stream
from niwaki.search.registry import SEARCHERS

TABLES = (
    "nasbench201/c100/raspi4",
    "accelerators/latency_zcu102",
    "transnas/macro/class+flops_m",
    "made/widths/0",
    "made/bits/0",
    "made/training/1",
)
SHORTEST, LONGEST = 0.5, 1.5  # evaluations


def search(
    scenario: Scenario, searcher: str, *, workers: int, seed: int, evaluations: int
) -> tuple[Meter, list[float]]:
    """Search with workers that do not wait for each other.

    Returns:
        What was evaluated, in the order in which it was told, and when each was told first.
    """
    asker = SEARCHERS.find(searcher).load()(problem_of(scenario, seed))
    meter, rng = Meter(scenario, evaluations), stream(seed, "durations")
    under_way: list[tuple[float, int, Candidate]] = []  # end, number, what is evaluated
    now, n_asked, told_at = 0.0, 0, []
    while True:
        while len(under_way) < workers and n_asked < evaluations:
            pending = [candidate for _, _, candidate in sorted(under_way, key=lambda job: job[1])]
            asked = asker.ask(1, pending)
            if not asked:
                break
            end = now + float(rng.uniform(SHORTEST, LONGEST))
            heapq.heappush(under_way, (end, n_asked, asked[0]))
            n_asked += 1
        if not under_way:
            return meter, told_at
        now, number, candidate = heapq.heappop(under_way)
        answer = meter.evaluate_row(scenario.space.row(candidate))
        asker.tell([Trial(number, candidate, measured(scenario, candidate, answer))])
        if len(meter.rows) > len(told_at):  # a repeat costs nothing
            told_at.append(now)


def needed(
    scenario: Scenario, searcher: str, *, workers: int, seed: int, evaluations: int
) -> list[float]:
    """Return the evaluations to 90 and 95%, and the time until then; infinite if never reached."""
    meter, told_at = search(scenario, searcher, workers=workers, seed=seed, evaluations=evaluations)
    counts = [n or math.inf for n in scenario.needed(meter.rows)[:2]]
    times = [told_at[int(n) - 1] if math.isfinite(n) else math.inf for n in counts]
    return [*counts, *times]


def main() -> None:
    """Search every table with every searcher and number of workers, and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tables", nargs="*", default=list(TABLES), help="patterns of names")
    parser.add_argument("--searchers", nargs="*", default=["surrogate", "optuna", "nsga2"])
    parser.add_argument("--workers", nargs="*", type=int, default=[1, 8, 32])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--evaluations", type=int, default=150)
    options = parser.parse_args()
    ends = " / ".join(f"{share:.0%}" for share in SHARES[:2])
    print(f"| table | searcher | workers | evaluations to {ends} | time |\n|---|---|---|---|---|")
    for name, scenario in all_scenarios().items():
        if not any(fnmatch(name, pattern) for pattern in options.tables):
            continue
        for searcher in options.searchers:
            for workers in options.workers:
                found = [
                    needed(
                        scenario,
                        searcher,
                        workers=workers,
                        seed=seed,
                        evaluations=options.evaluations,
                    )
                    for seed in range(options.seeds)
                ]
                cells = [f"{x:.4g}" if math.isfinite(x) else "-" for x in np.median(found, axis=0)]
                counts, times = " / ".join(cells[:2]), " / ".join(cells[2:])
                print(f"| {name} | {searcher} | {workers} | {counts} | {times} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
