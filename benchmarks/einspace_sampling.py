"""einspace, beside the published implementation's figures: what is valid, how fast, how exact.

For each input shape: random networks and successive mutations are built, run forward and backward,
and compared with what was predicted of them: shape, parameters, multiply-accumulates. Then the four
known networks, built from their trees and in plain torch, for time to build and one training step.
Networks are trained by nobody here.

The published figures are those measured on the authors' code at q = 0.32: einspace.md, 3.2.

Run: python -m benchmarks.einspace_sampling --n 1000 --children 100
A thousand networks take about 4 minutes per shape on an idle core; times are CPU time.
"""

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from niwaki.core.candidate import Candidate
from niwaki.core.randomness import stream
from niwaki.spaces.einspace import EinspaceSettings, NetworkFamily
from niwaki.spaces.einspace.attributes import shape_of
from niwaki.spaces.grammar import Budget
from niwaki.spaces.heads import Head, HeadKind
from tests.spaces.einspace import references

SHAPES = {
    "3x32x32": (3, 32, 32), "1x28x28": (1, 28, 28), "3x64x64": (3, 64, 64),
    "12x18x18": (12, 18, 18), "4x128": (4, 128),
}  # fmt: skip
HEAD = Head("answer", HeadKind.VECTOR, 10)
PUBLISHED = """published implementation, q = 0.32 (einspace.md, 3.2)
  sampling        3x32x32: 23% of 99 samplings fail or exceed 20 CPU s; of the rest, CPU ms at
                  25/50/75/90/95%: 3 / 7 / 73 / 1670 / 2400, at most 13500
  networks        3x32x32 87%, 1x28x28 86% of those small enough to try run; 79% / 78% are also as
                  predicted; above 200 terminals 30% / 40% run
  network sizes   parameters at 50/75/90/95%: 4.9e4 / 1.3e6 / 8.5e7 / 7.8e8, at most 3.9e15;
                  distinct terminals at 50/90/99%: 7 / 42 / 207, at most 480
  mutation        accepted 27% (ResNet-18), 28% (WRN), 57% (ViT; 81% of them unchanged), 21% (Mixer)
"""


@dataclass
class Tally:
    """What came of many networks."""

    faults: Counter[str] = field(default_factory=Counter)
    sizes: list[tuple[float, ...]] = field(default_factory=list)
    build_ms: list[float] = field(default_factory=list)

    @property
    def n(self) -> int:
        """Networks that were tried."""
        return len(self.build_ms) + self.faults.total()


def cpu_ms(work: Callable[[], object]) -> float:
    """Return the CPU time that `work` takes."""
    start = time.process_time()
    work()
    return 1000.0 * (time.process_time() - start)


def try_out(family: NetworkFamily, candidate: Candidate, shape: tuple[int, ...], to: Tally) -> None:
    """Build a network, run it both ways, and compare it with its predictions."""
    try:
        counts, start = family.counts(candidate), time.process_time()
        network = family.build(candidate)
        build_ms = 1000.0 * (time.process_time() - start)
        with FlopCounterMode(display=False) as counter:
            answer = network(torch.randn(2, *shape))[0]
        answer.square().sum().backward()
        features = network.get_submodule("body")(torch.randn(2, *shape))[0]
    except (RuntimeError, ValueError, AssertionError) as error:
        to.faults[f"{type(error).__name__}: {str(error)[:60]}"] += 1
        return
    exact = {
        "parameters": sum(w.numel() for w in network.parameters()) == counts["params"],
        "MACs": counter.get_total_flops() == 4 * counts["macs"],
        "shape": features.numel() == np.prod(shape_of(family.space.evaluation(candidate).output)),
    }
    wrong = [name for name, right in exact.items() if not right]
    if wrong:
        to.faults[f"wrong {', '.join(wrong)}"] += 1
        return
    tree = family.space.tree(candidate)
    copies = family.space.evaluation(candidate).cost.network_operations
    to.sizes.append((counts["params"], tree.n_leaves, tree.distinct(), copies))
    to.build_ms.append(build_ms)


def sampled(family: NetworkFamily, n: int) -> tuple[list[Candidate], list[float]]:
    """Draw networks, and say how long each took."""
    found, taken = [], []
    for number in range(n):
        start = time.process_time()
        found.append(family.space.sample(stream(number, "benchmark")))
        taken.append(1000.0 * (time.process_time() - start))
    return found, taken


def children(family: NetworkFamily, first: Candidate, n: int) -> Iterator[tuple[Candidate, bool]]:
    """Yield successive mutants, and whether each differs from its parent."""
    rng = stream(0, "mutate")
    for _ in range(n):
        child = family.space.mutate(first, rng)
        yield child, child != first
        first = child


def quantiles(values: list[float]) -> str:
    """Spell the median, three upper quantiles and the maximum."""
    shares = (0.5, 0.75, 0.9, 0.95, 1.0)
    return " / ".join(f"{value:.3g}" for value in np.quantile(values, shares))


