"""How much of the front do searchers find in spaces of 1e18 and more candidates, by evaluations?

Widths of 24 layers, precisions of 40, both of 24, and a super-network of five stages, by formulas
(`efficiency/large.py`). Searchers are niwaki's own, and Optuna's samplers behind the same
interface, where a proposal that was asked before is mutated instead. The front is that of long runs
of evolution on the formula; shares of its hypervolume are medians over seeds.

Run: python -m benchmarks.large_spaces [--kinds widths policies both supernet] [--draw 0]
     [--searchers surrogate linas nsga2 random optuna-tpe optuna-gp] [--seeds 5] [--evaluations 200]
"""

import argparse
import sys
import time
from collections.abc import Sequence

import numpy as np

from benchmarks.efficiency.large import ACCURACY, KINDS, LATENCY, MACS, LargeSpace
from niwaki.core import Direction, Objective
from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Measurement, Trial
from niwaki.core.pareto import non_dominated
from niwaki.search.base import Problem, Searcher
from niwaki.search.optuna_sampler import OptunaSearcher, OptunaSettings
from niwaki.search.registry import SEARCHERS

OBJECTIVES = (
    Objective(ACCURACY, Direction.MAXIMIZE, "%"),
    Objective(LATENCY, Direction.MINIMIZE, "ms"),
)
SEARCHED = ("surrogate", "linas", "nsga2", "random", "optuna-tpe")
AFTER = (20, 40, 60, 100, 150, 200)  # evaluations


def make(name: str, problem: Problem) -> Searcher:
    """Return a searcher by its name."""
    family, _, sampler = name.partition("-")
    if family == "optuna":
        return OptunaSearcher(problem, OptunaSettings(sampler=sampler))
    found: Searcher = SEARCHERS.find(name).load()(problem)
    return found


def shares(large: LargeSpace, searcher: str, *, seed: int, after: Sequence[int]) -> list[float]:
    """Return the share of the front's hypervolume that was found after so many evaluations."""

    def cheap(candidate: Candidate) -> dict[str, float]:
        values = large.values([candidate])
        return {MACS: float(values[MACS][0])} if MACS in values else {}

    asker = make(searcher, Problem(large.space, OBJECTIVES, seed=seed, cheap=cheap))
    front, found = np.empty((0, 2)), []
    for number in range(max(after)):
        [candidate] = asker.ask(1)
        values = large.values([candidate])
        accuracy, latency = float(values[ACCURACY][0]), float(values[LATENCY][0])
        measured = Measurement(candidate.key, {ACCURACY: accuracy, LATENCY: latency})
        asker.tell([Trial(number, candidate, measured)])
        front = np.vstack([front, [-accuracy, latency]])
        front = front[non_dominated(front)]
        if number + 1 in after:
            found.append(large.front.share(front))
    return found


def main() -> None:
    """Search every space with every searcher, and print one line for each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--draw", type=int, default=0)
    parser.add_argument("--searchers", nargs="*", default=list(SEARCHED))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--evaluations", type=int, default=max(AFTER))
    options = parser.parse_args()
    if options.evaluations < AFTER[0]:
        parser.error(f"--evaluations must be {AFTER[0]} or more, where the first share is told")
    after = [number for number in AFTER if number <= options.evaluations]
    print(f"share of the front after {after}, median of {options.seeds} seeds; seconds per seed")
    for kind in options.kinds:
        large = LargeSpace(kind, options.draw)
        size = f"{len(large.space.choices)} choices, {large.space.size:.1e} candidates"
        print(f"{large.name}: {size}, a front of {len(large.front.costs)}", flush=True)
        for searcher in options.searchers:
            started = time.process_time()
            found = [shares(large, searcher, seed=s, after=after) for s in range(options.seeds)]
            seconds = (time.process_time() - started) / options.seeds
            medians = "  ".join(f"{share:.3f}" for share in np.median(found, axis=0))
            print(f"{large.name:<12} {searcher:<12} {medians}  {seconds:7.1f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
