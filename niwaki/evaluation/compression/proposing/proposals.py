"""Good first candidates: allocations of channels to a series of budgets, kept on disk."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from niwaki.compress.allocation import (
    Allocation,
    Counts,
    GreedyAllocator,
    GreedySettings,
    Ladder,
    Oracle,
    Pagcp,
    PagcpSettings,
    Price,
)
from niwaki.compress.pruning import ChannelGroups, global_counts, normalised, uniform_counts
from niwaki.compress.pruning.criteria.base import Scores
from niwaki.core.errors import ConfigError, StudyError
from niwaki.core.files import computed_before, write_text_atomically
from niwaki.core.registry import nearest

ALLOCATORS = ("greedy", "pagcp", "uniform", "global")


def require_allocator(name: str) -> None:
    """Raise if there is no allocator of that name.

    Raises:
        ConfigError: With the nearest name.
    """
    if name not in ALLOCATORS:
        raise ConfigError(
            f"there is no allocator '{name}'{nearest(name, ALLOCATORS)} "
            f"Known: {', '.join(ALLOCATORS)}"
        )


@dataclass(frozen=True)
class Proposals:
    """What was proposed.

    Attributes:
        groups: Names of the channel groups.
        allocations: Largest first.
    """

    groups: tuple[str, ...]
    allocations: tuple[Allocation, ...]

    def save(self, path: Path) -> None:
        """Write the proposals as JSON."""
        rows = [
            {
                "counts": a.counts.tolist(),
                "skills": [None if np.isnan(s) else float(s) for s in a.skills],
                "cost": a.cost,
                "reached": a.reached,
                "n_judged": a.n_judged,
                "note": a.note,
            }
            for a in self.allocations
        ]
        data = {"schema": 1, "groups": list(self.groups), "allocations": rows}
        write_text_atomically(path, json.dumps(data, indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> "Proposals":
        """Read what `save` wrote.

        Raises:
            RunFolderError: If it cannot be read, or is damaged.
        """
        return computed_before(path, cls._of)

    @classmethod
    def _of(cls, data: Mapping[str, Any]) -> "Proposals":
        return cls(
            tuple(data["groups"]),
            tuple(
                Allocation(
                    np.array(row["counts"], np.int64),
                    np.array([np.nan if s is None else s for s in row["skills"]]),
                    float(row["cost"]),
                    bool(row["reached"]),
                    int(row["n_judged"]),
                    str(row["note"]),
                )
                for row in data["allocations"]
            ),
        )


def reachable(share: float, whole: float, least: float) -> float:
    """Return a share of the whole price; of the way above the least one if that is below it."""
    wanted = share * whole
    return wanted if wanted >= least else least + share * (whole - least)


@dataclass(frozen=True)
class Allocating:
    """Everything that an allocator may need.

    Attributes:
        groups: Of the model.
        scores: Importance of each unit, by group.
        ladder: Counts that each group may have, in the order of the groups.
        oracle: Judges states.
        price: What is saved.
        greedy: Settings of `greedy`.
        pagcp: Settings of `pagcp`.
    """

    groups: ChannelGroups
    scores: dict[str, Scores]
    ladder: Ladder
    oracle: Oracle
    price: Price
    greedy: GreedySettings
    pagcp: PagcpSettings

    def to_budgets(
        self, how: str, budgets: Sequence[float], *, notify: Callable[[str], None]
    ) -> tuple[Allocation, ...]:
        """Return an allocation for each budget, largest first; PAGCP takes no budget and gives one.

        Args:
            how: One of `ALLOCATORS`.
            budgets: In the price's unit.
            notify: Told of each.
        """
        found: list[Allocation] = []
        for budget in budgets if how != "pagcp" else (0.0,):
            allocation = self._to_budget(how, budget)
            notify(self._sentence(allocation, budget))
            found.append(allocation)
            if not allocation.reached:
                break  # a smaller budget asks for the same, and for more
        return tuple(found)

    def _to_budget(self, how: str, budget: float) -> Allocation:
        if how == "greedy":
            return GreedyAllocator(self.oracle, self.price, self.ladder, self.greedy).allocate(
                budget
            )
        if how == "pagcp":
            return Pagcp(self.oracle, self.price, self.ladder, self.pagcp).allocate()
        allowed = dict(zip(self.groups.names, self.ladder.steps, strict=True))
        try:
            if how == "uniform":
                named = uniform_counts(self.groups, allowed, cost=self.price.of, budget=budget)
            else:
                scores = normalised(self.scores)
                named = global_counts(
                    self.groups, scores, allowed, cost=self.price.of, budget=budget
                )
        except StudyError as error:  # the budget is below the smallest network
            return self._judged(self.ladder.least, reached=False, note=str(error))
        return self._judged(np.array([named[n] for n in self.groups.names], np.int64))

    def _judged(self, counts: Counts, *, reached: bool = True, note: str = "") -> Allocation:
        skills: NDArray[np.float64] = self.oracle.judge([counts]).skills[0]
        return Allocation(counts, skills, float(self.price.of(counts)), reached, 1, note)

    def _sentence(self, allocation: Allocation, budget: float) -> str:
        whole = float(self.price.of(self.ladder.whole))
        unit = self.price.unit
        wanted = f" of at most {budget:.4g}" if budget else ""
        return allocation.note or (
            f"{allocation.cost:.4g} {unit}{wanted} ({allocation.cost / whole:.0%} of the whole): "
            f"before fine-tuning, {self._least_kept(allocation.skills)}"
        )

    def _least_kept(self, skills: NDArray[np.float64]) -> str:
        if np.isnan(skills).all():
            return "no task can be scored"
        worst = int(np.nanargmin(skills))
        kept = np.clip(skills[worst], 0.0, 1.0)
        return f"'{self.oracle.tasks[worst]}' keeps least of its skill, {kept:.0%}"
