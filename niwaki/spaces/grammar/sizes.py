"""Sampling by size: small and large alike, and every tree of one size as far as attributes allow.

Trees are counted by size with attributes left aside, which takes no time at all, and a derivation
follows the counts from the top: at each hole it draws a production, and how many operations each of
its children gets, in proportion to the number of trees that this leaves. Where attributes or the
budget rule the draw out, another production is drawn, so the tree may come out smaller.

References:
    Flajolet, Zimmermann and Van Cutsem, Theoretical Computer Science 1994, "A calculus for the
    random generation of labelled combinatorial structures": the recursive method, here without
    labels, on the trees of a grammar.
"""

from collections.abc import Callable, Sequence

import numpy as np

from niwaki.spaces.grammar.derive import Hole, Pick
from niwaki.spaces.grammar.grammar import Grammar, Operation, Production
from niwaki.spaces.grammar.tree import Tree, TreePath
from niwaki.spaces.grammar.variation import Engine


class SizeCounts:
    """Numbers of derivations by size, attributes aside; unweighted, in floating point.

    A sequence is counted by its derivation that nests to the right alone, as in exact counting.

    Args:
        grammar: Productions of weight 0 are left out, and those written twice count once.
    """

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar.without_duplicates()
        self._symbols: dict[tuple[str, int, str], float] = {}
        self._ways: dict[tuple[Production, int, int], float] = {}
        self._numbers: dict[tuple[str, int, str], tuple[float, ...]] = {}
        self._splits: dict[tuple[Production, int, int], tuple[list[int], list[float]]] = {}

    def of_symbol(self, symbol: str, size: int, without: str = "") -> float:
        """Count the derivations of `symbol` of this size, none with the label `without`."""
        key = (symbol, size, without)
        if key not in self._symbols:
            self._symbols[key] = 0.0  # renaming cycles are refused, so this only guards
            ways = self._grammar.by_symbol.get(symbol, ())
            self._symbols[key] = sum(self.of_way(way, size, without) for way in ways)
        return self._symbols[key]

    def numbers(self, ways: Sequence[Production], size: int, without: str) -> tuple[float, ...]:
        """Count by way the derivations of this size; `ways` are all that its symbol ever has."""
        key = (ways[0].symbol, size, without)
        if key not in self._numbers:
            self._numbers[key] = tuple(self.of_way(way, size, without) for way in ways)
        return self._numbers[key]

    def split(self, way: Production, position: int, size: int) -> tuple[list[int], list[float]]:
        """Return `shares` as sizes and numbers, each found once."""
        key = (way, position, size)
        if key not in self._splits:
            shares = self.shares(way, position, size)
            self._splits[key] = ([taken for taken, _ in shares], [n for _, n in shares])
        return self._splits[key]

    def of_way(self, way: Production, size: int, without: str = "") -> float:
        """Count the derivations of this size that start with `way`."""
        if way.weight <= 0.0 or (without and not way.renames and way.label == without):
            return 0.0
        if way.renames and isinstance(way.items[0].what, str):
            return self.of_symbol(way.items[0].what, size, without)
        return self.of_rest(way, 0, size)

    def of_rest(self, way: Production, position: int, size: int) -> float:
        """Count how the children from `position` on can use exactly `size` operations."""
        if position == len(way.items):
            return float(size == 0)
        if size < len(way.items) - position:
            return 0.0
        key = (way, position, size)
        if key not in self._ways:
            self._ways[key] = sum(n for _, n in self.shares(way, position, size))
        return self._ways[key]

    def shares(self, way: Production, position: int, size: int) -> list[tuple[int, float]]:
        """Return how many operations the child at `position` may get, with the trees it leaves."""
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


def by_size(engine: Engine, counts: SizeCounts, rng: np.random.Generator) -> Tree:
    """Draw a size, up to the engine's budget, and a tree of about that size.

    Sizes are even over their logarithm: from 4 to 8 operations as often as from 16 to 32. Were all
    alike, three of four trees would be larger than a quarter of the budget, and among large random
    networks few can be trained.

    Args:
        engine: Its weights are not looked at.
        counts: Of its grammar.
        rng: Source of chance.
    """
    start, most = engine.grammar.start, engine.budget.operations
    sizes = [n for n in range(1, most + 1) if counts.of_symbol(start, n) > 0.0]
    wanted = sizes[_drawn([1.0 / n for n in sizes], rng)]
    return engine.derive(_following(counts, wanted, rng))


def _following(counts: SizeCounts, wanted: int, rng: np.random.Generator) -> Pick:
    """Pick by the numbers of trees of the size that a hole was given."""
    # Position among derivation steps: size, and the label that must not come.
    sizes: dict[TreePath, tuple[int, str]] = {(): (wanted, "")}

    def pick(
        hole: Hole, ways: Sequence[Production], possible: Callable[[Production], bool]
    ) -> Production | None:
        size, without = sizes.get(hole.path, (1, ""))
        left = list(ways)
        numbers = list(counts.numbers(ways, size, without))
        while left:
            if sum(numbers) <= 0.0:
                numbers = [way.weight for way in left]  # nothing of that size fits any more
            chosen = _drawn(numbers, rng)
            way = left.pop(chosen)
            numbers.pop(chosen)
            if possible(way):
                _allot(way, hole.path, (size, without))
                return way
        return None

    def _allot(way: Production, path: TreePath, given: tuple[int, str]) -> None:
        if way.renames:
            sizes[(*path, 0)] = given
            return
        size = given[0]
        for position in range(len(way.items)):
            sizes_of_child, numbers = counts.split(way, position, size)
            taken = sizes_of_child[_drawn(numbers, rng)] if any(numbers) else 1
            sizes[(*path, position)] = (taken, counts.excluded(way, position))
            size -= taken

    return pick


def _drawn(numbers: Sequence[float], rng: np.random.Generator) -> int:
    """Draw an index in proportion to numbers, not all of which are 0."""
    mark = rng.random() * sum(numbers)
    for index, number in enumerate(numbers):
        mark -= number
        if mark < 0.0:
            return index
    return max(index for index, number in enumerate(numbers) if number > 0.0)
