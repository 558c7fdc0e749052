"""Sampling by size, against exact counts and against weights multiplied by hand."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import niwaki.spaces.grammar as grammars
from niwaki.spaces.grammar import (
    Attributes,
    Budget,
    Counting,
    GrammarSpace,
    load_grammar,
    read_grammar,
)
from niwaki.spaces.grammar.sizes import Odds, SizeCounts

EXAMPLES = Path(grammars.__file__).parent / "examples"
WEIGHTED = """
terminal a, b, c
M -> seq: M M [3] | pair: M M [1] | a [6] | b [2] | c [0]
"""


@pytest.mark.parametrize("name", ["chain", "cell"])
def test_counts_of_trees_alike_are_the_exact_ones_where_attributes_rule_nothing_out(
    name: str,
) -> None:
    grammar = load_grammar(EXAMPLES / f"{name}.grammar")
    exact, counts = Counting(Attributes(grammar)), SizeCounts(grammar, alike=True)
    for n in range(1, 9):
        assert counts.of_symbol(grammar.start, n) == exact.count(n)


def test_a_production_written_twice_weighs_twice_and_counts_once() -> None:
    grammar = read_grammar("terminal a, b\nM -> a | b | a")
    assert SizeCounts(grammar, alike=True).of_symbol("M", 1) == 2.0
    space = GrammarSpace(grammar, sampling="sizes")
    drawn = Counter(_drawn(space, 600))
    assert drawn["a"] / 600 == pytest.approx(2 / 3, abs=0.06)


def test_weights_of_a_size_are_sums_of_products_of_shares() -> None:
    counts = SizeCounts(read_grammar(WEIGHTED))
    assert counts.of_symbol("M", 1) == pytest.approx(8 / 12)
    assert counts.of_symbol("M", 2) == pytest.approx((3 + 1) / 12 * (8 / 12) ** 2)


def test_trees_of_one_size_come_by_their_weights() -> None:
    space = GrammarSpace(read_grammar(WEIGHTED), Budget(operations=2), sampling="sizes")
    drawn = Counter(tree for tree in _drawn(space, 3000) if "(" in tree)
    n = sum(drawn.values())
    expected = {
        f"{label}({first}, {second})": (weight / 4) * share[first] * share[second]
        for label, weight in (("seq", 3), ("pair", 1))
        for share in ({"a": 6 / 8, "b": 2 / 8},)
        for first in share
        for second in share
    }
    assert set(drawn) == set(expected)
    for tree, share_of_tree in expected.items():
        assert drawn[tree] / n == pytest.approx(share_of_tree, abs=0.05)


def test_trees_alike_are_drawn_alike() -> None:
    space = GrammarSpace(read_grammar(WEIGHTED), Budget(operations=2), sampling="trees")
    drawn = Counter(tree for tree in _drawn(space, 3000) if "(" in tree)
    n = sum(drawn.values())
    assert len(drawn) == 8
    assert max(drawn.values()) / n < 0.175
    assert min(drawn.values()) / n > 0.08


def test_each_doubling_of_the_size_is_as_frequent() -> None:
    space = GrammarSpace(
        load_grammar(EXAMPLES / "chain.grammar"), Budget(operations=63, depth=64), sampling="sizes"
    )
    rng = np.random.default_rng(0)
    sizes = [space.tree(space.sample(rng)).n_leaves for _ in range(1200)]
    found = [sum(low <= n < high for n in sizes) for low, high in pairwise([4, 8, 16, 32, 64])]
    assert max(found) < 1.4 * min(found)


def test_what_has_no_odds_is_never_drawn() -> None:
    odds, rng = Odds.of([0.0, 1.0, 0.0, 3.0, 0.0]), np.random.default_rng(0)
    assert {odds.draw(rng) for _ in range(200)} == {1, 3}


def test_sizes_that_are_not_wanted_are_not_drawn_unless_there_are_no_others() -> None:
    grammar = load_grammar(EXAMPLES / "chain.grammar")
    counts = SizeCounts(grammar, unwanted=frozenset((2, 4)))
    assert counts.sizes(grammar.start, 5)[0] == [1, 3, 5]
    assert SizeCounts(grammar, unwanted=frozenset((1, 2))).sizes(grammar.start, 2)[0] == [1, 2]


def _drawn(space: GrammarSpace, n: int) -> list[str]:
    rng = np.random.default_rng(0)
    return [str(space.tree(space.sample(rng))) for _ in range(n)]
