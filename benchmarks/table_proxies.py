"""Zero-cost proxies of every network of the tables, as columns for `search_efficiency --proxies`.

The networks are built as published (`table_networks.py`, `zero_cost_proxies.py`), initialised here
and looked at with a few small CIFAR-10 images, which rank them nearly as the published batches do:
images of Taskonomy and ImageNet are not among our data. Isomorphic networks are looked at once. At
the end each proxy is compared with what the tables say, and with published scores where there are
some.

Scores go to a file per table in `--cache`; the same command goes on where it was stopped.

Run: python -m benchmarks.table_proxies --cache runs/table_proxies --processes 2
     python -m benchmarks.table_proxies --tables transnas-macro --device cuda --processes 8
"""

import argparse
import json
import multiprocessing
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.efficiency.catalogue import all_scenarios
from benchmarks.efficiency.proxies import Scores, path_of, read_scores
from benchmarks.efficiency.scenario import Scenario
from benchmarks.table_networks import accelerators, transnas_macro, transnas_micro
from benchmarks.zero_cost_proxies import NAMES, PUBLISHED, frame, images, network, spearman
from niwaki.core.candidate import Candidate
from niwaki.core.errors import DataError
from niwaki.core.randomness import derived_seed
from niwaki.predictors.proxies.base import Batch
from niwaki.predictors.proxies.registry import PROXIES, proxy_scores


@dataclass(frozen=True)
class Family:
    """The networks of a table.

    Attributes:
        scenario: One that has all of the table's rows.
        build: Returns the network of the codes of a row, 0 for a decision that a row lacks.
        n_images: That it is looked at with.
        resolution: Of those images.
        published: Table, prefix of its decisions, and space and task of the published scores; empty
            if there are none.
    """

    scenario: str
    build: Callable[[Sequence[int]], nn.Module]
    n_images: int
    resolution: int
    published: tuple[str, ...] = ()


def nasbench201(codes: Sequence[int]) -> nn.Module:
    """Return a NAS-Bench-201 network of the published size."""
    return network(tuple(codes), cells=5)


FAMILIES = {
    "nasbench201": Family(
        "nasbench201/c10/raspi4",
        nasbench201,
        32,
        16,
        ("nasbench201_devices", "op", "nasbench201", "cifar10"),
    ),
    "transnas-macro": Family(
        "transnas/macro/class+segment",
        transnas_macro,
        16,
        64,
        ("transnasbench101_3tasks", "g", "transbench101_macro", "class_object"),
    ),
    "transnas-micro": Family(
        "transnas/micro/class+segment",
        transnas_micro,
        16,
        64,
        ("transnasbench101_3tasks", "g", "transbench101_micro", "class_object"),
    ),
    "accelerators": Family("accelerators/latency_zcu102", accelerators, 16, 64),
}


@dataclass(frozen=True)
class Way:
    """How networks are looked at: scores of two ways do not belong in one column."""

    family: str
    n_images: int
    resolution: int


def networks_of(scenario: Scenario) -> dict[str, tuple[int, ...]]:
    """Return the codes of each network by name, one spelling of those that are isomorphic."""
    space, found = scenario.space, dict[str, tuple[int, ...]]()
    for candidate in map(space.candidate, range(space.size)):
        found.setdefault(scenario.evaluator.identity(candidate), codes_of(scenario, candidate))
    return found


def codes_of(scenario: Scenario, candidate: Candidate) -> tuple[int, ...]:
    """Return the decisions of a row, in order; 0 for one that it lacks."""
    decided = (candidate.decisions.get(path) for path in scenario.space.paths)
    return tuple(value if isinstance(value, int) else 0 for value in decided)


@cache
def batch_of(way: Way, device: str) -> Batch:
    """Return the images, brought to the resolution."""
    small = images(way.n_images)
    size = (way.resolution, way.resolution)
    large = nn.functional.interpolate(small.inputs, size, mode="bilinear", antialias=True)
    return Batch(large.to(device), small.targets.to(device))


def scored(
    one: tuple[str, tuple[int, ...]], *, way: Way, device: str, proxies: Sequence[str]
) -> tuple[str, Scores]:
    """Return the name of a network, and its scores."""
    torch.set_num_threads(1)
    name, codes = one
    torch.manual_seed(derived_seed(0, "network", name))
    module = FAMILIES[way.family].build(codes).to(device)
    return name, proxy_scores(module, batch_of(way, device), proxies)


