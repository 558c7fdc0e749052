"""Epochs to the front: searchers with a scheduler, and the same searchers without.

Columns of NAS-Bench-201 after 12 and after 200 epochs of training; latency is the same after both.
A searcher without a scheduler pays 200 epochs for every candidate. What counts is what was trained
in full: the hypervolume of its front, as a share of the true front's, objectives scaled to the true
front's [ideal, nadir], reference point 1.1. Effort is in full trainings (200 epochs). Cells without
a path from input to output are no networks and left out; spellings of one cell were trained apart,
so that each is an evaluation, and searchers that want to know are told which are alike.

Run: python benchmarks/multi_fidelity.py [--seeds 10] [--effort 600] [--searchers random nsga2 ...]
     [--devices raspi4 pixel3 ...] [--data c100 c10] [--schedulers full asha hyperband]
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np

from benchmarks.efficiency.true_front import TrueFront
from niwaki.core.fidelity import FULL
from niwaki.core.measurement import Trial
from niwaki.core.objectives import minimised
from niwaki.core.pareto import non_dominated
from niwaki.core.randomness import derived_seed
from niwaki.evaluation.table import TableEvaluator, TableSettings, ValueColumn
from niwaki.search.base import Problem, Searcher
from niwaki.search.registry import SEARCHERS
from niwaki.search.schedulers.base import Scheduler
from niwaki.search.schedulers.full_effort_view import FullEffortView
from niwaki.search.schedulers.registry import SCHEDULERS

LOW = 12 / 200
SHARES = (0.90, 0.95, 0.99)
DEVICES = ("raspi4", "pixel3", "1080ti_1", "gold_6226")


@dataclass(frozen=True)
class Case:
    """One table with its true front.

    Attributes:
        name: For people.
        evaluator: Of the table.
        front: Of all its rows.
    """

    name: str
    evaluator: TableEvaluator
    front: TrueFront


def case(data: str, device: str) -> Case:
    """Return accuracy on a data set against latency on a device."""
    accuracy = ValueColumn("maximize", f"{data}_val", "%", {LOW: f"{data}_val_12ep"})
    latency = ValueColumn("minimize", f"help_lat_ms_{device}", "ms")
    settings = TableSettings(
        file="nasbench201_devices.parquet",
        decisions=tuple(f"op{i}" for i in range(6)),
        values={"accuracy": accuracy, "latency_ms": latency},
        where={"connected": True},
        alike="unique_str",
    )
    evaluator = TableEvaluator(settings)
    true = TrueFront(minimised(everything(evaluator), evaluator.values))
    return Case(f"{data}/{device}", evaluator, true)


def everything(evaluator: TableEvaluator) -> list[Mapping[str, float]]:
    """Return what full effort gives of every candidate of a table."""
    candidates = map(evaluator.space.candidate, range(evaluator.space.size))
    return [evaluator.evaluate(each, fidelity=FULL, seed=0).values for each in candidates]


def full_trainings(
    searcher: Searcher,
    scheduler: Scheduler,
    evaluator: TableEvaluator,
    *,
    effort: float,
    seed: int,
) -> Iterator[tuple[float, Mapping[str, float]]]:
    """Search with one worker, and yield effort and values after each full training."""
    spent = 0.0
    for number in count():
        step = scheduler.next()
        if step is None or spent + evaluator.fidelities.effort(step.fidelity) > effort:
            return
        candidate = step.candidate or next(iter(searcher.ask(1)), None)
        if candidate is None:
            return
        scheduler.asked(candidate, step.fidelity)
        own_seed = derived_seed(seed, "evaluation", candidate.key)
        measurement = evaluator.evaluate(candidate, fidelity=step.fidelity, seed=own_seed)
        trial = Trial(number, candidate, measurement)
        spent += evaluator.fidelities.effort(step.fidelity)
        searcher.tell([trial])
        scheduler.told([trial])
        if step.fidelity == FULL:
            yield spent, measurement.values


def search(
    searcher: Searcher, scheduler: Scheduler, case: Case, *, effort: float, seed: int
) -> list[tuple[float, float]]:
    """Search with one worker, and return effort and share after each improvement of the front."""
    front, curve = np.empty((0, 2)), []
    evaluator = case.evaluator
    trained = full_trainings(searcher, scheduler, evaluator, effort=effort, seed=seed)
    for spent, values in trained:
        grown = np.vstack([front, minimised([values], evaluator.values)])
        grown = grown[non_dominated(grown)]
        if not np.array_equal(grown, front):
            front = grown
            curve.append((spent, case.front.share(front)))
        if curve[-1][1] >= SHARES[-1]:
            break
    return curve


def problem_of(evaluator: TableEvaluator, seed: int) -> Problem:
    """Return the search for the front of all values of a table."""
    return Problem(
        evaluator.space,
        evaluator.values,
        seed=seed,
        cheap=evaluator.cheap,
        alike=evaluator.alike,
    )


def make(searcher: str, scheduler: str, case: Case, seed: int) -> tuple[Searcher, Scheduler]:
    """Return a new searcher and scheduler for a case."""
    problem = problem_of(case.evaluator, seed)
    make_searcher = SEARCHERS.find(searcher).load()
    found: Searcher = make_searcher(problem)
    if scheduler != "full" and not found.sees_fidelities:
        found = FullEffortView(problem, make_searcher)
    return found, SCHEDULERS.find(scheduler).load()(problem, case.evaluator.fidelities)


def effort_to(curve: Sequence[tuple[float, float]], share: float) -> float:
    """Return the effort after which a share was reached; infinite if it was not."""
    return next((effort for effort, reached in curve if reached >= share), np.inf)


def measure(
    case: Case, searcher: str, scheduler: str, *, n_seeds: int, effort: float
) -> dict[str, float]:
    """Return the median effort to each share over the seeds."""
    started = time.perf_counter()
    curves = []
    for seed in range(n_seeds):
        pair = make(searcher, scheduler, case, seed)
        curves.append(search(*pair, case, effort=effort, seed=seed))
    figures = {
        f"to_{share:.0%}": float(np.median([effort_to(curve, share) for curve in curves]))
        for share in SHARES
    }
    last = float(np.median([curve[-1][1] for curve in curves]))
    return {**figures, "reached": last, "seconds": time.perf_counter() - started}


def main() -> None:
    """Measure every combination and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--effort", type=float, default=600.0, help="full trainings per search")
    parser.add_argument("--searchers", nargs="*", default=["random", "nsga2", "surrogate"])
    parser.add_argument("--schedulers", nargs="*", default=["full", "asha", "hyperband"])
    parser.add_argument("--devices", nargs="*", default=list(DEVICES))
    parser.add_argument("--data", nargs="*", default=["c100", "c10"])
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    print(
        f"median full trainings (200 epochs) over {options.seeds} seeds, at most {options.effort}"
    )
    figures = {}
    for name in options.searchers:
        for each in (case(data, device) for data in options.data for device in options.devices):
            for scheduler in options.schedulers:
                found = measure(each, name, scheduler, n_seeds=options.seeds, effort=options.effort)
                figures[f"{name} {each.name} {scheduler}"] = found
                shown = "  ".join(f"{k} {v:8.3f}" for k, v in found.items())
                print(f"{name:<10} {each.name:<16} {scheduler:<10} {shown}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
