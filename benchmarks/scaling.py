"""What a second worker is worth, how busy workers are, and what the driver pays per evaluation.

For worker processes on this machine and for a Ray on it, side by side:

1. throughput of two workers over one, on an evaluator that does a fixed amount of arithmetic;
2. share of their time that two workers spend in evaluations, when these take from `--shortest` to
   ten times as long, log-uniformly;
3. cost of one evaluation of a whole study (ask, tell, ledger, executor) when it computes nothing:
   wall time, processor time of the driver, and whether they stay flat.

Workers are started and used once before anything is timed. Parts 1 and 2 want as many idle cores as
workers. Run:

    python benchmarks/scaling.py                                   # about 15 minutes
    python benchmarks/scaling.py --jobs 24 --evaluations 2000      # about 3
"""

import argparse
import json
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from niwaki import Budget, Candidate, Measurement, Study, StudySettings
from niwaki.core import Trial
from niwaki.core.objectives import Direction, Objective
from niwaki.evaluation.base import Evaluator
from niwaki.search.base import Problem, Searcher
from niwaki.search.nsga2 import NSGA2
from niwaki.search.random_search import RandomSearch
from niwaki.spaces import Choice, ChoiceSpace
from niwaki.study.description import StudyDescription
from niwaki.study.executors import Executor, Job, LocalProcessExecutor, LocalProcessSettings
from niwaki.study.executors.ray_cluster import RayClusterSettings, create
from niwaki.study.record.history import History
from niwaki.study.watching.observer import Silence
from niwaki.testing.scripted_evaluator import ScriptedEvaluator

SPACE = ChoiceSpace(tuple(Choice(f"layer{i}", (0, 1, 2, 3)) for i in range(30)))
SEARCHERS: dict[str, Callable[[Problem], Searcher]] = {"nsga2": NSGA2, "random": RandomSearch}
EXECUTORS = ("local_processes", "ray")


@dataclass(frozen=True)
class Arithmetic(ScriptedEvaluator):
    """Does as many rounds of arithmetic as its candidate says: work, whatever time that takes."""

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        work(int(str(candidate.decisions["rounds"])))
        return Measurement(candidate.key, {"value": 1.0})


@dataclass(frozen=True)
class Free(ScriptedEvaluator):
    """Two objectives that cost nothing to compute."""

    space: ChoiceSpace = SPACE

    @property
    def values(self) -> tuple[Objective, ...]:
        return Objective("a", Direction.MINIMIZE), Objective("b", Direction.MINIMIZE)

    def baseline(self) -> Candidate:
        return SPACE.decide(lambda _, options: options[0])

    def evaluate(self, candidate: Candidate, *, fidelity: float, seed: int) -> Measurement:
        levels = np.array([value for _, value in candidate.items], dtype=float)
        a, b = float(levels.sum()), float(((3 - levels) ** 2).sum())
        return Measurement(candidate.key, {"a": a, "b": b})


