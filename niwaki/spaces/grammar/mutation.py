"""Mutation: small edits that keep a tree valid and within its budget.

Every edit is checked by arithmetic before it counts, in the canonical form, against the parent: so
no child is invalid, too expensive, or its own parent.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np

from niwaki.spaces.grammar.attributes import Spot
from niwaki.spaces.grammar.costs import NOTHING
from niwaki.spaces.grammar.grammar import IDENTITY, Operation, Production
from niwaki.spaces.grammar.picking import by_weight
from niwaki.spaces.grammar.retune_all import retune_all
from niwaki.spaces.grammar.tree import Tree, TreePath
from niwaki.spaces.grammar.variation import Change, Engine, change

# An edit: where, the node to put there, operations removed and added.
Edit: TypeAlias = tuple[TreePath, Tree, int, int]
Operator: TypeAlias = Callable[[Engine, Sequence[Spot], np.random.Generator], Iterator[Edit]]

_TRIES = 12
_FRESH_TRIES = 64
_INSERTED = (6, 3)  # most operations and levels of what is inserted


def mutate(engine: Engine, tree: Tree, rng: np.random.Generator) -> Change:
    """Return a neighbour of `tree`: one operator, drawn at random, applied once.

    An operator that finds nothing here leaves its turn to the next; if all do, a fresh tree is
    drawn. Only in a space of one tree is the parent returned.

    Raises:
        SpaceError: If `tree` is not valid.
    """
    parent = engine.canonical.of(tree)
    spots = engine.attributes.spots(parent)
    names = list(OPERATORS)
    for index in rng.permutation(len(names)):
        name = names[int(index)]
        for path, node, removed, added in _some(OPERATORS[name](engine, spots, rng)):
            child = engine.accepted((parent,), parent.replaced(path, node))
            if child is not None:
                return change(parent, child, name, path, (removed, added))
    return fresh(engine, parent, rng)


def fresh(engine: Engine, parent: Tree, rng: np.random.Generator) -> Change:
    """Draw a whole new tree, other than `parent` if there is any."""
    for _ in range(_FRESH_TRIES):
        child = engine.grow(by_weight(rng))
        if child != parent:
            break
    return change(parent, child, "resample", (), (parent.n_leaves, child.n_leaves))


def _some(edits: Iterator[Edit]) -> Iterator[Edit]:
    for _, edit in zip(range(_TRIES), edits, strict=False):
        yield edit


def _shuffled(spots: Sequence[Spot], rng: np.random.Generator) -> Iterator[Spot]:
    for index in rng.permutation(len(spots)):
        if spots[int(index)].symbol:
            yield spots[int(index)]


def resample(engine: Engine, spots: Sequence[Spot], rng: np.random.Generator) -> Iterator[Edit]:
    """Draw a subtree anew, between the same attributes."""
    whole = spots[0].cost
    for spot in _shuffled(spots, rng):
        limits = (2 * spot.node.n_leaves + 4, spot.node.depth + 2)
        wanted = spot.output if spot.path else None
        node = engine.regrow(whole, spot, _accepting(engine, wanted), limits, rng)
        if node is not None and node != spot.node:
            yield spot.path, node, spot.node.n_leaves, node.n_leaves


def _accepting(engine: Engine, wanted: object) -> Callable[[object], bool]:
    goal = engine.grammar.output if wanted is None else wanted
    return lambda output: goal is None or output == goal


def insert(engine: Engine, spots: Sequence[Spot], rng: np.random.Generator) -> Iterator[Edit]:
    """Put something new before or after a node, where the grammar has sequences."""
    whole = spots[0].cost
    for spot in _shuffled(spots, rng):
        for way in _sequences(engine, spot):
            item = way.items[0].what
            assert isinstance(item, str)
            if not engine.attributes.derives(item, spot.node) and spot.node.label != way.label:
                continue
            before = bool(rng.random() < 0.5)
            given = spot.inherited if before else spot.output
            place = Spot((), item, _NOWHERE, given, given, NOTHING, spot.copies, spot.depth)
            # The rest of the tree must take what comes out, so it is what came in.
            new = engine.regrow(whole, place, _accepting(engine, given), _INSERTED, rng)
            if new is not None and not engine.grammar.trait(new, IDENTITY):
                yield spot.path, _joined(way.label, spot.node, new, before), 0, new.n_leaves


def _sequences(engine: Engine, spot: Spot) -> list[Production]:
    """Return productions by which the spot's symbol becomes a sequence."""
    ways = engine.grammar.reach.get(spot.symbol, ())
    return [
        way for way in ways
        if not way.renames and way.label in engine.grammar.sequences and way.weight > 0.0
    ]  # fmt: skip


