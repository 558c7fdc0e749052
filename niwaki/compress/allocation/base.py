"""How many units each channel group keeps: the state that is decided, and who judges it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import SpaceError

Floats = NDArray[np.float64]
# (n_groups,) units that each group keeps; which ones is a matter of the ranking.
Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Verdict:
    """How well n networks with fewer channels still do each of t tasks.

    Attributes:
        skills: (n, t) 1 is the network as it was given, 0 the best constant answer; NaN where an
            output is not finite. Bounds belong here: a ratio of losses protects nothing where
            chance is but twice the trained loss.
        losses: (n, t) the tasks' losses, as PAGCP judges by.
        drifts: (n, t) how far answers are from those of the network as it was given: 0 where they
            are the same, 1 where nothing is left of them. Needs no labels, and tells small damage
            apart where few items leave skills as they are.
    """

    skills: Floats
    losses: Floats
    drifts: Floats


class Oracle(ABC):
    """Says how well each task is still done by a network with fewer channels."""

    @property
    @abstractmethod
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks, t of them."""

    @abstractmethod
    def judge(self, states: Sequence[Counts]) -> Verdict:
        """Judge n states, each (n_groups,) counts; equal ones may be judged once.

        What it looks at must be data that nothing is reported on.
        """


class Price(ABC):
    """Says what a network with fewer channels costs, without building it.

    What fewer channels of one group save never grows while other groups shrink, as of sums of
    products of widths.
    """

    @property
    @abstractmethod
    def unit(self) -> str:
        """What is counted, such as `MACs` or `ms`."""

    @abstractmethod
    def of(self, counts: Counts) -> Floats:
        """Return the cost of (n_groups,) or (n, n_groups) counts: () or (n,)."""


@dataclass(frozen=True)
class Ladder:
    """The counts that each group may have, in steps of the target's grain.

    Attributes:
        steps: For each group its allowed counts, ascending; the last is the whole group.
    """

    steps: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        for steps in self.steps:
            if not steps or list(steps) != sorted(set(steps)) or steps[0] < 1:
                raise SpaceError(
                    f"a group's allowed counts must ascend from at least 1, but {list(steps)} came"
                )

    @property
    def whole(self) -> Counts:
        """(n_groups,) counts of the network as it is."""
        return np.array([steps[-1] for steps in self.steps], np.int64)

    @property
    def least(self) -> Counts:
        """(n_groups,) the smallest counts."""
        return np.array([steps[0] for steps in self.steps], np.int64)

    def at_most(self, group: int, count: float) -> int:
        """Return the largest allowed count up to `count`; the smallest of all if none is."""
        below = [step for step in self.steps[group] if step <= count]
        return below[-1] if below else self.steps[group][0]

    def below(self, group: int, count: int) -> tuple[int, ...]:
        """Return the allowed counts smaller than `count`, largest first."""
        return tuple(step for step in reversed(self.steps[group]) if step < count)

    def above(self, group: int, count: int) -> tuple[int, ...]:
        """Return the allowed counts larger than `count`, smallest first."""
        return tuple(step for step in self.steps[group] if step > count)


@dataclass(frozen=True)
class Allocation:
    """What an allocator decided.

    Attributes:
        counts: (n_groups,) units to keep.
        skills: (t,) that the oracle saw.
        cost: In the price's unit.
        reached: Whether the budget was met; if not, `counts` are as close as the bounds allow.
        n_judged: States that the oracle had to judge.
        note: A sentence for people.
    """

    counts: Counts
    skills: Floats
    cost: float
    reached: bool
    n_judged: int
    note: str = ""


def with_count(state: Counts, group: int, count: int) -> Counts:
    """Return a copy of (n_groups,) counts in which one group keeps another number of units."""
    changed = state.copy()
    changed[group] = count
    return changed
