"""Exact counts of trees by size, and all that follows: uniform draws, ranks, enumeration.

Counts are dynamic programmes over (symbol, what it inherits, size) and, within a production, over
(position, state of the flow, size), in Python's unbounded integers. Size is in operations, a
repeated child counted once.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from niwaki.core.errors import SpaceError
from niwaki.spaces.grammar.attributes import Attributes
from niwaki.spaces.grammar.components import components, recurring, uses
from niwaki.spaces.grammar.derive import node_of
from niwaki.spaces.grammar.flows import Attribute
from niwaki.spaces.grammar.grammar import Grammar, Operation, Production
from niwaki.spaces.grammar.rates import least_operations, n_operations, reachable_symbols
from niwaki.spaces.grammar.tree import Tree

Counts = Mapping[Attribute, int]
_NONE: Counts = {}
_SUMS_OF_WAY = 4  # additions that take as long as to look at a production


class TooManyStatesError(SpaceError):
    """Counting would visit more states than was allowed."""


class Counting:
    """Counts the derivations of one grammar.

    Args:
        attributes: Of the grammar.
        distinct: Count trees: each flattened sequence once. Otherwise count derivations: each way
            of nesting a sequence is one, and so is each production written twice.
        most_states: Give up beyond so many table entries and counts in them: a gigabyte is about
            twelve million.
        most_sums: Give up beyond so many additions, which is time; None never does.
    """

    def __init__(
        self,
        attributes: Attributes,
        *,
        distinct: bool = True,
        most_states: int = 24_000_000,
        most_sums: int | None = None,
    ) -> None:
        grammar = attributes.grammar
        self._grammar = grammar.without_duplicates() if distinct else grammar
        self._attributes = attributes
        self._distinct = distinct
        self._most_states = most_states
        self._least = least_operations(self._grammar.unweighted)  # all trees count
        self._rests = {way: self._rest_sizes(way) for way in self._grammar.productions}
        self._symbols: dict[tuple[str, Attribute, int, str], Counts] = {}
        self._ways: dict[tuple[Production, int, Attribute, int], Counts] = {}
        self._most_sums = math.inf if most_sums is None else most_sums
        self._n_states = 0
        self._n_sums = 0
        self._endless = _endless(self._grammar)

    def _rest_sizes(self, way: Production) -> tuple[float, ...]:
        """Least operations of the children from each position on."""
        sizes = [0.0]
        for item in reversed(way.items):
            size = 1 if isinstance(item.what, Operation) else self._least.get(item.what, math.inf)
            sizes.append(sizes[-1] + size)
        return tuple(reversed(sizes))

    def outputs(self, n_operations: int) -> Counts:
        """Count by what they give the trees from the start symbol of exactly this size.

        Raises:
            TooManyStatesError: If that would take too much memory, or there is no end of them.
        """
        grammar = self._grammar
        if self._endless:
            raise TooManyStatesError(
                f"'{self._endless}' can be repeated in itself without any operation, so there are "
                "endlessly many trees of one size: give `x: M*2` an operation beside it"
            )
        with _nesting(n_operations):
            found = self._of_symbol(grammar.start, grammar.input, n_operations, "")
        if grammar.output is None:
            return found
        return {output: n for output, n in found.items() if output == grammar.output}

    def count(self, n_operations: int) -> int:
        """Return the number of trees of exactly this size."""
        return sum(self.outputs(n_operations).values())

    def count_up_to(self, n_operations: int) -> int:
        """Return the number of trees of at most this size."""
        return sum(self.count(size) for size in range(1, n_operations + 1))

    def _of_symbol(self, symbol: str, inherited: Attribute, size: int, without: str) -> Counts:
        """Count the derivations of `symbol`, those with the label `without` left out."""
        if size < self._least.get(symbol, math.inf):
            return _NONE
        key = (symbol, inherited, size, without)
        found = self._symbols.get(key)
        if found is None:
            total: dict[Attribute, int] = {}
            for way in self._grammar.by_symbol[symbol]:
                for output, n in self._of_way(way, inherited, size, without).items():
                    total[output] = total.get(output, 0) + n
            found = self._symbols[key] = total
            self._visit(found)
            self._added(_SUMS_OF_WAY * len(self._grammar.by_symbol[symbol]))
        return found

    def _of_way(self, way: Production, inherited: Attribute, size: int, without: str) -> Counts:
        if way.renames:
            what = way.items[0].what
            if isinstance(what, str):
                return self._of_symbol(what, inherited, size, without)
            step = self._attributes.step(what, inherited) if size == 1 else ""
            return _NONE if isinstance(step, str) else {step.output: 1}
        if without and way.label == without and not way.renames:
            return _NONE
        return self._of_rest(way, 0, way.flow.start(inherited), size)

    def _of_rest(self, way: Production, position: int, state: Attribute, size: int) -> Counts:
        """Count how the children from `position` on can use exactly `size` operations."""
        if size < self._rests[way][position]:
            return _NONE
        key = (way, position, state, size)
        found = self._ways.get(key)
        if found is None:
            found = self._ways[key] = self._sum_rest(way, position, state, size)
            self._visit(found)
        return found

    def _sum_rest(self, way: Production, position: int, state: Attribute, size: int) -> Counts:
        total: dict[Attribute, int] = {}
        if position == len(way.items) - 1:
            for after, taken, n in self._children(way, position, state, size):
                end = way.flow.finish(after)
                if end is not None and taken == size:
                    total[end] = total.get(end, 0) + n
            return total
        for after, taken, n in self._children(way, position, state, size):
            rests = self._of_rest(way, position + 1, after, size - taken)
            for output, rest in rests.items():
                total[output] = total.get(output, 0) + n * rest
            self._added(1 + len(rests))
        return total

    def _children(
        self, way: Production, position: int, state: Attribute, size: int
    ) -> Iterator[tuple[Attribute, int, int]]:
        """Yield state after, operations taken and number of ways, for each child possible."""
        item, place = way.items[position], way.places[position]
        given = way.flow.enter(state, place)
        if given is None:
            return
        if isinstance(item.what, Operation):
            step = self._attributes.step(item.what, given)
            if not isinstance(step, str):
                after = way.flow.advance(state, step.output, place)
                if after is not None:
                    yield after, 1, 1
            return
        without = self._excluded(way, position)
        longest = size - int(self._rests[way][position + 1])
        shortest = size if place.last else self._least[item.what]
        for taken in range(shortest, longest + 1):
            for output, n in self._of_symbol(item.what, given, taken, without).items():
                after = way.flow.advance(state, output, place)
                if after is not None:
                    yield after, taken, n

    def _ends(
        self, way: Production, position: int, at: tuple[Attribute, int], output: Attribute
    ) -> int:
        """Count the ways from `position` on that give `output`."""
        state, size = at
        if position == len(way.items):
            return int(size == 0 and way.flow.finish(state) == output)
        return self._of_rest(way, position, state, size).get(output, 0)

    def _excluded(self, way: Production, position: int) -> str:
        """A sequence is counted once: by its derivation that nests to the right."""
        first = self._distinct and position == 0 and way.label in self._grammar.sequences
        return way.label if first else ""

    def _added(self, n: int) -> None:
        self._n_sums += n
        if self._n_sums > self._most_sums:
            raise TooManyStatesError(
                f"counting needs more than {self._most_sums} additions: count smaller trees"
            )

    def _visit(self, found: Counts) -> None:
        self._n_states += 1 + len(found)
        if self._n_states > self._most_states:
            raise TooManyStatesError(
                f"counting needs more than {self._most_states} table entries: count smaller trees"
            )

    def unrank(self, rank: int, n_operations: int) -> Tree:
        """Return the tree number `rank`, from 0, among those of exactly this size.

        Raises:
            SpaceError: If there are not so many.
            TooManyStatesError: If it nests too deeply.
        """
        for output, n in self.outputs(n_operations).items():
            if rank < n:
                start, given = self._grammar.start, self._grammar.input
                with _nesting(n_operations):
                    return self._unrank_symbol((start, given, n_operations, ""), output, rank)
            rank -= n
        raise SpaceError(
            f"rank {rank} is beyond the {self.count(n_operations)} trees of {n_operations} "
            "operations"
        )

    def _unrank_symbol(
        self, key: tuple[str, Attribute, int, str], output: Attribute, rank: int
    ) -> Tree:
        symbol, inherited, size, without = key
        for way in self._grammar.by_symbol[symbol]:
            n = self._of_way(way, inherited, size, without).get(output, 0)
            if rank < n:
                what = way.items[0].what
                if way.renames and isinstance(what, str):
                    return self._unrank_symbol((what, inherited, size, without), output, rank)
                children = self._unrank_rest(way, inherited, size, output, rank)
                return children[0] if way.renames else node_of(self._grammar, way, children)
            rank -= n
        raise AssertionError("counts and derivations disagree")

    def _unrank_rest(
        self, way: Production, inherited: Attribute, size: int, output: Attribute, rank: int
    ) -> list[Tree]:
        children: list[Tree] = []
        state = way.flow.start(inherited)
        for position, item in enumerate(way.items):
            given = way.flow.enter(state, way.places[position])
            assert given is not None
            if isinstance(item.what, Operation):
                after, taken, _ = next(self._children(way, position, state, size))
                children.append(self._grammar.leaves[item.what.spelled])
            else:
                child, after, taken, rank = self._unrank_child(
                    way, position, (state, given, size), output, rank
                )
                children.append(child)
            state, size = after, size - taken
        return children

    def _unrank_child(
        self,
        way: Production,
        position: int,
        at: tuple[Attribute, Attribute, int],
        output: Attribute,
        rank: int,
    ) -> tuple[Tree, Attribute, int, int]:
        """Return the child, the state after, operations taken and the rank among the rest."""
        state, given, size = at
        symbol, without = way.items[position].what, self._excluded(way, position)
        assert isinstance(symbol, str)
        longest = size - int(self._rests[way][position + 1])
        for taken in range(self._least[symbol], longest + 1):
            for below, n in self._of_symbol(symbol, given, taken, without).items():
                after = way.flow.advance(state, below, way.places[position])
                if after is None:
                    continue
                rests = self._ends(way, position + 1, (after, size - taken), output)
                if rank < n * rests:
                    key = (symbol, given, taken, without)
                    child = self._unrank_symbol(key, below, rank // rests)
                    return child, after, taken, rank % rests
                rank -= n * rests
        raise AssertionError("counts and derivations disagree")

    def sample(self, rng: np.random.Generator, n_operations: int) -> Tree:
        """Draw uniformly among the trees of exactly this size.

        Raises:
            SpaceError: If there are none.
        """
        total = self.count(n_operations)
        if not total:
            raise SpaceError(f"no tree has exactly {n_operations} operations: ask for another size")
        return self.unrank(below(rng, total), n_operations)

    def sample_up_to(self, rng: np.random.Generator, n_operations: int) -> Tree:
        """Draw uniformly among the trees of at most this size.

        Raises:
            SpaceError: If there are none.
        """
        total = self.count_up_to(n_operations)
        if not total:
            raise SpaceError(f"no tree has at most {n_operations} operations: ask for more")
        rank, size = below(rng, total), 1
        while rank >= self.count(size):
            rank -= self.count(size)
            size += 1
        return self.unrank(rank, size)

    def enumerate(self, n_operations: int) -> Iterator[Tree]:
        """Yield every tree of exactly this size, in the order of ranks."""
        for rank in range(self.count(n_operations)):
            yield self.unrank(rank, n_operations)


@contextmanager
def _nesting(n_operations: int) -> Iterator[None]:
    """Explain why trees that nest more deeply than Python's calls can are not counted."""
    try:
        yield
    except RecursionError as fault:
        raise TooManyStatesError(
            f"trees of {n_operations} operations nest too deeply to be counted: count smaller ones"
        ) from fault