def report_shape(name: str, settings: EinspaceSettings, options: argparse.Namespace) -> None:
    """Print what random networks and children for one input shape are like."""
    shape = SHAPES[name]
    family = settings.family(shape, [HEAD])
    candidates, taken = sampled(family, options.n)
    fresh, bred = Tally(), Tally()
    for candidate in candidates:
        try_out(family, candidate, shape, fresh)
    n_changed = 0
    for child, changed in children(family, candidates[0], options.children):
        n_changed += changed
        try_out(family, child, shape, bred)
    start = time.process_time()
    for candidate in candidates[:200]:
        family.space.mutate(candidate, stream(1))
    mutating = min(200, len(candidates)) / (time.process_time() - start)
    start = time.process_time()
    for one, two in pairwise(candidates[:201]):
        family.space.crossover(one, two, stream(2))
    crossing = min(200, len(candidates) - 1) / (time.process_time() - start)
    print(f"{name}, sampling by {settings.sampling}")
    print(
        f"  sampling        median {np.median(taken):.2f}, p99 {np.quantile(taken, 0.99):.1f},"
        f" max {max(taken):.1f} ms; {len(set(candidates))} distinct of {len(candidates)}"
    )
    for title, tally in (("networks", fresh), ("children", bred)):
        right = len(tally.build_ms)
        print(f"  {title:<15} {right} of {tally.n} build, run both ways and are as predicted")
        for fault, n in tally.faults.most_common(5):
            print(f"                  {n} x {fault}")
    print(
        f"  mutation        {n_changed} of {options.children} changed; "
        f"{mutating:.0f} mutants and {crossing:.0f} children per CPU second"
    )
    columns = list(zip(*fresh.sizes, strict=True))
    for title, column in zip(
        ("parameters", "operations", "distinct nodes", "with copies"), columns, strict=True
    ):
        print(f"  {title:<15} {quantiles(list(column))} at 50/75/90/95/100%")
    print(f"  time to build   {quantiles(fresh.build_ms)} ms at 50/75/90/95/100%\n")


PLAIN: dict[str, Callable[[], nn.Module]] = {
    "resnet18": references.ResNet18,
    "wrn16_4": references.WideResNet16x4,
    "vit": lambda: references.VisionTransformer(64),
    "mlp_mixer": lambda: references.MLPMixer(64),
}


def step_ms(network: nn.Module, batch_size: int, repeats: int) -> float:
    """Return the least CPU time of a training step: forward, backward, weights."""
    images = torch.randn(batch_size, 3, 32, 32)
    labels = torch.zeros(batch_size, dtype=torch.long)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        answers = network(images)
        answer = answers[0] if isinstance(answers, tuple) else answers
        nn.functional.cross_entropy(answer, labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    step()
    return min(cpu_ms(step) for _ in range(repeats))


def report_seeds(options: argparse.Namespace) -> None:
    """Print how the known networks compare with plain torch, and how they mutate."""
    family = EinspaceSettings().family((3, 32, 32), [HEAD])
    print(f"known networks, 3x32x32, batches of {options.batch_size}: ours, and plain torch")
    for name, plain in PLAIN.items():
        seed = family.seed(name)
        family.blueprint(seed)
        ours_ms, plain_ms = cpu_ms(lambda s=seed: family.build(s)), cpu_ms(plain)  # type: ignore[misc]
        steps = [
            step_ms(net, options.batch_size, options.repeats)
            for net in (family.build(seed), plain())
        ]
        print(
            f"  {name:<15} build {ours_ms:.0f} and {plain_ms:.0f} ms; training step "
            f"{steps[0]:.0f} and {steps[1]:.0f} ms, {steps[0] / steps[1]:.2f} times plain torch"
        )
        bred = list(children(family, seed, options.children))
        valid = sum(not family.space.check(child) for child, _ in bred)
        changed = sum(each for _, each in bred)
        print(f"  {'':<15} of {len(bred)} mutations in a row {valid} valid, {changed} changed")


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=1000, help="random networks per shape")
    parser.add_argument("--children", type=int, default=100, help="successive mutants per shape")
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument(
        "--samplings",
        nargs="+",
        default=["weights"],
        choices=["weights", "convolutions", "sizes", "trees"],
    )
    parser.add_argument(
        "--elements", type=int, default=1_000_000, help="most numbers in all outputs of one example"
    )
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5, help="training steps that are timed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(PUBLISHED)
    budget = Budget(operations=160, depth=24, network_operations=1024, parameters=20_000_000,
                    macs=300_000_000, elements=options.elements)  # fmt: skip
    for sampling in options.samplings:
        for name in options.shapes:
            report_shape(name, EinspaceSettings(sampling=sampling, budget=budget), options)
    report_seeds(options)


if __name__ == "__main__":
    main()
