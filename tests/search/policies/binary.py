"""Ten binary decisions, some of which hang on others, and tasks whose losses are known."""

from itertools import product

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.search.policies import PolicySettings, TaskPolicies
from niwaki.spaces.choices import Choice, ChoiceSpace, Condition

TASKS = ("near", "far", "odd")
N_DECISIONS = 10
# The last decision is there only if the first is on.
SPACE = ChoiceSpace(
    (
        *(Choice(f"block{index}", (0, 1)) for index in range(N_DECISIONS - 1)),
        Choice(f"block{N_DECISIONS - 1}", (0, 1), (Condition("block0", (1,)),)),
    )
)
EVERY = [
    SPACE.canonical({f"block{i}": bit for i, bit in enumerate(bits)})
    for bits in product((0, 1), repeat=N_DECISIONS)
]
NETWORKS = tuple(dict.fromkeys(EVERY))


def bits(candidate: Candidate) -> NDArray[np.float64]:
    """Return (10,), 0 for what is off or not there."""
    found = candidate.decisions
    return np.array([float(found.get(f"block{i}", 0)) for i in range(N_DECISIONS)])  # type: ignore[arg-type]


def losses_of(seed: int = 0) -> dict[Candidate, NDArray[np.float64]]:
    """Return the losses of all tasks, (3,), by network: linear, and by pairs of blocks."""
    rng = np.random.default_rng(seed)
    linear = rng.choice([-1.0, 1.0], size=(len(TASKS), N_DECISIONS))
    pairs = 0.1 * rng.normal(size=(len(TASKS), N_DECISIONS, N_DECISIONS))
    rows = {network: bits(network) for network in NETWORKS}
    return {
        network: linear @ row + np.einsum("tij,i,j->t", pairs, row, row)
        for network, row in rows.items()
    }


def costs_of(candidate: Candidate) -> dict[str, float]:
    """Return the share of the blocks that are on, which is what each task pays."""
    return dict.fromkeys(TASKS, float(bits(candidate).mean()))


def policies(*, budget: float = 1.0, learning_rate: float = 0.05) -> TaskPolicies:
    """Return policies of the three tasks."""
    settings = PolicySettings(budget=budget, learning_rate=learning_rate)
    return TaskPolicies(SPACE, TASKS, settings, relative_costs=costs_of)


def trained(
    found: TaskPolicies, n: int, *, seed: int = 0, noise: float = 0.0
) -> dict[Candidate, NDArray[np.float64]]:
    """Let policies learn from `n` pairs, and return the losses that they learned from."""
    losses = losses_of(seed)
    rng = np.random.default_rng(seed)
    for _ in range(n):
        pair = found.pair(rng)
        told = np.array([losses[each] for each in pair]) + noise * rng.normal(size=(2, 3))
        found.learn([pair], told[None], rng=rng)
    return losses
