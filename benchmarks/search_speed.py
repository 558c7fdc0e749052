"""What searching itself costs: ask and tell after 1,000 evaluations, and 100,000 evaluations.

The first part tells every searcher the same 1,000 measurements of a table of 390,625 rows and of a
space of the same choices that no table limits, then times one ask and tell after another. The
second part lets evolution evaluate 100,000 rows of that table, beside pymoo and Optuna, each in a
process of its own: evaluations per second in the first and in the last tenth, and memory.

Run: python -m benchmarks.search_speed
     python -m benchmarks.search_speed --searchers nsga2 pymoo-nsga2 --evaluations 20000 --only run
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet

from benchmarks.efficiency.contestants import contestants
from benchmarks.efficiency.own import problem_of
from benchmarks.efficiency.scenario import Answer, Meter, Scenario
from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Measurement, Trial
from niwaki.core.randomness import stream
from niwaki.evaluation.table import TableEvaluator, TableSettings, ValueColumn
from niwaki.search.base import Problem, Searcher
from niwaki.search.optuna_sampler import OptunaSearcher, OptunaSettings
from niwaki.search.registry import SEARCHERS
from niwaki.spaces import Choice, ChoiceSpace

N_CHOICES, N_OPTIONS = 8, 5
PATHS = tuple(f"op{number}" for number in range(N_CHOICES))
TOLD = ("random", "nsga2", "linas", "surrogate", "botorch", "optuna-tpe", "optuna-gp")
EVOLVING = ("nsga2", "pymoo-nsga2", "optuna-nsga2")
UNLIMITED = ChoiceSpace(tuple(Choice(path, tuple(range(N_OPTIONS))) for path in PATHS))


def write_table(folder: Path) -> Path:
    """Write a table of all combinations, and return its path."""
    grid = np.array(list(product(range(N_OPTIONS), repeat=N_CHOICES)), dtype=np.int8)
    rng = stream(0, "table")
    gains, costs = rng.random((2, N_CHOICES, N_OPTIONS))
    pairs = rng.normal(size=(N_CHOICES - 1, N_OPTIONS, N_OPTIONS))
    columns = range(N_CHOICES)
    accuracy = sum(gains[j][grid[:, j]] for j in columns) + 0.2 * sum(
        pairs[j][grid[:, j], grid[:, j + 1]] for j in columns[:-1]
    )
    latency = np.prod([1.0 + costs[j][grid[:, j]] for j in columns], axis=0)
    data = {path: grid[:, j] for j, path in enumerate(PATHS)}
    path = folder / "table.parquet"
    pyarrow.parquet.write_table(
        pyarrow.table({**data, "accuracy": accuracy, "latency_ms": latency}), path
    )
    return path


def scenario_of(table: Path) -> Scenario:
    """Return the scenario of the table."""
    values = {"accuracy": ValueColumn("maximize"), "latency_ms": ValueColumn("minimize")}
    settings = TableSettings(file=str(table), decisions=PATHS, values=values)
    return Scenario("speed", "speed", TableEvaluator(settings), ("accuracy", "latency_ms"))


@dataclass(frozen=True)
class Told:
    """How long a searcher takes, once it was told `n_told` measurements.

    Attributes:
        first_seconds: Of the first ask, which may have to learn.
        seconds: Of each of the next asks with the tell before it.
    """

    first_seconds: float
    seconds: tuple[float, ...]


def after(table: Path, searcher: str, *, limited: bool, n_told: int, n_asks: int) -> Told:
    """Tell a searcher what was measured at random, then time asks and tells.

    Args:
        table: Path of the file.
        searcher: Name.
        limited: Search the rows of the table; or else the same choices without a table.
        n_told: How many measurements.
        n_asks: How many are timed.
    """
    evaluator = scenario_of(table).evaluator
    problem = problem_of(scenario_of(table), 0)
    if not limited:
        problem = replace(problem, space=UNLIMITED, identity=lambda candidate: candidate.key)
    rng = stream(1, "told")
    rows = rng.choice(evaluator.space.size, size=n_told, replace=False).tolist()
    candidates = [evaluator.space.candidate(row) for row in rows]
    asker = _made(searcher, problem)
    asker.resume(candidates)
    asker.tell([_trial(evaluator, number, c) for number, c in enumerate(candidates)])
    seconds: list[float] = []
    told: list[Trial] = []
    for number in range(n_asks + 1):
        started = time.perf_counter()
        asker.tell(told)
        [asked] = asker.ask(1)
        seconds.append(time.perf_counter() - started)
        told = [_trial(evaluator, n_told + number, asked)]
    return Told(seconds[0], tuple(seconds[1:]))


def _made(searcher: str, problem: Problem) -> Searcher:
    if searcher.startswith("optuna-"):
        return OptunaSearcher(problem, OptunaSettings(searcher.removeprefix("optuna-")))
    made: Searcher = SEARCHERS.find(searcher).load()(problem)
    return made


def _trial(evaluator: TableEvaluator, number: int, candidate: Candidate) -> Trial:
    measurement: Measurement = evaluator.evaluate(candidate, fidelity=1.0, seed=0)
    return Trial(number, candidate, measurement)


@dataclass(frozen=True)
class Evolved:
    """What a long run cost.

    Attributes:
        n_evaluations: Made before the time was up, repeats included.
        n_distinct: Of them.
        first: Evaluations per second in the first tenth.
        last: In the last tenth.
        mean: All over.
        start_mb: Resident memory when the table was there.
        end_mb: When it was over.
    """

    n_evaluations: int
    n_distinct: int
    first: float
    last: float
    mean: float
    start_mb: float
    end_mb: float


class Clock(Meter):
    """A meter that counts repeats too, notes the time of each, and stops when it is late."""

    def __init__(self, scenario: Scenario, n_evaluations: int, seconds: float) -> None:
        super().__init__(scenario, n_evaluations)
        self.times = [time.perf_counter()]
        self._n_wanted, self._seconds = n_evaluations, seconds

    @property
    def done(self) -> bool:
        late = time.perf_counter() - self.times[0] > self._seconds
        return len(self.times) > self._n_wanted or late

    def evaluate_row(self, row: int) -> Answer:
        self.times.append(time.perf_counter())
        return super().evaluate_row(row)


def evolve(table: Path, searcher: str, *, n_evaluations: int, seconds: float) -> Evolved:
    """Let a searcher evaluate rows of the table."""
    scenario = scenario_of(table)
    _ = scenario.told, scenario.failing, scenario.row([0] * N_CHOICES)
    run = contestants()[searcher].load()
    start_mb = _memory_mb()
    clock = Clock(scenario, n_evaluations, seconds)
    run(clock, 0)
    times = np.array(clock.times)
    share = max(1, (len(times) - 1) // 10)
    return Evolved(
        n_evaluations=len(times) - 1,
        n_distinct=len(clock.rows),
        first=share / (times[share] - times[0]),
        last=share / (times[-1] - times[-1 - share]),
        mean=(len(times) - 1) / (times[-1] - times[0]),
        start_mb=start_mb,
        end_mb=_memory_mb(),
    )


def _memory_mb() -> float:
    """Return the resident memory now, as Linux counts it."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def alone(function: Callable[..., object], *values: object, **named: object) -> object:
    """Call a function in a new process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, values, named)


def asks(table: Path, searchers: Sequence[str], arguments: argparse.Namespace) -> Iterator[str]:
    """Yield the lines of the first part."""
    yield f"After {arguments.told} evaluations: seconds of the first ask, then of tell and ask"
    yield "(median, longest)\n"
    yield "| searcher | space | first | median | longest |\n|---|---|---|---|---|"
    for name in searchers:
        for limited in (True, False):
            told = alone(
                after, table, name, limited=limited, n_told=arguments.told, n_asks=arguments.asks
            )
            assert isinstance(told, Told)
            median, longest = np.median(told.seconds), max(told.seconds)
            where = "rows of a table" if limited else "choices"
            yield f"| {name} | {where} | {told.first_seconds:.3f} | {median:.3f} | {longest:.3f} |"


def runs(table: Path, searchers: Sequence[str], arguments: argparse.Namespace) -> Iterator[str]:
    """Yield the lines of the second part."""
    yield f"\n{arguments.evaluations} evaluations of a table, or {arguments.seconds:.0f} s\n"
    yield "| searcher | evaluations | distinct | per second | first | last | MB before | after |"
    yield "|---|---|---|---|---|---|---|---|"
    for name in searchers:
        long = alone(
            evolve, table, name, n_evaluations=arguments.evaluations, seconds=arguments.seconds
        )
        assert isinstance(long, Evolved)
        speeds = f"{long.mean:.0f} | {long.first:.0f} | {long.last:.0f}"
        memory = f"{long.start_mb:.0f} | {long.end_mb:.0f}"
        yield f"| {name} | {long.n_evaluations} | {long.n_distinct} | {speeds} | {memory} |"


def main() -> None:
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--searchers", nargs="*", help="default: all")
    parser.add_argument("--only", choices=["asks", "run"], help="one part")
    parser.add_argument("--told", type=int, default=1_000)
    parser.add_argument("--asks", type=int, default=10)
    parser.add_argument("--evaluations", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=600.0, help="of each long run, at most")
    arguments = parser.parse_args()
    known = [*SEARCHERS.names(), *contestants()]
    wanted = arguments.searchers or known
    with tempfile.TemporaryDirectory() as folder:
        table = write_table(Path(folder))
        if arguments.only != "run":
            telling = [name for name in TOLD if name in wanted and name in known]
            for line in asks(table, telling, arguments):
                print(line, flush=True)
        if arguments.only != "asks":
            for line in runs(table, [name for name in EVOLVING if name in wanted], arguments):
                print(line, flush=True)


if __name__ == "__main__":
    main()
