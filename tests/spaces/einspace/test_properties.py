"""What holds for thousands of random trees of einspace, on every shape that it is judged by."""

import itertools

import numpy as np
import pytest

from niwaki.core.candidate import Candidate
from niwaki.spaces.einspace import EinspaceSettings
from niwaki.spaces.grammar import distance, read_tree
from niwaki.spaces.grammar.space import GrammarSpace
from niwaki.spaces.grammar.tree import Tree, tree_from_json, tree_from_value
from tests.spaces.einspace.conftest import SHAPES, SMALL

SAMPLINGS = ["weights", "convolutions", "sizes", "trees"]


def drawn(shape: tuple[int, ...], sampling: str, n: int) -> tuple[GrammarSpace, list[Candidate]]:
    """Return a space, samples of it, a child of each, and a child of each two neighbours."""
    space = EinspaceSettings(budget=SMALL, sampling=sampling).space_for(shape)  # type: ignore[arg-type]
    rng = np.random.default_rng(7)
    samples = [space.sample(rng) for _ in range(n)]
    mutants = [space.mutate(candidate, rng) for candidate in samples]
    pairs = itertools.pairwise(samples)
    return space, [*samples, *mutants, *(space.crossover(a, b, rng) for a, b in pairs)]


def check_spellings(space: GrammarSpace, candidate: Candidate) -> None:
    tree = space.tree(candidate)
    assert read_tree(str(tree)) == tree_from_json(tree.to_json()) == tree
    assert tree_from_value(tree.to_value()) == tree
    assert Candidate.from_json(candidate.to_json()) == candidate
    assert space.engine.fault(tree) == ""
    again = space.candidate(_padded(tree))
    assert (again, again.key) == (candidate, candidate.key)


def _padded(tree: Tree) -> Tree:
    """Spell every item of every sequence as a route that does nothing beside it."""
    children = tuple(map(_padded, tree.children))
    if tree.label == "seq":
        nothing = Tree("identity")
        children = tuple(Tree("route", (nothing, child, nothing)) for child in children)
    return Tree(tree.label, children)


def check_metric(space: GrammarSpace, candidates: list[Candidate]) -> None:
    trees = [space.tree(candidate) for candidate in candidates]
    for a, b, c in zip(trees, trees[1:], trees[2:], strict=False):
        assert distance(a, b) == distance(b, a)
        assert (distance(a, b) == 0.0) == (a == b)
        assert distance(a, c) <= distance(a, b) + distance(b, c) + 1e-9


def check_keys(candidates: list[Candidate]) -> None:
    by_key = {candidate.key: candidate for candidate in candidates}
    assert len(by_key) == len(set(candidates))


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_trees_are_spelled_and_hashed_in_one_way(sampling: str) -> None:
    space, candidates = drawn((3, 32, 32), sampling, 15)
    for candidate in candidates:
        check_spellings(space, candidate)
    check_metric(space, candidates[:12])
    check_keys(candidates)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_thousands_of_trees_are(shape: tuple[int, ...], sampling: str) -> None:
    space, candidates = drawn(shape, sampling, 1000)
    for candidate in candidates:
        check_spellings(space, candidate)
    check_metric(space, candidates[:500])
    check_keys(candidates)