def compute(
    way: Way, missing: Mapping[str, tuple[int, ...]], arguments: argparse.Namespace
) -> None:
    """Append the scores of networks to the family's file."""
    work = partial(scored, way=way, device=arguments.device, proxies=arguments.proxies)
    with path_of(arguments.cache, way.family).open("a") as file:
        for number, (name, scores) in enumerate(_each(work, missing, arguments.processes), start=1):
            file.write(json.dumps({"network": name, "scores": scores}) + "\n")
            file.flush()
            print(f"{way.family}: {number} of {len(missing)}", end="\r", file=sys.stderr)


def _each(
    work: Callable[[tuple[str, tuple[int, ...]]], tuple[str, Scores]],
    missing: Mapping[str, tuple[int, ...]],
    n_processes: int,
) -> Iterator[tuple[str, Scores]]:
    if n_processes == 1:
        yield from map(work, missing.items())
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(n_processes, context) as pool:
        yield from pool.map(work, missing.items(), chunksize=8)


def prepare(way: Way, folder: Path) -> dict[str, Scores]:
    """Return the scores that are there already; start the file if there is none.

    Raises:
        DataError: If the file's networks were looked at in another way.
    """
    path, wanted = path_of(folder, way.family), vars(way)
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(wanted) + "\n")
    whole, _, unfinished = path.read_text().rpartition("\n")
    if unfinished:  # a line that a kill cut short
        path.write_text(whole + "\n")
    found, scores = read_scores(path)
    if found != wanted:
        raise DataError(f"'{path}' has {found}, but {wanted} is asked for: take another --cache")
    return scores


def print_comparison(family: str, scores: Mapping[str, Scores], proxies: Sequence[str]) -> None:
    """Print how proxies rank what the table tells of each row, and agree with published scores."""
    scenario = all_scenarios()[FAMILIES[family].scenario]
    rows = [scenario.space.candidate(row) for row in range(scenario.space.size)]
    known = [scores.get(scenario.evaluator.identity(candidate), {}) for candidate in rows]
    published = published_scores(family)
    print(f"\n{family}, {len(rows)} rows: Spearman correlation with")
    for proxy in proxies:
        ours = np.array([each.get(proxy, np.nan) for each in known])
        ours = np.where(np.isfinite(ours), ours, np.nan)
        said = [
            f"{each.name} {spearman(each.sign * ours, costs):.3f}"
            for each, costs in zip(scenario.objectives, scenario.truth.T, strict=True)
        ]
        name = NAMES.get(proxy, proxy)
        theirs = [published.get(codes_of(scenario, each), {}).get(name, np.nan) for each in rows]
        if np.isfinite(theirs).any():
            n_both = int(np.isfinite(theirs).sum())
            said.append(f"published scores of {n_both} rows {spearman(ours, theirs):.3f}")
        print(f"  {proxy}: {', '.join(said)}")


def published_scores(family: str) -> dict[tuple[int, ...], Scores]:
    """Return published scores by the codes of a row; nothing where none are published."""
    if not (published := FAMILIES[family].published):
        return {}
    table, prefix, space, task = published
    scores, rows = frame("zero_cost_proxies"), frame(table)
    scores = scores[(scores["space"] == space) & (scores["task"] == task)]
    if "space" in rows:
        rows = rows[rows["space"] == space.removeprefix("transbench101_")]
    columns = [f"{prefix}{number}" for number in range(6)]
    both = rows[["arch_idx", *columns]].merge(scores, on="arch_idx")
    names = [name for name in both.columns if name in PUBLISHED]
    codes = both[columns].astype(int).itertuples(index=False, name=None)
    return dict(zip(codes, both[names].to_dict("records"), strict=True))


def main() -> None:
    """Compute what is missing, and print the comparison."""
    arguments = _parser().parse_args()
    for family in arguments.tables:
        n_images = arguments.images or FAMILIES[family].n_images
        way = Way(family, n_images, arguments.resolution or FAMILIES[family].resolution)
        scores = prepare(way, arguments.cache)
        missing = {
            name: codes
            for name, codes in networks_of(all_scenarios()[FAMILIES[family].scenario]).items()
            if not scores.get(name, {}).keys() >= set(arguments.proxies)
        }
        compute(way, missing, arguments)
        _, scores = read_scores(path_of(arguments.cache, family))
        print_comparison(family, scores, arguments.proxies)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tables", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--proxies", nargs="+", choices=PROXIES.names(), default=["naswot"])
    parser.add_argument("--images", type=int, default=0, help="0: as the table has it")
    parser.add_argument("--resolution", type=int, default=0, help="0: as the table has it")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=Path("runs/table_proxies"))
    return parser


if __name__ == "__main__":
    main()
