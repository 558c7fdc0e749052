"""A network that is a formula: what each group is worth to each task, and what it costs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from niwaki.compress.allocation import Counts, Ladder, Oracle, Price, Verdict
from niwaki.compress.allocation.base import Floats

LADDER = Ladder(((4, 8, 12, 16), (4, 8, 12, 16), (4, 8, 12, 16), (8, 16, 24, 32)))


class ChainPrice(Price):
    """Each group's width times the next one's, as in a chain of convolutions."""

    @property
    def unit(self) -> str:
        return "MACs"

    def of(self, counts: Counts) -> Floats:
        widths = np.concatenate([np.full((*counts.shape[:-1], 1), 3), counts], axis=-1)
        total: Floats = (widths[..., 1:] * widths[..., :-1]).sum(-1).astype(np.float64)
        return total


@dataclass
class FormulaOracle(Oracle):
    """Skills fall with what is removed, differently for each task.

    Attributes:
        worth: (t, n_groups) skill that a task loses with all of a group.
        chance_loss: Loss of the best constant answer, relative to the trained loss.
        n_judged: States judged so far.
        whole: (n_groups,) units of the network as it is.
    """

    worth: Floats
    chance_loss: float = 2.0
    n_judged: int = field(default=0)
    whole: Counts = field(default_factory=lambda: LADDER.whole)

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(f"task{t}" for t in range(len(self.worth)))

    def judge(self, states: Sequence[Counts]) -> Verdict:
        self.n_judged += len(states)
        removed = 1.0 - np.array(states) / self.whole
        skills: Floats = 1.0 - removed**1.6 @ self.worth.T
        return Verdict(skills, 1.0 + (1.0 - skills) * (self.chance_loss - 1.0), 1.0 - skills)


def uneven(seed: int, n_tasks: int = 2) -> FormulaOracle:
    rng = np.random.default_rng(seed)
    return FormulaOracle(rng.uniform(0.02, 0.6, size=(n_tasks, len(LADDER.steps))) ** 1.5)


def best_by_trying_all(oracle: FormulaOracle, budget: float) -> float:
    """Return the largest skill of the worst task within a budget."""
    states = np.array(list(product(*LADDER.steps)), np.int64)
    within = states[ChainPrice().of(states) <= budget]
    return float(oracle.judge(list(within)).skills.min(axis=1).max())
