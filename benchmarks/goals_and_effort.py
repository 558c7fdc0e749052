"""What do schedulers do for a search with goals? Full trainings until every front is there.

Cells of NAS-Bench-201 for each of six devices, six goals of accuracy (of 12 and of 200 epochs) and
that device's latency, as `several_goals` searches them with full trainings alone. A scheduler is
given

- goals: the problem of each goal, and promotes who promises to move all fronts furthest,
- all: the objectives of all goals at once, of which almost every cell is best at something.

One line for each searcher and scheduler: medians over seeds of the effort, in full trainings, until
every goal has 90 and 95% of its own true front's hypervolume, and of the mean share over goals
after 10, 20 and 40. The table is read from the folder NIWAKI_DATA (default: ../shared/data).

Run: python -m benchmarks.goals_and_effort [--searchers nsga2 surrogate] [--seeds 10] [--effort 120]
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from benchmarks.efficiency.true_front import TrueFront
from benchmarks.multi_fidelity import LOW, everything, full_trainings, problem_of
from niwaki.core.objectives import Objective, minimised
from niwaki.evaluation.table import TableEvaluator, TableSettings, ValueColumn
from niwaki.search.base import Problem, Searcher
from niwaki.search.registry import SEARCHERS
from niwaki.search.schedulers.base import Scheduler
from niwaki.search.schedulers.full_effort_view import FullEffortView
from niwaki.search.schedulers.registry import SCHEDULERS
from niwaki.search.several_goals import SeveralGoals

DEVICES = ("1080ti_1", "titan_rtx_32", "gold_6226", "pixel3", "raspi4", "samsung_a50")
SHARES, AFTER = (0.90, 0.95), (10.0, 20.0, 40.0)
ARMS = (("full", "goals"), ("asha", "all"), ("asha", "goals"), ("hyperband", "goals"))

Curve: TypeAlias = Sequence[tuple[float, float, float]]  # effort, least share, mean share


@dataclass(frozen=True)
class Fleet:
    """The table, its goals, and the true front of each."""

    evaluator: TableEvaluator
    goals: Sequence[tuple[Objective, ...]]
    fronts: Sequence[TrueFront]


def fleet() -> Fleet:
    """Return accuracy on CIFAR-100 against latency on each device."""
    accuracy = ValueColumn("maximize", "c100_val", "%", {LOW: "c100_val_12ep"})
    latencies = {d: ValueColumn("minimize", f"help_lat_ms_{d}", "ms") for d in DEVICES}
    settings = TableSettings(
        file="nasbench201_devices.parquet",
        decisions=tuple(f"op{i}" for i in range(6)),
        values={"accuracy": accuracy, **latencies},
        where={"connected": True},
        alike="unique_str",
    )
    evaluator = TableEvaluator(settings)
    known = everything(evaluator)
    first, *others = evaluator.values
    goals = [(first, other) for other in others]
    return Fleet(evaluator, goals, [TrueFront(minimised(known, goal)) for goal in goals])


def make(
    table: Fleet, searcher: str, scheduler: str, told: str, seed: int
) -> tuple[Searcher, Scheduler]:
    """Return a searcher for all goals, and a scheduler that is told of them, or of all at once."""
    common = problem_of(table.evaluator, seed)
    problems = tuple(replace(common, objectives=goal) for goal in table.goals)
    build = SEARCHERS.find(searcher).load()

    def seeing_all_efforts(problem: Problem) -> Searcher:
        return build(problem) if scheduler == "full" else FullEffortView(problem, build)

    given = replace(common, goals=problems) if told == "goals" else common
    made = SCHEDULERS.find(scheduler).load()(given, table.evaluator.fidelities)
    return SeveralGoals(problems, seeing_all_efforts), made


def search(
    searcher: Searcher, scheduler: Scheduler, table: Fleet, *, effort: float, seed: int
) -> Curve:
    """Search with one worker until every front is there, and say how far each full training led."""
    found: list[Mapping[str, float]] = []
    curve: list[tuple[float, float, float]] = []
    trained = full_trainings(searcher, scheduler, table.evaluator, effort=effort, seed=seed)
    for spent, values in trained:
        found.append(values)
        both = zip(table.fronts, table.goals, strict=True)
        shares = [front.share(minimised(found, goal)) for front, goal in both]
        curve.append((spent, min(shares), float(np.mean(shares))))
        if min(shares) >= SHARES[-1]:
            break
    return curve


def figures(curve: Curve) -> list[float]:
    """Return the effort to each share, inf if it was not reached, and mean shares after some."""
    to = [next((spent for spent, least, _ in curve if least >= s), np.inf) for s in SHARES]
    at = [next((mean for spent, _, mean in reversed(curve) if spent <= e), 0.0) for e in AFTER]
    return [*to, *at]


def main() -> int:
    """Measure every combination and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--searchers", nargs="*", default=["nsga2", "surrogate"])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--effort", type=float, default=120.0, help="full trainings per search")
    options = parser.parse_args()
    table = fleet()
    print("| searcher | scheduler, told of | seeds | 90% | 95% | after 10 | 20 | 40 |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for name in options.searchers:
        for scheduler, told in ARMS:
            curves = [
                search(
                    *make(table, name, scheduler, told, seed),
                    table,
                    effort=options.effort,
                    seed=seed,
                )
                for seed in range(options.seeds)
            ]
            found = np.median([figures(curve) for curve in curves], axis=0)
            to = [f"{x:.4g}" if np.isfinite(x) else "-" for x in found[: len(SHARES)]]
            at = [f"{x:.3f}" for x in found[len(SHARES) :]]
            row = [name, f"{scheduler}, {told}", str(options.seeds), *to, *at]
            print(f"| {' | '.join(row)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
