"""What choosing costs among trees: operators, features and counts, and asks of searchers.

The trees are those of einspace on 3x28x28 that a search from ResNet-18 and a small ViT meets:
descendants of both, and random ones. Values are made up, a noisy function of the networks'
multiply-accumulates. Times are of the processor.

Run: python -m benchmarks.tree_speed
     python -m benchmarks.tree_speed --searchers surrogate --told 100
"""

import argparse
import math
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Measurement, Trial
from niwaki.core.objectives import Direction, Objective
from niwaki.core.randomness import stream
from niwaki.search.base import Problem, Searcher
from niwaki.search.registry import SEARCHERS
from niwaki.spaces.einspace import EinspaceSettings, NetworkFamily
from niwaki.spaces.grammar import Budget
from niwaki.spaces.heads import Head, HeadKind

SHAPE = (3, 28, 28)
SEEDS = ("resnet18", "vit_small")
BUDGET = Budget(
    operations=128,
    network_operations=512,
    parameters=16_000_000,
    macs=400_000_000,
    elements=5_500_000,
)
OBJECTIVES = (
    Objective("skill", Direction.MAXIMIZE, ""),
    Objective("latency_ms", Direction.MINIMIZE, "ms"),
)
SEARCHERS_TOLD = ("surrogate", "linas", "nsga2", "regularized_evolution")
N_OPERATED = 200


def family() -> NetworkFamily:
    """Return the networks, with nothing remembered yet."""
    settings = EinspaceSettings(sampling="convolutions", budget=BUDGET)
    return settings.family(SHAPE, (Head("answer", HeadKind.VECTOR, 20),))


def met(networks: NetworkFamily, n: int) -> list[Candidate]:
    """Return the seeds and n others: two of three descend from what is there, others are drawn."""
    found = [networks.seed(name) for name in SEEDS]
    for number in range(n):
        rng = stream(0, "met", number)
        parent = found[int(rng.integers(len(found)))]
        space = networks.space
        found.append(space.mutate(parent, rng) if number % 3 else space.sample(rng))
    return found


def cheap(networks: NetworkFamily, candidate: Candidate) -> Mapping[str, float]:
    """Return what costs nothing to know."""
    counts = networks.counts(candidate)
    return {name: counts[name] for name in ("macs", "params")}


def trial(networks: NetworkFamily, number: int, candidate: Candidate) -> Trial:
    """Return a made-up measurement."""
    macs = networks.counts(candidate)["macs"]
    noise = 0.05 * float(stream(0, "noise", candidate.key).normal())
    values = {"skill": math.log10(macs + 10.0) / 9.0 + noise, "latency_ms": macs / 3e7 + 0.05}
    return Trial(number, candidate, Measurement(candidate.key, values))


def operations() -> Mapping[str, float]:
    """Return the mean time in ms of what searchers do to one of the seeds."""
    networks = family()
    first, second = (networks.seed(name) for name in SEEDS)
    space = networks.space
    children: list[Candidate] = []

    def mutate(number: int) -> None:
        children.append(space.mutate(first, stream(0, "mutate", number)))

    works: Mapping[str, Callable[[int], object]] = {
        "mutation": mutate,
        "crossover": lambda number: space.crossover(first, second, stream(0, "cross", number)),
        "features of a child": lambda number: space.encode([children[number]]),
        "counts of a child": lambda number: networks.counts(children[number]),
    }
    return {name: 1e3 * _seconds(work, N_OPERATED) / N_OPERATED for name, work in works.items()}


def _seconds(work: Callable[[int], object], n: int) -> float:
    started = time.process_time()
    for number in range(n):
        work(number)
    return time.process_time() - started


def asks(searcher: str, n_told: int, n_asks: int) -> tuple[float, list[float]]:
    """Return seconds to be told n measurements at once, and of each ask, with its tell, since."""
    networks = family()
    known = met(networks, n_told)
    problem = Problem(
        networks.space,
        OBJECTIVES,
        seed=0,
        cheap=lambda candidate: cheap(networks, candidate),
        initial=tuple(known[: len(SEEDS)]),
        identity=networks.identity,
    )
    asker: Searcher = SEARCHERS.find(searcher).load()(problem)
    asker.resume(known)
    told = [trial(networks, number, candidate) for number, candidate in enumerate(known)]
    started = time.process_time()
    asker.tell(told)
    telling_s = time.process_time() - started
    told, found = [], list[float]()
    for number in range(n_asks):
        started = time.process_time()
        asker.tell(told)
        (asked,) = asker.ask(1)
        found.append(time.process_time() - started)
        told = [trial(networks, len(known) + number, asked)]
    return telling_s, found


def show(searchers: Sequence[str], counts: Sequence[int], n_asks: int) -> None:
    """Print both tables."""
    print("| of ResNet-18, 121 operations | ms |\n|---|---|")
    for name, milliseconds in operations().items():
        print(f"| {name} | {milliseconds:.2f} |")
    print("\n| searcher | told | in, s | first ask, s | median | longest of the others |")
    print("|---|---|---|---|---|---|")
    for searcher in searchers:
        for n_told in counts:
            telling_s, (first, *others) = asks(searcher, n_told, n_asks)
            figures = (telling_s, first, float(np.median(others)), max(others))
            row = " | ".join(f"{seconds:.3f}" for seconds in figures)
            print(f"| {searcher} | {n_told} | {row} |", flush=True)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--searchers", nargs="*", default=SEARCHERS_TOLD)
    parser.add_argument("--told", nargs="*", type=int, default=[30, 1_000])
    parser.add_argument("--asks", type=int, default=12, help="of each searcher")
    arguments = parser.parse_args()
    if arguments.asks < 2:
        parser.error("--asks must be 2 or more: the first one is told apart from the others")
    show(arguments.searchers, arguments.told, arguments.asks)


if __name__ == "__main__":
    main()
