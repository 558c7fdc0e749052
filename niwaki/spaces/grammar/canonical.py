"""The canonical form: one tree for all spellings of one network."""

from collections.abc import Sequence
from itertools import repeat

from niwaki.spaces.grammar.attributes import MOST_REMEMBERED, Attributes
from niwaki.spaces.grammar.flows import Attribute
from niwaki.spaces.grammar.grammar import (
    COMMUTATIVE,
    IDENTITY,
    SYMMETRIC,
    Grammar,
    Item,
    Production,
)
from niwaki.spaces.grammar.matching import first_matching
from niwaki.spaces.grammar.permutations import Permutations
from niwaki.spaces.grammar.tree import Tree, shared


class Canonical:
    """Rewrites trees of one grammar to their canonical form, which derives from it too.

    Sequences in sequences are flattened. Identities are left out of sequences and of other linear
    productions (pre-routing and post-routing that do nothing), as far as the grammar can do without
    them: `S -> M M` keeps one behind a single module. Branches that are split by a symmetric
    operation and joined by a commutative one are sorted, as far as one's symbol derives another's
    branch. Permutations that meet are composed. What a module of one's own makes of its children is
    not known, so those of its node stay, each in its own form.

    Args:
        attributes: Of the grammar.
    """

    def __init__(self, attributes: Attributes) -> None:
        self._attributes = attributes
        self._grammar: Grammar = attributes.grammar
        self._permutations = Permutations(attributes)
        self._composes = bool(self._permutations)
        self._forms: dict[tuple[str, Tree, bool], Tree] = {}
        self._spelled: dict[Tree, str] = {}
        self._pool: dict[Tree, Tree] = {}

    def of(self, tree: Tree, output: Attribute | None = None) -> Tree:
        """Return the canonical form of a tree that derives from the start symbol.

        Args:
            tree: Any spelling.
            output: What it gives, if that is known.
        """
        self._attributes.tidy()
        if len(self._forms) + len(self._spelled) > MOST_REMEMBERED:
            self._forms.clear()
            self._spelled.clear()
        tree = self.shared(tree)
        form = self._form(self._grammar.start, tree)
        if self._composes and not self._alike(tree, form, output):
            # Where attributes depend on the spelling, as in the published grammar.
            self._composes = False
            form = self._form(self._grammar.start, tree)
            self._composes = True
        return self.shared(form)

    def shared(self, tree: Tree) -> Tree:
        """Return the equal tree that is met again: tables find it without comparing its nodes."""
        if len(self._pool) > MOST_REMEMBERED:
            self._pool.clear()
        return shared(tree, self._pool)

    def _alike(self, tree: Tree, form: Tree, output: Attribute | None) -> bool:
        """Whether both give the same; what derives from nothing is nobody's to compare."""
        if output is None:
            output = self._attributes.whole(tree).output
        return output is None or output == self._attributes.whole(form).output

    def _form(self, symbol: str, node: Tree) -> Tree:
        if not node.children:
            return node
        key = (symbol, node, self._composes)
        if key not in self._forms:
            self._forms[key] = self._form_of_node(symbol, node)
        return self._forms[key]

    def _form_of_node(self, symbol: str, node: Tree) -> Tree:
        way = self._attributes.way(symbol, node)
        if way is None:
            return node
        children = [
            self._form(child_symbol, child) if child_symbol else child
            for child_symbol, _, child in self._attributes.children(way, node)
        ]
        if way.builder:
            return node.having(children)
        if way.label in self._grammar.sequences:
            return self._sequence(symbol, node, children)
        if way.flow.linear:
            return self._linear(symbol, way, node.having(children))
        if way.flow.parallel and self._commutes(children):
            children = self._sorted(symbol, way, children)
        return node.having(children)

    def _sequence(self, symbol: str, node: Tree, children: list[Tree]) -> Tree:
        flat = _flattened(node.label, children)
        item = self._grammar.sequences[node.label]
        symbols = repeat(item)
        while self._composes and (composed := self._permutations.composed(symbols, flat)):
            flat = _flattened(node.label, [self._form(item, child) for child in composed])
        kept = [child for child in flat if not self._grammar.trait(child, IDENTITY)]
        dropped = [child for child in flat if self._grammar.trait(child, IDENTITY)]
        if len(kept) >= 2:
            return node.having(kept)
        alone = kept or dropped[:1]
        if self._attributes.derives(symbol, alone[0]):
            return self._form(symbol, alone[0])  # which may have another form for it than `item`
        padding = sorted(dropped, key=lambda leaf: leaf.label)
        return node.having((*kept, *padding[: 2 - len(kept)]))

    def _linear(self, symbol: str, way: Production, node: Tree) -> Tree:
        children: Sequence[Tree] = node.children
        single = all(item.copies == 1 for item in way.items)
        while (
            self._composes
            and single
            and (composed := self._permutations.composed(way.symbols, children))
        ):
            children = [
                self._form(each, child) if each else child
                for each, child in zip(way.symbols, composed, strict=True)
            ]
        kept = [child for child in children if not self._grammar.trait(child, IDENTITY)]
        if single and len(kept) <= 1:
            alone = (kept or children)[0]
            if self._attributes.derives(symbol, alone):
                return self._form(symbol, alone)
        return node.having(children)

    def _commutes(self, children: list[Tree]) -> bool:
        trait = self._grammar.trait
        return trait(children[0], SYMMETRIC) and trait(children[-1], COMMUTATIVE)

    def _sorted(self, symbol: str, way: Production, children: list[Tree]) -> list[Tree]:
        """Sort the branches, as far as the grammar derives them in that order.

        A branch changes its place with one of another symbol if that derives it too, in the same
        form; another production of the node may be what derives the sorted ones.
        """
        first, *middle, last = children
        copies = [item.copies for item in way.items[1:-1]]
        branches = sorted(zip(middle, copies, strict=True), key=lambda each: self._spell(each[0]))
        labels = [child.label for child in (first, *(branch for branch, _ in branches), last)]
        for other in (way, *self._grammar.ways_to(symbol, way.label, labels)):
            fits = self._fits(other, first, branches, last)
            if fits and all(fits[place][place] for place in range(len(fits))):
                return [first, *(branch for branch, _ in branches), last]
        order = first_matching(self._fits(way, first, branches, last))
        return [first, *(branches[index][0] for index in order), last]

    def _fits(
        self, way: Production, first: Tree, branches: Sequence[tuple[Tree, int]], last: Tree
    ) -> list[list[bool]]:
        """Return which place takes which branch; nothing if a production is for other nodes."""
        if len(way.items) != len(branches) + 2 or not way.flow.parallel or way.builder:
            return []
        if not (self._takes(way.items[0], first) and self._takes(way.items[-1], last)):
            return []
        return [
            [item.copies == copies and self._takes(item, branch) for branch, copies in branches]
            for item in way.items[1:-1]
        ]

    def _takes(self, item: Item, node: Tree) -> bool:
        """Whether a place derives a node in just this form."""
        if not isinstance(item.what, str):
            return item.what.spelled == node.label
        return self._attributes.derives(item.what, node) and self._form(item.what, node) == node

    def _spell(self, node: Tree) -> str:
        if node not in self._spelled:
            self._spelled[node] = str(node)
        return self._spelled[node]


def _flattened(label: str, children: list[Tree]) -> list[Tree]:
    """Return the items of a sequence, those of sequences in it among them."""
    flat: list[Tree] = []
    for child in children:
        flat.extend(child.children if child.label == label else (child,))
    return flat
