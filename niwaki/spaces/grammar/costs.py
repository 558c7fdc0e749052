"""What a tree costs, and how much it may cost."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import NamedTuple

from niwaki.core.errors import SpaceError
from niwaki.spaces.grammar.tree import DEEPEST


class Cost(NamedTuple):
    """Costs of a tree, or of a part of one.

    Attributes:
        operations: Leaves, a repeated child counted once: the length of the description.
        network_operations: Leaves, a repeated child counted as often as it is used.
        parameters: Trained numbers, of all copies.
        macs: Multiply-accumulates of one example.
        elements: Numbers in all outputs of one example: what training keeps in memory.
        depth: Longest way from the top to a leaf.
    """

    operations: int
    network_operations: int
    parameters: int
    macs: int
    elements: int
    depth: int


NOTHING = Cost(0, 0, 0, 0, 0, 0)


def beside(first: Cost, second: Cost, copies: int = 1) -> Cost:
    """Return the cost of `first` followed by `copies` of `second`, on the same level."""
    depth, other = first[5], second[5]
    counts = (
        first[0] + second[0],
        first[1] + copies * second[1],
        first[2] + copies * second[2],
        first[3] + copies * second[3],
        first[4] + copies * second[4],
        depth if depth > other else other,
    )
    # `Cost(...)` takes twice as long, and nothing is done as often while trees are derived.
    return tuple.__new__(Cost, counts)


def repeated(cost: Cost, copies: int) -> Cost:
    """Return the cost of a child that is used as often."""
    return cost if copies == 1 else beside(NOTHING, cost, copies)


def above(costs: Sequence[Cost]) -> Cost:
    """Return the cost of a node above children that cost this: at least one, side by side."""
    *counts, depths = zip(*costs, strict=True)
    return tuple.__new__(Cost, (*map(sum, counts), max(depths) + 1))


def nested(cost: Cost) -> Cost:
    """Return a cost one level further down."""
    return tuple.__new__(Cost, (*cost[:5], cost[5] + 1))


def no_worse(first: Cost, second: Cost) -> bool:
    """Whether `first` is at most `second` in every count."""
    a, b = first, second
    return (
        a[0] <= b[0] and a[1] <= b[1] and a[2] <= b[2]
        and a[3] <= b[3] and a[4] <= b[4] and a[5] <= b[5]
    )  # fmt: skip


@dataclass(frozen=True)
class Budget:
    """The most that a tree may cost; None is no limit.

    Attributes:
        operations: At least 1 and at most 500, so that every derivation ends.
        depth: Levels of nesting, at most 100; a sequence within a sequence is one level.
        network_operations: With copies. Nested repetition multiplies: limit it.
        parameters: Of all copies.
        macs: Of one example.
        elements: Of one example.

    Raises:
        SpaceError: If a limit is out of range.
    """

    operations: int = 64
    depth: int = 24
    network_operations: int | None = 4096
    parameters: int | None = None
    macs: int | None = None
    elements: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.operations <= 500:
            raise SpaceError(
                f"budget.operations is from 1 to 500, but {self.operations} came: "
                "larger networks repeat a subtree instead (`M*4`)"
            )
        if self.depth > DEEPEST:
            raise SpaceError(
                f"budget.depth is at most {DEEPEST}, but {self.depth} came: flatten the grammar"
            )
        for each in fields(self):
            limit = getattr(self, each.name)
            if limit is not None and limit < 0:
                raise SpaceError(f"budget.{each.name} is {limit}: give a number of at least 0")

    @cached_property
    def purse(self) -> "Purse":
        """The budget in the form that is spent while deriving."""
        limits = (self.network_operations, self.parameters, self.macs, self.elements)
        a, b, c, d = (math.inf if limit is None else limit for limit in limits)
        return (self.operations, a, b, c, d)

    def excess(self, cost: Cost) -> str:
        """Return which limit `cost` breaks, or an empty string."""
        if covers(self.purse, cost[:5]) and cost.depth <= self.depth:
            return ""
        for each in fields(self):
            limit, spent = getattr(self, each.name), getattr(cost, each.name)
            if limit is not None and spent > limit:
                return f"{each.name} is {spent}, above the budget of {limit}"
        return ""


# What is left of a budget: operations, network operations, parameters, MACs, elements.
Purse = tuple[float, float, float, float, float]


def spend(purse: Purse, cost: Cost, copies: int) -> Purse:
    """Return what is left after `copies` of `cost`; negative where it does not suffice."""
    return (
        purse[0] - cost[0],
        purse[1] - copies * cost[1],
        purse[2] - copies * cost[2],
        purse[3] - copies * cost[3],
        purse[4] - copies * cost[4],
    )


def paid(purse: Purse, cost: Cost, copies: int) -> Purse | None:
    """Return what is left after `copies` of `cost`; None where it does not suffice."""
    a = purse[0] - cost[0]
    b = purse[1] - copies * cost[1]
    c = purse[2] - copies * cost[2]
    d = purse[3] - copies * cost[3]
    e = purse[4] - copies * cost[4]
    return (a, b, c, d, e) if a >= 0 and b >= 0 and c >= 0 and d >= 0 and e >= 0 else None


def plus(price: Purse, cost: Cost, copies: int) -> Purse:
    """Return a price with `copies` of `cost` added; operations count once."""
    return (
        price[0] + cost[0],
        price[1] + copies * cost[1],
        price[2] + copies * cost[2],
        price[3] + copies * cost[3],
        price[4] + copies * cost[4],
    )


def covers(purse: Purse, price: Purse) -> bool:
    """Whether what is left suffices for a price."""
    a, b = purse, price
    return a[0] >= b[0] and a[1] >= b[1] and a[2] >= b[2] and a[3] >= b[3] and a[4] >= b[4]


def solvent(purse: Purse) -> bool:
    """Whether nothing was overspent."""
    return purse[0] >= 0 and purse[1] >= 0 and purse[2] >= 0 and purse[3] >= 0 and purse[4] >= 0
