"""Evaluations needed to reach 90, 95 and 99% of the true front's hypervolume: ours and the peers.

Objectives are scaled to [ideal, nadir] of the true front, the reference point is 1.1. A row that
was evaluated before is free; an isomorphic one is not. Every searcher is run as its users would run
it (`benchmarks/efficiency/`), with its defaults, one evaluation after the other.

A table may cover only part of its grid. Our searchers are given the rows as their space; a peer
that asks for a hole gets the nearest row, free of charge, and is told where that is if it can be.

Finished runs are kept in `--cache`: a run that was interrupted goes on, more seeds or searchers
only cost what is new, and several processes, started in any order, share the work.

With `--proxies` (computed by `benchmarks.table_proxies`), ours that learn from cheap values take
part a second time, and are told the scores of untrained networks: what a user has whose networks
can be built. Peers have no way to be told.

The tables are read from the folder NIWAKI_DATA (default: ../shared/data).

Run: python -m benchmarks.search_efficiency --seeds 10 --processes 2 --cache runs/efficiency
     python -m benchmarks.search_efficiency --tables 'nasbench201/*' --searchers surrogate linas
     python -m benchmarks.search_efficiency --cache runs/efficiency --summarise
     python -m benchmarks.search_efficiency --proxies naswot --ours surrogate+naswot
"""

import argparse
import multiprocessing
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from itertools import groupby
from math import inf
from pathlib import Path

from benchmarks.efficiency.cache import Cache, Finished
from benchmarks.efficiency.catalogue import all_scenarios
from benchmarks.efficiency.contestants import Contestant, contestants, settings_of
from benchmarks.efficiency.foresight import Foresight
from benchmarks.efficiency.luck import Luck
from benchmarks.efficiency.oracle import Oracle
from benchmarks.efficiency.proxies import ProxyColumns
from benchmarks.efficiency.scenario import Scenario
from benchmarks.efficiency.summary import Needed, compared, of_scenario
from benchmarks.efficiency.trained import REMEDY, not_made


@dataclass(frozen=True)
class Job:
    """One run to be done."""

    cache: Path
    scenario: str
    searcher: str
    seed: int
    n_evaluations: int
    columns: ProxyColumns | None


def main() -> int:
    """Run what is missing, and print the tables."""
    parser = _parser()
    arguments = parser.parse_args()
    scenarios = [s for s in all_scenarios().values() if _wanted(s.name, arguments.tables)]
    if missing := [name for name in not_made() if _wanted(name, arguments.tables)]:
        print(f"left out, since not made yet: {', '.join(missing)}. {REMEDY}", file=sys.stderr)
    if not scenarios:
        parser.error(f"there is no table called {' or '.join(arguments.tables)}")
    everyone = contestants(_columns(arguments))
    if strangers := sorted(set(arguments.searchers) - everyone.keys()):
        parser.error(f"{', '.join(strangers)} cannot take part; {', '.join(everyone)} can")
    taking_part = [everyone[name] for name in arguments.searchers or everyone]
    if not arguments.cache:
        with tempfile.TemporaryDirectory() as folder:
            arguments.cache = Path(folder)
            return _work(arguments, scenarios, taking_part)
    return _work(arguments, scenarios, taking_part)


def _work(
    arguments: argparse.Namespace, scenarios: Sequence[Scenario], taking_part: Sequence[Contestant]
) -> int:
    n_failed = 0
    if not arguments.summarise:
        jobs = [
            Job(arguments.cache, s.name, c.name, seed, _budget(c, arguments), _columns(arguments))
            for seed in range(arguments.first_seed, arguments.seeds)
            for c in taking_part
            for s in scenarios
        ]
        n_failed = run_all(jobs, arguments.processes)
    for line in report(arguments, scenarios, taking_part):
        print(line)
    return 1 if n_failed else 0


def run_all(jobs: Sequence[Job], n_processes: int) -> int:
    """Run jobs in processes, and return how many failed; what finished is in the cache."""
    n_failed = 0
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(n_processes, context) as pool:
        running: dict[Future[bool], Job] = {pool.submit(run_job, job): job for job in jobs}
        for number, future in enumerate(as_completed(running), start=1):
            job = running[future]
            said = f"{number}/{len(jobs)} {job.scenario} {job.searcher} seed {job.seed}"
            if error := future.exception():
                n_failed += 1
                print(f"{said} FAILED: {error!r}", file=sys.stderr, flush=True)
            elif future.result():
                print(said, file=sys.stderr, flush=True)
    return n_failed


