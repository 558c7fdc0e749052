"""What a policy for each task is worth beside other ways to choose a network for each.

A made-up super-network without weights: 30 blocks that are in or out, and a loss for each task that
is linear in them, with thirty products of two; what is told of a network has noise. All arms run
the same number of networks, but for the first, which runs as many for every task. Regret is the
loss of the network that an arm chooses, from 0 for the best one to 1 for networks at random.

Run: python -m benchmarks.task_policies --seeds 4
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from time import process_time

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.core.randomness import stream
from niwaki.predictors.linear.ridge import Ridge, RidgeSettings
from niwaki.search.policies import PolicySettings, TaskPolicies
from niwaki.spaces.choices import Choice, ChoiceSpace

N_BLOCKS = 30
N_PRODUCTS = 30
PRODUCT_SIZE = 0.5
NOISE = 0.5  # in standard deviations of the losses of networks at random
N_STARTS = 24
SPACE = ChoiceSpace(tuple(Choice(f"block{index:02d}", (0, 1)) for index in range(N_BLOCKS)))
ROWS = [(4, 0.0, 1000), (4, 0.5, 500), (4, 0.5, 1000), (4, 0.9, 1000), (4, 0.5, 2000)]
ROWS += [(8, 0.5, 1000), (8, 0.9, 2000)]  # tasks, how alike they are, networks run

Bits = NDArray[np.float64]
Losses = Callable[[Bits], NDArray[np.float64]]


@dataclass(frozen=True)
class Toy:
    """Tasks whose losses are known.

    Attributes:
        linear: (T, 30).
        products: (T, 30, 30).
    """

    linear: NDArray[np.float64]
    products: NDArray[np.float64]

    @classmethod
    def drawn(cls, n_tasks: int, likeness: float, rng: np.random.Generator) -> "Toy":
        """Draw tasks whose weights correlate by `likeness`, in units of losses at random."""
        first, second = np.triu_indices(N_BLOCKS, k=1)
        chosen = rng.choice(len(first), N_PRODUCTS, replace=False)
        weights = [_alike(n_tasks, n, likeness, rng) for n in (N_BLOCKS, N_PRODUCTS)]
        products = np.zeros((n_tasks, N_BLOCKS, N_BLOCKS))
        products[:, first[chosen], second[chosen]] = PRODUCT_SIZE * weights[1]
        raw = cls(weights[0], products)
        spread = raw.losses(at_random(4000, rng)).std(axis=0)
        return cls(raw.linear / spread[:, None], raw.products / spread[:, None, None])

    def losses(self, bits: Bits) -> NDArray[np.float64]:
        """Return (n, T) losses of (n, 30) networks."""
        rows = bits - 0.5
        pairs = np.einsum("tij,ni,nj->nt", self.products, rows, rows, optimize=True)
        return rows @ self.linear.T + pairs


def _alike(n_tasks: int, n: int, likeness: float, rng: np.random.Generator) -> NDArray[np.float64]:
    common = rng.normal(size=n)
    own = rng.normal(size=(n_tasks, n))
    weights: NDArray[np.float64] = np.sqrt(likeness) * common + np.sqrt(1.0 - likeness) * own
    return weights


def at_random(n: int, rng: np.random.Generator) -> Bits:
    """Return (n, 30) networks at equal odds."""
    return rng.integers(2, size=(n, N_BLOCKS)).astype(np.float64)


def bits_of(candidates: list[Candidate]) -> Bits:
    """Return (n, 30) of candidates."""
    return SPACE.encode(candidates)[:, 1::2]


def best_of(losses: Losses, task: int, rng: np.random.Generator) -> Bits:
    """Return (30,), the best end of descents by single blocks from networks at random."""
    current = at_random(N_STARTS, rng)
    values = losses(current)[:, task]
    flips = np.eye(N_BLOCKS)
    for _ in range(10 * N_BLOCKS):
        neighbours = np.abs(current[:, None] - flips)  # (starts, 30, 30)
        around = losses(neighbours.reshape(-1, N_BLOCKS))[:, task].reshape(N_STARTS, N_BLOCKS)
        step = around.argmin(axis=1)
        better = around.min(axis=1) < values - 1e-12
        if not better.any():
            break
        current = np.where(better[:, None], neighbours[np.arange(N_STARTS), step], current)
        values = np.minimum(values, around.min(axis=1))
    best: Bits = current[values.argmin()]
    return best


def learned(
    toy: Toy, n: int, rng: np.random.Generator, *, tasks: list[int]
) -> tuple[TaskPolicies, Bits, NDArray[np.float64]]:
    """Let policies learn from `n` networks, two by two; return them, and what they saw."""
    names = [str(task) for task in tasks]
    found = TaskPolicies(
        SPACE,
        names,
        PolicySettings(budget=1.0),
        relative_costs=lambda _: dict.fromkeys(names, 0.0),
    )
    seen, told = [], []
    for _ in range(n // 2):
        pair = found.pair(rng)
        bits = bits_of([*pair])
        losses = noisy(toy, bits, rng)[:, tasks]
        found.learn([pair], losses[None], rng=rng)
        seen.append(bits)
        told.append(losses)
    return found, np.concatenate(seen), np.concatenate(told)


def noisy(toy: Toy, bits: Bits, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return (n, T) losses as they are told."""
    losses = toy.losses(bits)
    return losses + NOISE * rng.normal(size=losses.shape)


