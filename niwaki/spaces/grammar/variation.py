"""What operators on trees share: the engine of one grammar, and the report of a change."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from niwaki.core.errors import SpaceError
from niwaki.spaces.grammar.attributes import Attributes, Spot
from niwaki.spaces.grammar.canonical import Canonical
from niwaki.spaces.grammar.costs import Budget, Cost, Purse
from niwaki.spaces.grammar.derive import Derived, Deriver, Hole, Pick
from niwaki.spaces.grammar.flows import Attribute
from niwaki.spaces.grammar.frames import Goal
from niwaki.spaces.grammar.grammar import Grammar
from niwaki.spaces.grammar.lookahead import Lookahead
from niwaki.spaces.grammar.options import Options
from niwaki.spaces.grammar.picking import by_weight
from niwaki.spaces.grammar.tree import Tree, TreePath


@dataclass(frozen=True)
class Change:
    """A child, and how it came about.

    Attributes:
        tree: The child, in canonical form.
        operator: What was done: resample, insert, delete, swap, retune, retune_all or cross.
        path: Where in the parent.
        removed: Operations taken out.
        added: Operations put in.
        locality: Share of both trees that stayed, in [0, 1]: 0.9 is a small change.
    """

    tree: Tree
    operator: str
    path: TreePath
    removed: int
    added: int
    locality: float


class Engine:
    """A grammar with a budget, and everything that is remembered about it.

    Args:
        grammar: Checked.
        budget: What each tree may cost.
        slack: Of the lookahead.
    """

    def __init__(self, grammar: Grammar, budget: Budget, *, slack: int = 0) -> None:
        self.grammar = grammar
        self.budget = budget
        self.attributes = Attributes(grammar)
        self.canonical = Canonical(self.attributes)
        self.options = Options(grammar)
        self._slack = slack

    @cached_property
    def drawn(self) -> Attributes:
        """Those of the productions that have a weight."""
        drawn = self.grammar.drawn
        return self.attributes if drawn is self.grammar else Attributes(drawn)

    @cached_property
    def deriver(self) -> Deriver:
        """Derives trees."""
        lookahead = Lookahead(self.attributes, slack=self._slack, budget=self.budget)
        return Deriver(self.attributes, lookahead)

    def root(self) -> Hole:
        """Return the hole that whole trees fill."""
        wanted = self.grammar.output
        accepts = None if wanted is None else (lambda output: output == wanted)
        start, given = self.grammar.start, self.grammar.input
        return Hole(start, given, Goal(accepts), 1, self.budget.depth)

    def derive(self, pick: Pick) -> Derived:
        """Derive a whole tree."""
        return self.deriver.derive(pick, self.root(), self.budget.purse)

    def grow(self, pick: Pick) -> Tree:
        """Derive a whole tree, in canonical form."""
        return self.canonical.of(*self.derive(pick))

    def fault(self, tree: Tree) -> str:
        """Return why a tree is not of this grammar and budget, or an empty string."""
        found = self.attributes.whole(tree)
        return found.fault or self.budget.excess(found.cost)

    def regrow(
        self,
        whole: Cost,
        spot: Spot,
        accepts: Callable[[Attribute], bool],
        limits: tuple[int, int],
        rng: np.random.Generator,
    ) -> Tree | None:
        """Derive another subtree for `spot`; None if nothing is known to fit.

        Args:
            whole: Cost of the whole tree.
            spot: Where.
            accepts: Which outputs will do.
            limits: Most operations and most levels that the subtree may have.
            rng: Source of chance.
        """
        purse = _left(self.budget, whole, spot)
        depth = min(self.budget.depth - spot.depth, limits[1])
        hole = Hole(spot.symbol, spot.inherited, Goal(accepts), spot.copies, depth)
        try:
            purse = (min(purse[0], limits[0]), *purse[1:])
            return self.deriver.derive(by_weight(rng), hole, purse).tree
        except SpaceError:
            return None

    def accepted(self, parents: tuple[Tree, ...], child: Tree) -> Tree | None:
        """Return the child's canonical form if it is valid, affordable and new.

        Where parents need no production of weight 0, neither may the child.
        """
        child = self.canonical.shared(child)
        kept = self._is_drawn(child) or not all(map(self._is_drawn, parents))
        if self.fault(child) or not kept:
            return None
        tree = self.canonical.of(child)
        return None if tree in parents or self.fault(tree) else tree

    def _is_drawn(self, tree: Tree) -> bool:
        if self.drawn is self.attributes:
            return True
        self.drawn.tidy()
        return not self.drawn.whole(tree).fault


def _left(budget: Budget, whole: Cost, spot: Spot) -> Purse:
    """Return what a subtree at `spot` may cost."""
    a, b, c, d, e = budget.purse
    cost, n = spot.cost, spot.copies
    return (
        a - whole.operations + cost.operations,
        b - whole.network_operations + n * cost.network_operations,
        c - whole.parameters + n * cost.parameters,
        d - whole.macs + n * cost.macs,
        e - whole.elements + n * cost.elements,
    )


def change(
    parent: Tree, child: Tree, operator: str, path: TreePath, counts: tuple[int, int]
) -> Change:
    """Report a child; `counts` are operations removed and added."""
    removed, added = counts
    total = parent.n_leaves + child.n_leaves
    locality = max(0.0, 1.0 - (removed + added) / total)
    return Change(child, operator, path, removed, added, locality)
