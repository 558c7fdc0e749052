"""Sampling by size: small and large alike, and the trees of one size by weight, or all alike.

Trees are counted by size with attributes left aside, which takes no time at all, each as much as
its productions weigh; and a derivation follows the counts from the top: at each hole it draws a
production, and how many operations each of its children gets, in proportion to what this leaves.
Where attributes or the budget rule the draw out, another production is drawn, so the tree may come
out smaller.

References:
    Flajolet, Zimmermann and Van Cutsem, Theoretical Computer Science 1994, "A calculus for the
    random generation of labelled combinatorial structures": the recursive method, here without
    labels, on the weighted trees of a grammar.
"""

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from niwaki.spaces.grammar.derive import Derived, Hole, Pick
from niwaki.spaces.grammar.grammar import Grammar, Operation, Production
from niwaki.spaces.grammar.rates import shares
from niwaki.spaces.grammar.tree import TreePath
from niwaki.spaces.grammar.variation import Engine


class Odds(NamedTuple):
    """Numbers to draw in proportion to, with their sums so far."""

    numbers: Sequence[float]
    sums: Sequence[float]
    total: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "Odds":
        """Return the odds of some numbers, none of them negative."""
        sums = list(accumulate(numbers))
        return cls(numbers, sums, sums[-1] if sums else 0.0)

    def without(self, index: int) -> "Odds":
        """Return these odds with one number set to 0."""
        numbers = list(self.numbers)
        numbers[index] = 0.0
        sums = list(accumulate(numbers))
        return Odds(numbers, sums, sums[-1])

    def draw(self, rng: np.random.Generator) -> int:
        """Draw an index in proportion to the numbers, not all of which are 0."""
        index = bisect_right(self.sums, rng.random() * self.total)
        # Rounding may reach the end, and what has no chance there must not be drawn.
        return index if index < len(self.sums) else bisect_left(self.sums, self.total)


class SizeCounts:
    """How much the derivations of each size weigh together, attributes aside.

    The weight of a derivation is the product of its productions' shares of their symbols' weights,
    so that the counts of a symbol are the probabilities of its sizes; or it is 1, and derivations
    are counted. A sequence has one derivation here, that nests to the right, as in exact counting.

    Args:
        grammar: Productions of weight 0 are left out.
        alike: Let all derivations weigh the same, and productions written twice be one.
        unwanted: Sizes that are not drawn, unless there are no others.
    """

    def __init__(
        self, grammar: Grammar, *, alike: bool = False, unwanted: frozenset[int] = frozenset()
    ) -> None:
        self._grammar = grammar
        self._shares = _shares(grammar, alike=alike)
        self._unwanted = unwanted
        self._symbols: dict[tuple[str, int, str], float] = {}
        self._ways: dict[tuple[Production, int, int], float] = {}
        self._odds: dict[tuple[str, int, str], Odds] = {}
        self._splits: dict[tuple[Production, int, int], tuple[list[int], Odds]] = {}
        self._sizes: dict[tuple[str, int], tuple[list[int], Odds]] = {}

    def sizes(self, symbol: str, most: int) -> tuple[list[int], Odds]:
        """Return the sizes that `symbol` has up to `most`, even over their logarithm.

        Sizes of more trees than floating point can count are left out.
        """
        if (symbol, most) not in self._sizes:
            sizes = [n for n in range(1, most + 1) if 0.0 < self.of_symbol(symbol, n) < math.inf]
            sizes = [n for n in sizes if n not in self._unwanted] or sizes
            self._sizes[symbol, most] = (sizes, Odds.of([1.0 / n for n in sizes]))
        return self._sizes[symbol, most]

    def of_symbol(self, symbol: str, size: int, without: str = "") -> float:
        """Weigh the derivations of `symbol` of this size, none with the label `without`."""
        key = (symbol, size, without)
        if key not in self._symbols:
            self._symbols[key] = 0.0  # renaming cycles are refused, so this only guards
            ways = self._grammar.by_symbol.get(symbol, ())
            self._symbols[key] = sum(self.of_way(way, size, without) for way in ways)
        return self._symbols[key]

    def odds(self, ways: Sequence[Production], size: int, without: str) -> Odds:
        """Return the weights of this size by way; `ways` are all that its symbol ever has."""
        key = (ways[0].symbol, size, without)
        found = self._odds.get(key)
        if found is None:
            found = self._odds[key] = Odds.of([self.of_way(way, size, without) for way in ways])
        return found

    def split(self, way: Production, position: int, size: int) -> tuple[list[int], Odds]:
        """Return `parts` as sizes and odds, each found once."""
        key = (way, position, size)
        found = self._splits.get(key)
        if found is None:
            parts = self.parts(way, position, size)
            odds = Odds.of([n for _, n in parts])
            found = self._splits[key] = ([taken for taken, _ in parts], odds)
        return found

    def of_way(self, way: Production, size: int, without: str = "") -> float:
        """Weigh the derivations of this size that start with `way`."""
        share = self._shares.get(way, 0.0)
        if share <= 0.0 or (without and not way.renames and way.label == without):
            return 0.0
        if way.renames and isinstance(way.items[0].what, str):
            return share * self.of_symbol(way.items[0].what, size, without)
        return share * self.of_rest(way, 0, size)

    def of_rest(self, way: Production, position: int, size: int) -> float:
        """Weigh how the children from `position` on can use exactly `size` operations."""
        if position == len(way.items):
            return float(size == 0)
        if size < len(way.items) - position:
            return 0.0
        key = (way, position, size)
        if key not in self._ways:
            self._ways[key] = sum(n for _, n in self.parts(way, position, size))
        return self._ways[key]

    def parts(self, way: Production, position: int, size: int) -> list[tuple[int, float]]:
        """Return how many operations the child at `position` may get, with what this leaves."""
        what = way.items[position].what
        if isinstance(what, Operation):
            return [(1, self.of_rest(way, position + 1, size - 1))]
        without = self.excluded(way, position)
        longest = size - (len(way.items) - position - 1)
        return [
            (taken, self.of_symbol(what, taken, without) * rest)
            for taken in range(1, longest + 1)
            if (rest := self.of_rest(way, position + 1, size - taken)) > 0.0
        ]

    def excluded(self, way: Production, position: int) -> str:
        """Return the label that the child at `position` must not have: its own sequence's."""
        return way.label if position == 0 and way.label in self._grammar.sequences else ""