def chosen_by_policies(found: TaskPolicies) -> Bits:
    """Return (T, 30), the likeliest networks."""
    return bits_of([found.likeliest(task) for task in found.tasks])


def _first(found: TaskPolicies, task: str, rng: np.random.Generator) -> Candidate:
    """Return what a search would try first for a task."""
    return found.candidates(task, 1, rng, within=0.0)[0]


def chosen_by_ridge(bits: Bits, told: NDArray[np.float64], rng: np.random.Generator) -> Bits:
    """Return (T, 30), what is best by a ridge of blocks and products, fitted to what was told."""
    ridge = Ridge(RidgeSettings(pair_weights=(0.0, 0.1)))
    ridge.fit(bits, told)
    rows = [best_of(lambda x: ridge.predict(x).mean, t, rng) for t in range(told.shape[1])]
    return np.stack(rows)


def arms(toy: Toy, n: int, rng: np.random.Generator) -> dict[str, Bits]:
    """Return what each arm chooses, (T, 30)."""
    every = list(range(len(toy.linear)))
    alone = [
        [learned(toy, each, rng, tasks=[task])[0] for task in every]
        for each in (n, n // len(every))
    ]
    together, seen, told = learned(toy, n, rng, tasks=every)
    uniform = at_random(n, rng)
    return {
        "a run for each task, N each": np.concatenate([*map(chosen_by_policies, alone[0])]),
        "a run for each task, N/T each": np.concatenate([*map(chosen_by_policies, alone[1])]),
        "one run, likeliest": chosen_by_policies(together),
        "one run, candidates": bits_of([_first(together, task, rng) for task in together.tasks]),
        "one run, then ridge": chosen_by_ridge(seen, told, rng),
        "equal odds, then ridge": chosen_by_ridge(uniform, noisy(toy, uniform, rng), rng),
    }


def regrets(toy: Toy, chosen: Bits, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return (T,) regrets of (T, 30) networks."""
    tasks = range(len(toy.linear))
    best = toy.losses(np.stack([best_of(toy.losses, task, rng) for task in tasks])).diagonal()
    mean = toy.losses(at_random(4000, rng)).mean(axis=0)
    found: NDArray[np.float64] = (toy.losses(chosen).diagonal() - best) / (mean - best)
    return found


def main() -> None:
    """Run all rows and print mean regrets, with their standard errors over seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--rows", type=int, nargs="*", default=range(len(ROWS)))
    arguments = parser.parse_args()
    for n_tasks, likeness, n in (ROWS[row] for row in arguments.rows):
        began = process_time()
        means: dict[str, list[float]] = {}
        for seed in range(arguments.seeds):
            rng = stream(seed, "task policies", n_tasks, str(likeness), n)
            toy = Toy.drawn(n_tasks, likeness, rng)
            for name, chosen in arms(toy, n, rng).items():
                means.setdefault(name, []).append(float(regrets(toy, chosen, rng).mean()))
        print(f"T {n_tasks}, likeness {likeness}, N {n} ({process_time() - began:.0f} s)")
        for name, values in means.items():
            error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
            print(f"  {name:<32} {np.mean(values):.3f} +- {error:.3f}")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
