"""What a searcher that knew the whole table would need: how hard a table is at best."""

from dataclasses import dataclass

import numpy as np

from benchmarks.efficiency.scenario import SHARES, Scenario
from benchmarks.efficiency.true_front import REFERENCE
from niwaki.core.pareto import non_dominated


@dataclass(frozen=True)
class Oracle:
    """A table, seen by one who knows it.

    Attributes:
        n_front: Rows on the true front.
        n_near: Rows within the reference point: no other row adds anything.
        dearest: Share of the hypervolume that is lost without the one row that matters most.
        needed: Rows until each of `SHARES`, always taking the one that adds the most.
    """

    n_front: int
    n_near: int
    dearest: float
    needed: tuple[int, ...]

    @classmethod
    def of(cls, scenario: Scenario) -> "Oracle":
        """Look at a scenario; what is judged counts, not what is told."""
        valid = np.flatnonzero(~scenario.failing)
        costs = scenario.truth[valid]
        front = valid[non_dominated(costs)].tolist()
        near = (scenario.front.scaled(costs) < REFERENCE).all(axis=1)
        lost = [1.0 - scenario.true_share([r for r in front if r != row]) for row in front]
        return cls(len(front), int(near.sum()), max(lost), _greedy(scenario, front))

    def line(self) -> str:
        """Return it as a sentence."""
        needed = " / ".join(map(str, self.needed))
        return (
            f"The front has {self.n_front} rows, {self.n_near} are near enough to count, the one "
            f"that matters most is worth {self.dearest:.1%}; knowing all, {needed} would do."
        )


def _greedy(scenario: Scenario, front: list[int]) -> tuple[int, ...]:
    taken: list[int] = []
    shares: list[float] = []
    while not shares or shares[-1] < max(SHARES):
        left = [row for row in front if row not in taken]
        gains = [scenario.true_share([*taken, row]) for row in left]
        best = int(np.argmax(gains))
        taken.append(left[best])
        shares.append(gains[best])
    return tuple(next(n for n, s in enumerate(shares, 1) if s >= wanted) for wanted in SHARES)
