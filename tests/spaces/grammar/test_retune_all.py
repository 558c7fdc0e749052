"""Many operations are changed at once, as far as the rest of the tree needs it, and no further."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from niwaki.spaces.grammar import Budget, Grammar, GrammarSpace, Tree, read_grammar, read_tree
from niwaki.spaces.grammar.mutation import OPERATORS
from niwaki.spaces.grammar.retune_all import retune_all
from niwaki.spaces.grammar.variation import Engine

CELLS = """
# Two cells in a row, whose edges have kernels.
start Net
terminal conv(k=1|3|5), pool(k=2|3), skip
Net -> net: Cell Cell
Cell -> cell: Edge Edge Edge
Edge -> conv | pool | skip
"""
NARROW_AND_WIDE = """
# Widths are symbols, as where a grammar has no attributes.
start Net
terminal stem, conv(d=8|16), fork, join
Net -> narrow: stem B8 B8 | wide: stem B16 B16
B8 -> two@branch: fork C8 C8 join
C8 -> pair: conv(d=8) conv(d=8)
B16 -> two@branch: fork C16 C16 join
C16 -> pair: conv(d=16) conv(d=16)
"""


def children(engine: Engine, tree: Tree, n: int) -> Iterator[Tree]:
    """Yield what the operator makes of a tree, checked, in canonical form."""
    parent = engine.canonical.of(tree)
    spots = engine.attributes.spots(parent)
    for seed in range(n):
        for path, node, removed, added in retune_all(engine, spots, np.random.default_rng(seed)):
            child = parent.replaced(path, node)
            assert engine.attributes.whole(child).fault == ""
            assert removed == added == differing(parent, child) > 0
            yield engine.canonical.of(child)


def differing(first: Tree, second: Tree) -> int:
    """Count the places where two trees of one form differ, by their text."""
    assert [path for path, _ in first.walk()] == [path for path, _ in second.walk()]
    pairs = zip(first.walk(), second.walk(), strict=True)
    return sum(one.label != two.label for (_, one), (_, two) in pairs)


def reached(grammar: Grammar | str, tree: str, n: int = 100) -> set[str]:
    """Return the text of what the operator makes of a tree."""
    grammar = read_grammar(grammar) if isinstance(grammar, str) else grammar
    return set(map(str, children(Engine(grammar, Budget()), read_tree(tree), n)))


def test_a_cell_changes_all_edges_of_a_kind_or_those_of_a_subtree() -> None:
    found = reached(
        CELLS, "net(cell(conv(k=3), conv(k=3), skip), cell(conv(k=3), skip, conv(k=1)))"
    )
    assert "net(cell(conv(k=5), conv(k=5), skip), cell(conv(k=5), skip, conv(k=1)))" in found
    assert "net(cell(conv(k=5), conv(k=5), skip), cell(conv(k=5), skip, conv(k=3)))" in found
    assert "net(cell(conv(k=1), conv(k=1), skip), cell(conv(k=3), skip, conv(k=1)))" in found


def test_a_parameter_may_move_for_all_terminals_that_have_it() -> None:
    found = reached(CELLS, "net(cell(conv(k=1), pool(k=2), skip), cell(skip, skip, skip))")
    assert "net(cell(conv(k=3), pool(k=3), skip), cell(skip, skip, skip))" in found
    assert "net(cell(conv(k=3), pool(k=2), skip), cell(skip, skip, skip))" in found


def test_operations_that_productions_fix_take_part() -> None:
    two = "two(fork, pair(conv(d={0}), conv(d={0})), pair(conv(d={0}), conv(d={0})), join)"
    narrow, wide = (f"(stem, {two.format(d)}, {two.format(d)})" for d in (8, 16))
    grammar = read_grammar(NARROW_AND_WIDE.replace("narrow:", "net:").replace("wide:", "net:"))
    assert reached(grammar, f"net{narrow}") == {f"net{wide}"}
    # A label of its own for each width is no matter of operations.
    assert reached(NARROW_AND_WIDE, f"narrow{narrow}") == set()


CONVOLUTION = "route(im2col(k=3,s=1,p=1), linear(d={}), col2im)"
BLOCK = "two(clone(b=2), seq(norm, " + CONVOLUTION + "), identity, add)"


def spelled(*widths: int) -> str:
    """Spell two stages alike: a convolution, and two sums that keep its width."""
    first, second = ([CONVOLUTION.format(d), *[BLOCK.format(d)] * 2] for d in widths)
    return f"seq({', '.join([*first, *second])})"


def test_a_stage_of_sums_changes_as_a_whole_and_alone(einspace: Grammar) -> None:
    found = {text.replace(" ", "") for text in reached(einspace, spelled(64, 64), 400)}
    # Both are equally wide, yet a stage changes without the other one.
    for widths in [(32, 64), (64, 32), (32, 32), (16, 16)]:
        assert canonical(einspace, spelled(*widths)) in found


def canonical(grammar: Grammar, text: str) -> str:
    """Spell a tree in its canonical form, without spaces."""
    return str(Engine(grammar, Budget()).canonical.of(read_tree(text))).replace(" ", "")


def test_a_single_option_leaves_the_turn_to_another_operator() -> None:
    grammar = read_grammar("start S\nterminal conv(k=3), pool\nS -> seq: S S [0.3] | conv | pool")
    space = GrammarSpace(grammar)
    rng = np.random.default_rng(0)
    candidate = space.candidate("seq(conv(k=3), pool, conv(k=3))")
    changes = [space.mutation(space.tree(candidate), rng) for _ in range(60)]
    assert {change.operator for change in changes} <= set(OPERATORS) - {"retune_all", "retune"}
    assert all(change.tree != space.tree(candidate) for change in changes)


def test_a_wanted_output_is_kept(einspace: Grammar) -> None:
    wanted = ((64, 32, 32), None)
    engine = Engine(einspace.on(einspace.input, output=wanted), Budget())
    tree = read_tree(f"seq({CONVOLUTION.format(64)}, {BLOCK.format(64)})")
    for child in children(engine, tree, 100):
        assert engine.attributes.whole(child).output == wanted


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_children_of_random_trees_are_valid_in_budget_and_new(
    seed: int, space: GrammarSpace
) -> None:
    rng = np.random.default_rng(seed)
    engine, parent = space.engine, space.tree(space.sample(rng))
    spots = engine.attributes.spots(parent)
    for path, node, removed, added in retune_all(engine, spots, rng):
        edited = parent.replaced(path, node)
        assert removed == added == differing(parent, edited) > 0
        child = engine.accepted((parent,), edited)
        if child is not None:
            assert child != parent
            assert engine.fault(child) == ""


@pytest.mark.parametrize("macs", [0, 10**6])
def test_a_change_that_is_too_expensive_is_not_made(macs: int, einspace: Grammar) -> None:
    tree = read_tree(f"seq({CONVOLUTION.format(64)}, relu)")
    cost = Engine(einspace, Budget()).attributes.whole(tree).cost
    space = GrammarSpace(einspace, Budget(macs=cost.macs + macs))
    for seed in range(60):
        change = space.mutation(tree, np.random.default_rng(seed))
        assert space.engine.fault(change.tree) == ""
