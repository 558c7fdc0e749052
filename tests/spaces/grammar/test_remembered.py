"""What is remembered of subtrees is what would be computed anew: of kin, and of deep trees."""

import pickle
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest

from niwaki.spaces.grammar import (
    Attributes,
    Canonical,
    Encoding,
    GrammarSpace,
    Tree,
    read_grammar,
    read_tree,
)
from niwaki.spaces.grammar.encoding import MOST_NUMBERS, Encoder


@pytest.fixture(scope="module")
def kin(space: GrammarSpace) -> list[Tree]:
    """Return trees that have most of their subtrees in common, and one that nests."""
    deep = "relu"
    for _ in range(8):
        deep = f"two(clone(b=2), {deep}, seq(norm, softmax), add)"
    rng = np.random.default_rng(0)
    found = [space.candidate(deep), *(space.sample(rng) for _ in range(5))]
    for _ in range(40):
        first, second = (found[int(rng.integers(len(found)))] for _ in range(2))
        found += [space.mutate(first, rng), space.crossover(first, second, rng)]
    return [space.tree(candidate) for candidate in found]


def copied(tree: Tree) -> Tree:
    """Return an equal tree without an object in common."""
    copy: Tree = pickle.loads(pickle.dumps(tree))
    return copy


def test_outputs_and_costs(kin: list[Tree], space: GrammarSpace) -> None:
    for tree in kin:
        anew = Attributes(space.engine.grammar).whole(copied(tree))
        assert space.engine.attributes.whole(tree) == anew


def test_features(kin: list[Tree], space: GrammarSpace) -> None:
    attributes = space.engine.attributes
    encoder = Encoder(space.encoding, attributes)
    for tree in kin:
        anew = Encoder(space.encoding, attributes).of(copied(tree))
        np.testing.assert_array_equal(encoder.of(tree), anew)


def test_features_of_thousands_of_operations_are_kept_within_bounds() -> None:
    many = "|".join(map(str, range(3000)))
    grammar = read_grammar(f"start S\nterminal l(d={many})\nS -> s: L L\nL -> l\n")
    encoder = Encoder(Encoding(n_paths=0), Attributes(grammar))
    leaves = list(grammar.leaves.values())
    tracemalloc.start()
    for pair in pairwise(leaves):
        encoder.of(Tree("s", pair))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.3 * 8 * MOST_NUMBERS  # bytes


def test_paths_are_of_leaves_and_neighbours_wherever_a_subtree_stands(
    kin: list[Tree], space: GrammarSpace
) -> None:
    paths = Encoding(counts=False, costs=False, n_neighbourhoods=0, n_paths=4096)
    encoder = Encoder(paths, space.engine.attributes)
    inner = "seq(norm, norm)"
    texts = (inner, f"two(clone(b=2), {inner}, softmax, add)")
    once, nested = (encoder.of(read_tree(text)) for text in texts)
    assert sorted(once[once > 0]) == [1, 2]
    assert sorted(nested[nested > 0]) == [1, 1, 1, 1, 1, 1, 1, 2]
    assert (once * nested).sum() == 1.0  # the neighbours: paths begin at the root
    for tree in kin:
        n_pairs = sum(len(node.children) - 1 for _, node in tree.walk() if node.children)
        assert encoder.of(tree).sum() == tree.n_leaves + n_pairs


def test_values(kin: list[Tree]) -> None:
    for tree in kin:
        assert tree.to_value() == tree.to_value() == copied(tree).to_value()


def test_the_form_of_a_form_is_the_same_object(kin: list[Tree], space: GrammarSpace) -> None:
    canonical = Canonical(Attributes(space.engine.grammar))
    tree = max(kin, key=lambda each: each.n_nodes)
    assert canonical.of(tree) is tree
    assert canonical.of(copied(tree)) is tree