class Clock(Silence):
    """Notes the time of every told trial."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def begin(self, description: StudyDescription, history: History) -> None:
        self.times.append(time.perf_counter())

    def told(self, trial: Trial) -> None:
        self.times.append(time.perf_counter())


def work(rounds: int) -> float:
    """Keep one core busy, without memory traffic."""
    value = 1.0
    for _ in range(rounds):
        value = math.sqrt(value + 1.0)
    return value


def rounds_per_second() -> float:
    """Return how much work this machine does, alone."""
    n = 2_000_000
    start = time.perf_counter()
    work(n)
    return n / (time.perf_counter() - start)


def resident_mb() -> float:
    """Return the memory that this process has; NaN where the system does not tell."""
    try:
        n_pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return math.nan
    return n_pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def make(kind: str, evaluator: Evaluator, n_workers: int, logs: Path) -> Executor:
    """Return an executor with `n_workers`."""
    if kind == "ray":
        settings = RayClusterSettings(address="local", n_workers=n_workers)
        return create(evaluator, settings, logs=logs)
    return LocalProcessExecutor(evaluator, LocalProcessSettings(n_workers=n_workers), logs=logs)


def drive(executor: Executor, rounds: Sequence[int]) -> tuple[float, float]:
    """Run one job for each of `rounds`; returns wall seconds, and seconds inside evaluations."""
    todo = [Job(i, Candidate.of({"rounds": n, "number": i})) for i, n in enumerate(rounds)][::-1]
    start, inside = time.perf_counter(), 0.0
    while todo or executor.n_unfinished:
        while todo and executor.n_free:
            executor.submit(todo.pop())
        inside += sum(one.measurement.seconds for one in executor.wait())
    return time.perf_counter() - start, inside


def warm_up(executor: Executor, n_workers: int, rounds: int) -> None:
    """Bring up every worker, so that what follows times none of the starts."""
    seen: set[str] = set()
    number = -1
    while len(seen) < n_workers:
        for _ in range(executor.n_free):
            executor.submit(Job(number, Candidate.of({"rounds": rounds, "number": number})))
            number -= 1
        seen |= {one.measurement.worker for one in executor.wait()}
    while executor.n_unfinished:
        executor.wait()


def throughput(kind: str, arguments: argparse.Namespace, logs: Path) -> dict[str, float]:
    """Return evaluations per second with one worker and with two, and their ratio."""
    one_job = int(arguments.seconds * rounds_per_second())
    rates: dict[int, list[float]] = {1: [], 2: []}
    for n_workers, found in rates.items():
        with make(kind, Arithmetic(), n_workers, logs) as executor:
            warm_up(executor, n_workers, one_job)
            for _ in range(arguments.repeats):
                elapsed, _ = drive(executor, [one_job] * arguments.jobs)
                found.append(arguments.jobs / elapsed)
    one, two = (statistics.median(found) for found in rates.values())
    return {"one_per_s": one, "two_per_s": two, "two_over_one": two / one}


def busy(kind: str, arguments: argparse.Namespace, logs: Path) -> dict[str, float]:
    """Return the share of two workers' time spent in evaluations of very different lengths."""
    rng = np.random.default_rng(arguments.seed)
    seconds = arguments.shortest * 10 ** rng.random(arguments.jobs)
    rounds = [int(s) for s in seconds * rounds_per_second()]
    shares = []
    with make(kind, Arithmetic(), 2, logs) as executor:
        warm_up(executor, 2, rounds[0])
        for _ in range(arguments.repeats):
            elapsed, inside = drive(executor, rounds)
            shares.append(inside / (2 * elapsed))
    return {"busy_share": statistics.median(shares), "worst": min(shares)}


def cost(kind: str, arguments: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Return what one evaluation of a study costs when the evaluation itself is free."""
    n, clock = arguments.evaluations, Clock()
    settings = StudySettings(objectives=("a", "b"), budget=Budget(n), searcher=arguments.searcher)
    logs = folder / "run" / "logs"
    logs.mkdir(parents=True)

    def executor(evaluator: Evaluator) -> Executor:
        return make(kind, evaluator, 2, logs)

    study = Study(
        folder / "run",
        Free(),
        SEARCHERS[arguments.searcher],
        settings,
        make_executor=executor,
        observer=clock,
    )
    processor_s, memory_mb = time.process_time(), resident_mb()
    study.run()
    processor_s = time.process_time() - processor_s
    # The first trials wait for the workers to start.
    wall_ms = 1000 * np.diff(clock.times)[min(50, n // 10) :]
    tenth = max(1, len(wall_ms) // 10)
    first, last = float(wall_ms[:tenth].mean()), float(wall_ms[-tenth:].mean())
    return {
        "wall_ms": float(wall_ms.mean()),
        "driver_cpu_ms": 1000 * processor_s / n,
        "first_tenth_ms": first,
        "last_tenth_ms": last,
        "last_over_first": last / first,
        "memory_growth_mb": resident_mb() - memory_mb,
    }


PARTS: Mapping[str, Callable[[str, argparse.Namespace, Path], dict[str, float]]] = {
    "throughput": throughput,
    "busy": busy,
    "cost": cost,
}


def main() -> None:
    """Measure, and print one table for each part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--executors", nargs="*", default=EXECUTORS, choices=EXECUTORS)
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--jobs", type=int, default=80, help="evaluations of parts 1 and 2")
    parser.add_argument("--seconds", type=float, default=0.25, help="of one evaluation in part 1")
    parser.add_argument("--shortest", type=float, default=0.1, help="evaluation in part 2, seconds")
    parser.add_argument(
        "--repeats", type=int, default=3, help="of parts 1 and 2; the median counts"
    )
    parser.add_argument("--evaluations", type=int, default=100_000, help="of part 3")
    parser.add_argument("--searcher", default="nsga2", choices=list(SEARCHERS), help="of part 3")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for part in arguments.parts:
        print(part)
        for kind in arguments.executors:
            with tempfile.TemporaryDirectory() as folder:
                found = PARTS[part](kind, arguments, Path(folder))
            figures.setdefault(part, {})[kind] = found
            print(f"  {kind:<16} " + "  ".join(f"{k} {v:.3f}" for k, v in found.items()))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