def run_job(job: Job) -> bool:
    """Run one job, in a process of the pool."""
    scenario = _scenarios()[job.scenario]
    contestant = contestants(job.columns)[job.searcher]
    return Cache(job.cache).run(scenario, contestant, job.seed, job.n_evaluations)


@cache
def _scenarios() -> dict[str, Scenario]:
    return all_scenarios()


def report(
    arguments: argparse.Namespace, scenarios: Sequence[Scenario], taking_part: Sequence[Contestant]
) -> Iterator[str]:
    """Yield the lines of all tables, from what is in the cache."""
    yield f"Evaluations to reach a share of the true front's hypervolume, {arguments.evaluations}"
    yield "allowed; median (quartiles) over seeds; seconds are of a whole run on a busy machine.\n"
    for contestant in taking_part:
        limit = f", stopped at {_budget(contestant, arguments)} evaluations"
        said = settings_of(contestant.name) + (limit if contestant.most_evaluations else "")
        yield f"- {contestant.name} [{contestant.version}]: {said}"
    peers = [c.name for c in taking_part if not c.ours]
    for group, members in groupby(scenarios, key=lambda scenario: scenario.group):
        yield f"\n## {group}"
        results: dict[str, dict[str, Needed]] = {}
        for scenario in members:
            results[scenario.name] = _results(arguments, scenario, taking_part)
            yield from of_scenario(scenario, results[scenario.name])
            if arguments.oracle:
                yield f"\n{Oracle.of(scenario).line()} {Luck.of(scenario).line()}"
                yield Foresight.of(scenario, arguments.evaluations).line()
        yield from compared(
            f"{arguments.ours} / best peer: {group}", results, arguments.ours, peers
        )
        yield from compared(
            f"{arguments.ours} / linas: {group}", results, arguments.ours, ["linas"]
        )


def _results(
    arguments: argparse.Namespace, scenario: Scenario, taking_part: Sequence[Contestant]
) -> dict[str, Needed]:
    runs_on_disk, results = Cache(arguments.cache), {}
    for contestant in taking_part:
        wanted = _budget(contestant, arguments)
        found = [
            runs_on_disk.find(scenario, contestant, seed, wanted)
            for seed in range(arguments.first_seed, arguments.seeds)
        ]
        if runs := [run for run in found if run]:
            results[contestant.name] = _needed(scenario, runs, wanted)
    return results


def _needed(scenario: Scenario, runs: Sequence[Finished], wanted: int) -> Needed:
    counts = [[inf if n is None else n for n in scenario.needed(run.rows)] for run in runs]
    n_possible = min(wanted, len(scenario.grid))
    return Needed(
        counts=tuple(tuple(row) for row in counts),
        allowed=min(len(run.rows) for run in runs),
        seconds=tuple(run.seconds for run in runs),
        n_stuck=sum(len(run.rows) < n_possible for run in runs),
        budget=n_possible,
    )


def _budget(contestant: Contestant, arguments: argparse.Namespace) -> int:
    allowed: int = arguments.evaluations
    if arguments.slow_too:
        return allowed
    return min(allowed, contestant.most_evaluations or allowed)


def _columns(arguments: argparse.Namespace) -> ProxyColumns | None:
    proxies = tuple(arguments.proxies)
    return ProxyColumns(arguments.proxy_scores, proxies) if proxies else None


def _wanted(name: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatch(name, pattern) for pattern in patterns)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tables", nargs="*", default=[], help="patterns, such as 'noise/*'")
    parser.add_argument("--searchers", nargs="*", default=[], help="default: all that there are")
    parser.add_argument(
        "--proxies", nargs="*", default=[], help="scores told to one more row of ours, as 'naswot'"
    )
    parser.add_argument(
        "--proxy-scores",
        type=Path,
        default=Path("runs/table_proxies"),
        help="where benchmarks.table_proxies has put them",
    )
    parser.add_argument("--seeds", type=int, default=10, help="the last, and one more")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--evaluations", type=int, default=500)
    parser.add_argument(
        "--slow-too", action="store_true", help="slow peers are allowed all these evaluations, too"
    )
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--cache", type=Path, help="keeps finished runs")
    parser.add_argument("--ours", default="surrogate", help="whom to compare with the peers")
    parser.add_argument("--oracle", action="store_true", help="say how hard each table is at best")
    parser.add_argument("--summarise", action="store_true", help="only print what is in the cache")
    return parser


if __name__ == "__main__":
    sys.exit(main())
