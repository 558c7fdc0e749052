"""Counts against the published study's numbers, closed forms and brute force."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest

import niwaki.spaces.grammar as grammars
from niwaki.core.errors import SpaceError
from niwaki.spaces.grammar import (
    Attributes,
    Counting,
    Grammar,
    GrammarSpace,
    count_all,
    load_grammar,
    read_grammar,
)

EXAMPLES = Path(grammars.__file__).parent / "examples"


def test_derivations_of_the_published_grammar_are_as_many_as_known(einspace: Grammar) -> None:
    counting = Counting(Attributes(einspace), distinct=False)
    assert [counting.count(n) for n in (2, 3, 4)] == [169, 5423, 182379]
    assert [len(counting.outputs(n)) for n in (2, 3, 4)] == [8, 251, 941]


@pytest.mark.slow
def test_larger_derivations_too(einspace: Grammar) -> None:
    counting = Counting(Attributes(einspace), distinct=False)
    assert counting.count(5) == 6904972
    assert round(counting.count(6) / 1e8, 3) == 2.795


def test_binary_sequences_are_catalan_many_derivations_and_one_tree() -> None:
    grammar = read_grammar("terminal a\nM -> seq: M M | a")
    derivations = Counting(Attributes(grammar), distinct=False)
    trees = Counting(Attributes(grammar))
    for n in range(1, 10):
        assert derivations.count(n) == math.comb(2 * n - 2, n - 1) // n
        assert trees.count(n) == 1


def test_cell_grammar_has_five_to_the_sixth_trees() -> None:
    counting = Counting(Attributes(load_grammar(EXAMPLES / "cell.grammar")))
    assert counting.count_up_to(20) == counting.count(6) == 15625


def test_chain_grammar_has_three_to_the_n_trees_of_n_operations() -> None:
    counting = Counting(Attributes(load_grammar(EXAMPLES / "chain.grammar")))
    assert [counting.count(n) for n in range(1, 40)] == [3**n for n in range(1, 40)]


def test_hierarchical_cells_are_as_many_as_published() -> None:
    attributes = Attributes(load_grammar(Path(__file__).parent / "hierarchical.grammar"))
    assert math.log10(count_all(attributes, distinct=False)) == pytest.approx(446.1, abs=0.05)
    assert math.log10(count_all(attributes)) == pytest.approx(375.8, abs=0.05)


def test_the_number_of_all_trees_is_the_sum_over_sizes() -> None:
    attributes = Attributes(load_grammar(EXAMPLES / "cell.grammar"))
    assert count_all(attributes) == Counting(attributes).count_up_to(6) == 15625


def test_enumeration_ranks_and_counts_agree(einspace: Grammar) -> None:
    counting = Counting(Attributes(einspace))
    attributes = Attributes(einspace)
    trees = list(counting.enumerate(2))
    assert len(set(trees)) == len(trees) == counting.count(2)
    assert not [tree for tree in trees if attributes.whole(tree).fault]


def test_enumeration_is_complete_against_brute_force() -> None:
    grammar = read_grammar("terminal a, b, c\nS -> pair: X X | X\nX -> a | b | triple: a b c")
    counting = Counting(Attributes(grammar))
    parts = ["a", "b", "triple(a, b, c)"]
    wanted = set(parts) | {f"pair({x}, {y})" for x, y in itertools.product(parts, repeat=2)}
    found = {str(tree) for n in range(1, 7) for tree in counting.enumerate(n)}
    assert found == wanted


def test_uniform_draws_are_uniform() -> None:
    grammar = read_grammar("terminal a, b\nM -> seq: M M [0.1] | a [0.89] | b [0.01]")
    counting, rng = Counting(Attributes(grammar)), np.random.default_rng(0)
    drawn = [str(counting.sample_up_to(rng, 3)) for _ in range(2800)]
    counts = np.array([drawn.count(each) for each in sorted(set(drawn))])
    assert len(counts) == 14
    assert ((counts - 200.0) ** 2 / 200.0).sum() < 34.5  # chi-square, 13 degrees, p = 0.001


def test_a_rank_beyond_the_last_is_refused() -> None:
    counting = Counting(Attributes(load_grammar(EXAMPLES / "cell.grammar")))
    with pytest.raises(SpaceError, match="15625 trees"):
        counting.unrank(15625, 6)


def test_sizes_that_nest_too_deeply_are_refused() -> None:
    counting = Counting(Attributes(read_grammar("M -> x: 'a' M | 'b'")))
    with pytest.raises(SpaceError, match="nest too deeply"):
        counting.count(2000)
    assert counting.count(20) == 1


def test_repetition_without_operations_is_endless_and_said_to_be() -> None:
    counting = Counting(Attributes(read_grammar("M -> again: M*2 | 'a'")))
    with pytest.raises(SpaceError, match="endlessly many"):
        counting.count(1)


def test_productions_of_weight_zero_count_and_are_drawn_uniformly() -> None:
    grammar = read_grammar("start S\nterminal a, b\nS -> a [0] | x: a a a | M [0]\nM -> b\n")
    space = GrammarSpace(grammar, sampling="uniform")
    assert [space.counting.count(n) for n in (1, 2, 3)] == [2, 0, 1]
    assert space.size == 3
    drawn = {str(space.tree(space.sample(np.random.default_rng(seed)))) for seed in range(40)}
    assert drawn == {"a", "b", "x(a, a, a)"}