def _endless(grammar: Grammar) -> str:
    """Return a symbol that can be derived from itself at no size, or an empty string."""
    edges = {
        symbol: [below for way in ways if len(way.items) == 1 for below, _ in way.holes]
        for symbol, ways in grammar.by_symbol.items()
    }
    cyclic = recurring(edges)
    return next((symbol for symbol in edges if symbol in cyclic), "")


def largest_size(grammar: Grammar) -> int | float:
    """Return the most operations of a tree, attributes aside; infinite if symbols recur."""
    grammar = grammar.unweighted
    productive = least_operations(grammar)
    ways = tuple(
        way for way in grammar.productions if all(below in productive for below, _ in way.holes)
    )
    edges = uses(replace(grammar, productions=ways))
    reachable = reachable_symbols(replace(grammar, productions=ways))
    if reachable & recurring(edges):
        return math.inf
    known: dict[str, int] = {}
    by_symbol: dict[str, list[Production]] = {}
    for way in ways:
        by_symbol.setdefault(way.symbol, []).append(way)
    for symbol, *_ in components(edges):
        if symbol in reachable:
            sizes = (
                n_operations(way) + sum(known[below] for below, _ in way.holes)
                for way in by_symbol[symbol]
            )
            known[symbol] = max(sizes)
    return known.get(grammar.start, 0)


def below(rng: np.random.Generator, limit: int) -> int:
    """Draw a whole number from 0 to `limit` - 1, however large, without bias."""
    n_bytes = (limit.bit_length() + 7) // 8
    ceiling = (1 << (8 * n_bytes)) // limit * limit
    while True:  # ends at once with a probability of more than one half, whatever the limit
        drawn = int.from_bytes(rng.bytes(n_bytes), "little")
        if drawn < ceiling:
            return drawn % limit
