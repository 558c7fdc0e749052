"""The derivation that ends at a given tree: which production each hole takes."""

from collections.abc import Sequence

from niwaki.core.errors import SpaceError
from niwaki.spaces.grammar.attributes import Attributes
from niwaki.spaces.grammar.derive import Hole
from niwaki.spaces.grammar.grammar import Operation, Production
from niwaki.spaces.grammar.tree import Tree, TreePath


class Retracing:
    """Says production by production how to derive one tree.

    Args:
        attributes: Of the grammar.
        tree: What shall be derived.
    """

    def __init__(self, attributes: Attributes, tree: Tree) -> None:
        self._attributes = attributes
        self._wanted: dict[TreePath, Tree] = {(): tree}

    def way(self, hole: Hole, ways: Sequence[Production]) -> Production:
        """Return the production that `hole` takes.

        Args:
            hole: Those above it have taken theirs.
            ways: To choose from.

        Raises:
            SpaceError: If none of them leads to what is wanted there.
        """
        node = self._wanted.get(hole.path)
        way = None if node is None else self._first(hole.symbol, node)
        if node is None or way is None or way not in ways:
            raise SpaceError(f"no derivation of '{node}' from '{hole.symbol}' is known")
        for position, child in enumerate(self._below(way, node)):
            self._wanted[*hole.path, position] = child
        return way

    def _first(self, symbol: str, node: Tree) -> Production | None:
        """Return the first production of the fewest that lead from `symbol` to `node`."""
        seen = {symbol}
        queue: list[tuple[str, Production | None]] = [(symbol, None)]
        for each, first in queue:  # grows while it is walked
            for way in self._attributes.grammar.by_symbol.get(each, ()):
                if way.weight > 0.0 and self._attributes.leaves(way, node):
                    return first or way
                what = way.whats[0]
                if way.weight > 0.0 and way.renames and isinstance(what, str) and what not in seen:
                    seen.add(what)
                    queue.append((what, first or way))
        return None

    def _below(self, way: Production, node: Tree) -> Sequence[Tree]:
        """Return what the children of `way` are to derive."""
        if way.renames:
            return () if isinstance(way.whats[0], Operation) else (node,)
        if way.label not in self._attributes.grammar.sequences:
            return node.children
        first, *rest = node.children
        return first, rest[0] if len(rest) == 1 else Tree(node.label, tuple(rest))
