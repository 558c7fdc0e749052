"""Permutations that meet: two in sequence are one, and one with its inverse is nothing."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from niwaki.spaces.grammar.attributes import Attributes
from niwaki.spaces.grammar.grammar import IDENTITY, PERMUTATION, Operation
from niwaki.spaces.grammar.tree import Tree, TreePath


class Permutations:
    """Composes neighbouring permutations in the trees of one grammar.

    Args:
        attributes: Of the grammar.
    """

    def __init__(self, attributes: Attributes) -> None:
        self._attributes = attributes
        self._grammar = attributes.grammar
        operations = self._grammar.operations
        terminals = self._grammar.terminals
        self._known = {
            spelled: operation
            for spelled, operation in operations.items()
            if PERMUTATION in terminals[operation.terminal].traits
            and len(operation.parameters) == 1
        }
        self._nothing = [
            self._grammar.leaves[spelled]
            for spelled, operation in operations.items()
            if IDENTITY in terminals[operation.terminal].traits
        ]

    def __bool__(self) -> bool:
        """Whether there is anything to compose, and something to put in its place."""
        return bool(self._known and self._nothing)

    def composed(self, symbols: Iterable[str], trees: Sequence[Tree]) -> list[Tree] | None:
        """Return neighbours in a chain with the first meeting pair composed; None if there is none.

        The second of two takes both, the first becomes an identity; identities in between are no
        matter.

        Args:
            symbols: What each tree derives from, at least as many; empty for an operation that a
                production fixes, which stays.
            trees: In order.
        """
        parts = list(zip(symbols, trees, strict=False))
        trait = self._grammar.trait
        changing = [at for at, (_, tree) in enumerate(parts) if not trait(tree, IDENTITY)]
        for at, then in pairwise(changing):
            left, right = parts[at], parts[then]
            end = self._edge(*left, -1)
            start = None if end is None else self._edge(*right, 0)
            if end is None or start is None:
                continue
            both = self._product(left[1].at(end).label, right[1].at(start).label)
            before = self._replaced(left, end, self._nothing)
            after = self._replaced(right, start, both)
            if before is not None and after is not None:
                found = [*trees]
                found[at], found[then] = before, after
                return found
        return None

    def _edge(self, symbol: str, node: Tree, side: int) -> TreePath | None:
        """Return where the permutation is that a tree begins or ends with; None if with another."""
        path: list[int] = []
        while node.children:
            way = self._attributes.way(symbol, node)
            if way is None:
                return None
            flat = way.label in self._grammar.sequences
            if way.builder or not (flat or way.flow.linear):
                return None
            below = self._attributes.children(way, node)
            symbol, place, child = below[side]
            if place.copies != 1:
                return None
            path.append(len(below) - 1 if side else 0)
            node = child
        return tuple(path) if symbol and node.label in self._known else None

    def _product(self, first: str, second: str) -> list[Tree]:
        """Return the operations that do what two permutations do."""
        one, two = self._known[first], self._known[second]
        (name, inner), (_, outer) = one.parameters[0], two.parameters[0]
        digits, picks = str(inner), str(outer)
        if one.terminal != two.terminal or len(digits) != len(picks):
            return []
        order = "".join(digits[int(pick) - 1] for pick in picks)
        if list(order) == sorted(order):
            return self._nothing
        wanted = Operation(one.terminal, ((name, type(inner)(order)),)).spelled
        return [self._grammar.leaves[wanted]] if wanted in self._known else []

    def _replaced(self, part: tuple[str, Tree], path: TreePath, leaves: list[Tree]) -> Tree | None:
        """Return the tree with another leaf, the first of `leaves` that the grammar has there."""
        symbol, tree = part
        for leaf in leaves:
            other = tree.replaced(path, leaf) if path else leaf
            if self._attributes.derives(symbol, other):
                return other
        return None
