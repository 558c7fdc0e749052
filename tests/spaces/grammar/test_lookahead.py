"""Lookahead: what single operations can give, and where they stop being all there is."""

import numpy as np
import pytest

from niwaki.spaces.grammar import Attributes, Budget, GrammarSpace, read_grammar
from niwaki.spaces.grammar.attributes import AttributeRuleError
from niwaki.spaces.grammar.grammar import Effect
from niwaki.spaces.grammar.lookahead import Lookahead
from niwaki.spaces.grammar.rates import lowest_heights
from niwaki.spaces.walks import walked

TEXT = f"""
start M
input 3
functions {__name__}
terminal one, two, odd, split, join
M -> seq: M M | C | two@branch: split M M Join
C -> one | two | odd | one
Join -> join
"""


def one(given: int) -> Effect:
    return Effect(given, parameters=1)


def two(given: int) -> Effect:
    return Effect(2 * given, parameters=2)


def odd(given: int) -> Effect | str:
    return Effect(given, parameters=3) if given % 2 else "only odd numbers"


def split(given: int) -> Effect:
    return Effect((given, given))


def join(given: tuple[int, int]) -> Effect | str:
    if given == (6, 6):
        raise ValueError("six")
    return Effect(given[0]) if given[0] == given[1] else "unequal"


def _attributes() -> Attributes:
    return Attributes(read_grammar(TEXT))


@pytest.mark.parametrize("symbol", ["M", "C"])
def test_outcomes_of_single_operations_leave_out_what_costs_more_for_the_same(symbol: str) -> None:
    found = list(Lookahead(_attributes()).outcomes(symbol, 3))
    assert [(output, cost.parameters) for output, cost, _ in found] == [(3, 1), (6, 2)]


def test_a_renamed_symbol_has_the_leaves_of_the_other_at_a_height_of_its_own() -> None:
    attributes = _attributes()
    leaves = Lookahead(attributes).leaves
    assert {symbol: each.height for symbol, each in leaves.items()} == {"C": 1, "M": 2, "Join": 1}
    assert {symbol: each.symbol for symbol, each in leaves.items()}["M"] == "C"
    assert leaves["M"].through is attributes.grammar.by_symbol["M"][1]
    assert lowest_heights(attributes.grammar)["M"] == leaves["M"].height


def test_height_limits_leave_single_operations_out() -> None:
    lookahead = Lookahead(_attributes())
    assert list(lookahead.outcomes("M", 3, 1)) == []
    assert len(list(lookahead.outcomes("M", 3, 2))) == 2
    assert list(lookahead.outcomes("C", 3, 0)) == []


def test_branches_that_do_not_meet_have_no_outcome() -> None:
    lookahead = Lookahead(_attributes())
    assert list(lookahead.outcomes("Join", (3, 6))) == []
    assert [output for output, _, _ in lookahead.outcomes("Join", (3, 3))] == [3]


def test_a_rule_that_fails_where_branches_meet_is_named() -> None:
    with pytest.raises(AttributeRuleError, match=r"rule of 'join' fails for \(6, 6\).*six"):
        list(Lookahead(_attributes()).outcomes("Join", (6, 6)))


def lower(given: tuple[int, int], bits: int) -> Effect | str:
    return Effect((bits, given[1])) if bits <= given[0] else "bits are not won back"


def shrink(given: tuple[int, int]) -> Effect | str:
    return Effect((given[0], given[1] - 1)) if given[1] else "nothing is left to shrink"


@pytest.mark.parametrize("slack", [0, 2, 3, 5])
def test_what_takes_several_steps_is_found_and_slack_takes_no_choice_away(slack: int) -> None:
    text = f"input (32, 2)\noutput (8, 0)\nfunctions {__name__}\n"
    text += "terminal lower(bits=4|8|16|32), shrink\nterminal act = niwaki.spaces.grammar:Effect\n"
    grammar = read_grammar(f"start P\n{text}P -> p: P P | lower | shrink | act")
    space = GrammarSpace(grammar, Budget(operations=20), expected_operations=8.0, slack=slack)
    found = [space.sample(np.random.default_rng(seed)) for seed in range(60)]
    assert {space.evaluation(each).output for each in found} == {(8, 0)}
    assert len(set(found)) > 30


def halve(given: tuple[int, int]) -> Effect | str:
    return Effect((given[0], given[1] // 2)) if given[1] > 4 else "small"


def double(given: tuple[int, int]) -> Effect | str:
    return Effect((given[0], given[1] * 2)) if given[1] < 128 else "large"


def conv(given: tuple[int, int], c: int) -> Effect:
    return Effect((c, given[1]), parameters=given[0] * c, elements=c * given[1])


def test_what_takes_too_long_does_not_depend_on_what_was_derived_before() -> None:
    text = f"start P\ninput (3, 128)\noutput (8, 4)\nfunctions {__name__}\n"
    text += "terminal halve, double, conv(c=8|16)\nP -> seq: P P [0.5] | conv | halve | double"
    grammar = read_grammar(text)
    space, other = (GrammarSpace(grammar, Budget(operations=12)) for _ in range(2))
    drawn = [space.sample(np.random.default_rng(seed)) for seed in range(40)]
    again = [other.sample(np.random.default_rng(seed)) for seed in reversed(range(40))]
    assert drawn == again[::-1]


@pytest.mark.parametrize(
    ("text", "budget", "n_trees"),
    [
        ("S -> x: M | b\nM -> y: a a a | z: N\nN -> w: a b", Budget(operations=2), 2),
        ("S -> x: M M\nM -> y: a a a | z: N N\nN -> w: a b | b", Budget(operations=6), 18),
        ("S -> x: M | b\nM -> y: a*3 | z: N\nN -> w: a b", Budget(network_operations=2), 2),
    ],
)
def test_all_trees_of_a_tight_budget_are_walked(text: str, budget: Budget, n_trees: int) -> None:
    """The lowest derivations of some symbols are not their smallest ones."""
    space = GrammarSpace(
        read_grammar(f"start S\nterminal a, b\n{text}\n"), budget, sampling="sizes"
    )
    assert space.size == len(set(walked(space))) == n_trees
