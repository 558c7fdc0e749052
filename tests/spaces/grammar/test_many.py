"""Thousands of productions of one symbol: found, drawn and exchanged as few are."""

import numpy as np
import pytest

from niwaki.spaces.grammar import Budget, GrammarSpace, Tree, read_grammar
from tests.spaces.grammar.descendants import check_descendants

WIDTHS = "|".join(map(str, range(1, 61)))
GRAMMAR = f"""
start N
terminal conv(d={WIDTHS}), split [symmetric], join [commutative], act
N -> seq: N N [600] | conv | pair@branch: split conv conv join | odd: act conv | odd: conv act
"""


@pytest.fixture(scope="module")
def space() -> GrammarSpace:
    return GrammarSpace(read_grammar(GRAMMAR), Budget(operations=40), expected_operations=15.0)


def test_samples_and_children_are_valid_and_new(space: GrammarSpace) -> None:
    check_descendants(space)


def test_a_node_derives_by_the_production_that_fixes_its_leaves(space: GrammarSpace) -> None:
    attributes = space.engine.attributes
    leaves = [Tree(text) for text in ("split", "conv(d=7)", "conv(d=60)", "join")]
    way = attributes.way("N", Tree("pair", tuple(leaves)))
    assert way is not None
    assert way.fixed == ("split", "conv(d=7)", "conv(d=60)", "join")
    for wrong in (leaves[:3], [*leaves, leaves[3]], leaves[::-1]):
        assert attributes.way("N", Tree("pair", tuple(wrong))) is None
    for order in ("act", "conv(d=2)"), ("conv(d=2)", "act"):
        way = attributes.way("N", Tree("odd", tuple(map(Tree, order))))
        assert way is not None
        assert way.fixed == order


def test_what_does_not_fit_what_is_left_is_not_inserted(space: GrammarSpace) -> None:
    rng = np.random.default_rng(1)
    full = space.candidate(f"seq({', '.join(['conv(d=3)'] * 40)})")
    for _ in range(40):
        assert space.check(space.mutate(full, rng)) == ""
