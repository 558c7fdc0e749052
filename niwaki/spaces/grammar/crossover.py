"""Crossover: a subtree of one parent in the place of a compatible one of the other."""

from collections.abc import Iterator

import numpy as np

from niwaki.spaces.grammar.attributes import Spot
from niwaki.spaces.grammar.mutation import mutate
from niwaki.spaces.grammar.tree import Tree
from niwaki.spaces.grammar.variation import Change, Engine, change

_TRIES = 40


def cross(engine: Engine, first: Tree, second: Tree, rng: np.random.Generator) -> Change:
    """Return `first` with one subtree exchanged for one of `second`.

    Subtrees are compatible if they derive from the same symbol and are given the same attribute;
    pairs that also give the same one are tried first, others as the rest of the tree allows. If no
    exchange gives a valid, affordable tree other than both parents, `first` is mutated. The child
    of two equal parents is their equal.

    Raises:
        SpaceError: If a parent is not valid.
    """
    one, two = engine.canonical.of(first), engine.canonical.of(second)
    if one == two:
        return Change(one, "cross", (), 0, 0, 1.0)
    for _, (spot, node) in zip(range(_TRIES), _pairs(engine, one, two, rng), strict=False):
        child = engine.accepted((one, two), one.replaced(spot.path, node))
        if child is not None:
            return change(one, child, "cross", spot.path, (spot.node.n_leaves, node.n_leaves))
    return _mutant(engine, one, two, rng)


def _mutant(engine: Engine, one: Tree, two: Tree, rng: np.random.Generator) -> Change:
    """Mutate `one`, again where it becomes `two`; only a space of two trees has nothing else."""
    mutant = mutate(engine, one, rng)
    for _ in range(_TRIES):
        if mutant.tree != two:
            break
        mutant = mutate(engine, one, rng)
    return mutant


def _pairs(
    engine: Engine, one: Tree, two: Tree, rng: np.random.Generator
) -> Iterator[tuple[Spot, Tree]]:
    """Yield exchanges in random order, those between the same attributes first."""
    donors: dict[tuple[str, object], dict[Tree, object]] = {}
    for spot in engine.attributes.spots(two):
        if spot.symbol:
            donors.setdefault((spot.symbol, spot.inherited), {})[spot.node] = spot.output
    pairs = [
        (spot, node, output == spot.output)
        for spot in engine.attributes.spots(one)
        for node, output in donors.get((spot.symbol, spot.inherited), {}).items()
        if node != spot.node
    ]
    order = [pairs[int(index)] for index in rng.permutation(len(pairs))]
    for same in (True, False):
        for spot, node, fits in order:
            if fits == same:
                yield spot, node