def _joined(label: str, node: Tree, new: Tree, before: bool) -> Tree:
    """Return a flat sequence of both."""
    parts = [list(each.children) if each.label == label else [each] for each in (node, new)]
    children = [*parts[1], *parts[0]] if before else [*parts[0], *parts[1]]
    return Tree(label, tuple(children))


def delete(engine: Engine, spots: Sequence[Spot], rng: np.random.Generator) -> Iterator[Edit]:
    """Take an item out of a sequence, or put a subtree in the place of what is above it."""
    for spot in _shuffled(spots, rng):
        node = spot.node
        if node.label in engine.grammar.sequences and node.children:
            at = int(rng.integers(len(node.children)))
            rest = (*node.children[:at], *node.children[at + 1 :])
            shorter = rest[0] if len(rest) == 1 else Tree(node.label, rest)
            if engine.attributes.derives(spot.symbol, shorter):
                yield spot.path, shorter, node.children[at].n_leaves, 0
        for child in node.children:
            if engine.attributes.derives(spot.symbol, child):
                yield spot.path, child, node.n_leaves - child.n_leaves, 0


def swap(engine: Engine, spots: Sequence[Spot], rng: np.random.Generator) -> Iterator[Edit]:
    """Exchange an operation for another one, or two neighbours in a sequence."""
    for spot in _shuffled(spots, rng):
        node = spot.node
        if not node.children:
            yield from _others(engine, spot, rng, same_terminal=False)
        elif node.label in engine.grammar.sequences:
            at = int(rng.integers(len(node.children) - 1))
            pair = node.children[at + 1], node.children[at]
            children = (*node.children[:at], *pair, *node.children[at + 2 :])
            yield spot.path, Tree(node.label, children), *_twice(pair)


def _twice(pair: tuple[Tree, Tree]) -> tuple[int, int]:
    n_moved = min(each.n_leaves for each in pair)
    return n_moved, n_moved


def retune(engine: Engine, spots: Sequence[Spot], rng: np.random.Generator) -> Iterator[Edit]:
    """Change a parameter: of an operation alone, or of one that a production fixes."""
    for spot in _shuffled(spots, rng):
        if not spot.node.children:
            yield from _others(engine, spot, rng, same_terminal=True)
        else:
            yield from _siblings(engine, spot, rng)


def _others(
    engine: Engine, spot: Spot, rng: np.random.Generator, *, same_terminal: bool
) -> Iterator[Edit]:
    """Yield other operations that the spot's symbol derives, at most three."""
    grammar = engine.grammar
    own = grammar.operations[spot.node.label].terminal
    others = [
        spelled
        for spelled in grammar.drawn.leaves_of.get(spot.symbol, ())
        if spelled != spot.node.label
        and (grammar.operations[spelled].terminal == own) == same_terminal
    ]
    for index in rng.permutation(len(others))[:3]:
        yield spot.path, grammar.leaves[others[int(index)]], 1, 1


def _siblings(engine: Engine, spot: Spot, rng: np.random.Generator) -> Iterator[Edit]:
    """Yield the node under productions that fix other operations around the same holes."""
    way = engine.attributes.way(spot.symbol, spot.node)
    if way is None or way.label in engine.grammar.sequences:
        return
    siblings = [
        other
        for other in engine.grammar.drawn.reach.get(spot.symbol, ())
        if other is not way and not other.renames and other.shape == way.shape
    ]
    for index in rng.permutation(len(siblings))[:3]:
        other = siblings[int(index)]
        children = tuple(
            engine.grammar.leaves[item.what.spelled] if isinstance(item.what, Operation) else child
            for item, child in zip(other.items, spot.node.children, strict=True)
        )
        yield spot.path, Tree(other.label, children), 1, 1


_NOWHERE = Tree("")
OPERATORS: dict[str, Operator] = {
    "resample": resample,
    "insert": insert,
    "delete": delete,
    "swap": swap,
    "retune": retune,
    "retune_all": retune_all,
}