def _shares(grammar: Grammar, *, alike: bool) -> dict[Production, float]:
    """Return what each production weighs."""
    if not alike:
        return dict(zip(grammar.productions, map(float, shares(grammar)), strict=True))
    keys = [
        (way.symbol, way.items, "" if way.renames else way.label) for way in grammar.productions
    ]
    times = Counter(keys)
    each = zip(grammar.productions, keys, strict=True)
    return {way: 1.0 / times[key] if way.weight > 0.0 else 0.0 for way, key in each}


def by_size(engine: Engine, counts: SizeCounts, rng: np.random.Generator) -> Derived:
    """Draw a size, up to the engine's budget, and a tree of about that size.

    Sizes are even over their logarithm: from 4 to 8 operations as often as from 16 to 32. Were all
    alike, three of four trees would be larger than a quarter of the budget, and among large random
    networks few can be trained.

    Args:
        engine: Of the grammar that was counted.
        counts: Say how the trees of one size are weighed.
        rng: Source of chance.
    """
    sizes, odds = counts.sizes(engine.grammar.start, engine.budget.operations)
    wanted = sizes[odds.draw(rng)]
    return engine.derive(_following(counts, wanted, rng))


def _following(counts: SizeCounts, wanted: int, rng: np.random.Generator) -> Pick:
    """Pick by the weights of the trees of the size that a hole was given."""
    # Position among derivation steps: size, and the label that must not come.
    sizes: dict[TreePath, tuple[int, str]] = {(): (wanted, "")}

    def pick(
        hole: Hole, ways: Sequence[Production], possible: Callable[[Production], bool]
    ) -> Production | None:
        given = sizes.get(hole.path, (1, ""))
        odds = counts.odds(ways, *given)
        struck: list[int] = []
        for _ in ways:
            if odds.total <= 0.0:  # nothing of that size fits any more
                odds = Odds.of([0.0 if i in struck else w.weight for i, w in enumerate(ways)])
            chosen = odds.draw(rng)
            if possible(ways[chosen]):
                _allot(ways[chosen], hole.path, given)
                return ways[chosen]
            struck.append(chosen)
            odds = odds.without(chosen)
        return None

    def _allot(way: Production, path: TreePath, given: tuple[int, str]) -> None:
        if way.renames:
            sizes[(*path, 0)] = given
            return
        size = given[0]
        for position in range(len(way.items)):
            sizes_of_child, odds = counts.split(way, position, size)
            taken = sizes_of_child[odds.draw(rng)] if odds.total > 0.0 else 1
            sizes[(*path, position)] = (taken, counts.excluded(way, position))
            size -= taken

    return pick
