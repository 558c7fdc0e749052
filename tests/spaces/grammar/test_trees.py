"""Trees: text and JSON round trips, canonical forms, distances; properties of random trees."""

import json
import re
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from niwaki.core.errors import SpaceError
from niwaki.spaces.grammar import (
    Attributes,
    Budget,
    Canonical,
    Counting,
    Grammar,
    GrammarSpace,
    Tree,
    distance,
    read_grammar,
    read_tree,
    relative_distance,
    svg,
    tree_from_json,
    tree_from_value,
)
from niwaki.spaces.grammar.picking import by_weight
from niwaki.spaces.grammar.variation import Engine

seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def grow(space: GrammarSpace) -> Callable[[int], Tree]:
    return lambda seed: space.engine.grow(by_weight(np.random.default_rng(seed)))


@given(seed=seeds)
@settings(max_examples=200, deadline=None)
def test_text_json_and_value_give_the_tree_back(seed: int, grow: Callable[[int], Tree]) -> None:
    tree = grow(seed)
    assert read_tree(str(tree)) == tree
    assert tree_from_json(tree.to_json()) == tree
    assert tree_from_value(tree.to_value()) == tree


@given(seed=seeds)
@settings(max_examples=200, deadline=None)
def test_random_trees_are_valid_within_budget_and_canonical(
    seed: int, grow: Callable[[int], Tree], space: GrammarSpace
) -> None:
    tree = grow(seed)
    assert space.engine.fault(tree) == ""
    assert space.engine.canonical.of(tree) == tree


def test_canonical_form_keeps_what_a_tree_gives(space: GrammarSpace) -> None:
    engine = space.engine
    for seed in range(300):
        rng = np.random.default_rng(seed)
        raw = engine.derive(by_weight(rng)).tree
        form = engine.canonical.of(raw)
        before, after = engine.attributes.whole(raw), engine.attributes.whole(form)
        assert before.output == after.output
        assert before.cost.parameters == after.cost.parameters


SAME = [
    ("seq(relu, seq(norm, softmax))", "seq(seq(relu, norm), softmax)"),
    ("seq(relu, identity, norm)", "seq(relu, norm)"),
    ("seq(identity, relu)", "seq(relu, identity)"),
    ("seq(relu, route(identity, norm, identity))", "seq(relu, norm)"),
    ("two(clone(b=2), relu, norm, add)", "two(clone(b=2), norm, relu, add)"),
    (  # a permutation and its inverse
        "seq(route(identity, relu, permute(order=231)), route(permute(order=312), norm, identity))",
        "seq(relu, norm)",
    ),
    (
        "seq(route(permute(order=132), relu, permute(order=213)), "
        "route(permute(order=321), norm, identity))",
        "seq(route(permute(order=132), relu, identity), route(permute(order=312), norm, identity))",
    ),
    (  # with nothing in between
        "seq(route(identity, relu, permute(order=132)), identity, "
        "route(permute(order=132), norm, identity))",
        "seq(relu, norm)",
    ),
    ("seq(relu, route(permute(order=132), identity, permute(order=132)))", "seq(relu, identity)"),
    (  # in a route in a route
        "seq(route(permute(order=213), route(permute(order=213), relu, identity), identity), norm)",
        "seq(relu, norm)",
    ),
    (
        "seq(relu, route(permute(order=231), seq(route(permute(order=231), norm, identity), relu), "
        "identity))",
        "seq(relu, seq(route(permute(order=312), norm, identity), relu))",
    ),
    (
        "route(permute(order=231), route(identity, relu, permute(order=213)), permute(order=213))",
        "route(permute(order=231), relu, identity)",
    ),
]
DIFFERENT = [
    ("seq(relu, norm)", "seq(norm, relu)"),
    ("two(group(dim=2,b=2), relu, norm, add)", "two(group(dim=2,b=2), norm, relu, add)"),
    (
        "seq(route(identity, relu, permute(order=231)), route(permute(order=231), norm, identity))",
        "seq(relu, norm)",
    ),
    ("two(clone(b=2), relu, norm, concat(dim=1))", "two(clone(b=2), norm, relu, concat(dim=1))"),
]


def flat(tree: Tree) -> Tree:
    """Flatten by hand, for spellings that nest sequences."""
    children: list[Tree] = []
    for child in map(flat, tree.children):
        children.extend(child.children if child.label == tree.label == "seq" else (child,))
    return Tree(tree.label, tuple(children))


@pytest.mark.parametrize(("first", "second"), SAME)
def test_spellings_of_one_network_have_one_form(first: str, second: str, einspace: Grammar) -> None:
    canonical = Canonical(Attributes(einspace))
    assert canonical.of(flat(read_tree(first))) == canonical.of(flat(read_tree(second)))


@pytest.mark.parametrize(("first", "second"), DIFFERENT)
def test_different_networks_have_different_forms(
    first: str, second: str, einspace: Grammar
) -> None:
    canonical = Canonical(Attributes(einspace))
    assert canonical.of(read_tree(first)) != canonical.of(read_tree(second))


@given(seeds=st.tuples(seeds, seeds, seeds))
@settings(max_examples=200, deadline=None)
def test_distances_are_metrics(seeds: tuple[int, int, int], grow: Callable[[int], Tree]) -> None:
    a, b, c = (grow(seed) for seed in seeds)
    for apart in (distance, relative_distance):
        assert apart(a, b) == apart(b, a)
        assert (apart(a, b) == 0.0) == (a == b)
        assert apart(a, c) <= apart(a, b) + apart(b, c) + 1e-12
    assert 0.0 <= relative_distance(a, b) < 1.0


def test_distance_counts_edits() -> None:
    tree = read_tree("seq(relu, linear(d=16), norm)")
    assert distance(tree, read_tree("seq(relu, linear(d=32), norm)")) == 0.5
    assert distance(tree, read_tree("seq(relu, softmax, norm)")) == 1.0
    assert distance(tree, read_tree("seq(relu, norm)")) == 1.0
    assert distance(tree, read_tree("seq(relu, two(a, b), linear(d=16), norm)")) == 3.0


def test_equal_subtrees_are_one_object_in_memory() -> None:
    tree = tree_from_value(("pair", ("seq", "a", "b"), ("seq", "a", "b")))
    assert tree.children[0] is tree.children[1]
    assert (tree.n_nodes, tree.distinct()) == (7, 4)


@pytest.mark.parametrize("text", ["", "seq(", "seq(a,)", "seq(a))", "a b", "seq()", "a(d=1|2)"])
def test_broken_text_is_refused(text: str) -> None:
    with pytest.raises(SpaceError, match="a tree such as"):
        read_tree(text)


def test_a_tree_in_json_is_shown_as_text() -> None:
    for tree in (read_tree("seq(relu, linear(d=64))"), read_tree("a(b, c(d, 'e f'(k=1)))")):
        with pytest.raises(SpaceError, match=re.escape(f"the same tree is written {tree}")):
            read_tree(tree.to_json())


@pytest.mark.parametrize("value", [3, (), ("a",), ("a", 1), None, (("a", "b"), "c")])
def test_broken_values_are_refused(value: object) -> None:
    with pytest.raises(SpaceError, match="a tree is"):
        tree_from_value(value)


@pytest.mark.parametrize("n_levels", [101, 700])
def test_trees_deeper_than_any_budget_are_refused(n_levels: int) -> None:
    with pytest.raises(SpaceError, match="nests deeper than 100 levels"):
        tree_from_value(json.loads('["seq", "a", ' * n_levels + '"b"' + "]" * n_levels))
    with pytest.raises(SpaceError, match="nests deeper than 100 levels"):
        read_tree("seq(a, " * n_levels + "b" + ")" * n_levels)


def test_picture_shows_every_node_and_escapes() -> None:
    import xml.etree.ElementTree as ElementTree

    root = ElementTree.fromstring(svg(Tree("seq", (Tree("a<b>&c"), Tree("d")))))
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["seq", "a<b>&c", "d"]


def _as_bag(node: Tree) -> tuple[object, ...]:
    """Return what a tree is if the order of branches says nothing."""
    below = [_as_bag(child) for child in node.children]
    if node.label in ("pair", "three"):
        below[1:-1] = sorted(below[1:-1], key=repr)
    return (node.label, *below)


def test_branches_of_unlike_symbols_have_one_order() -> None:
    grammar = read_grammar(
        "terminal split [symmetric], join [commutative], a, b, c, d\n"
        "N -> pair@branch: split X Y join | three@branch: split X Y Z join | seq: N N [0.2] | a\n"
        "X -> a | b | N\nY -> b | c | N | a [0.3]\nZ -> d | a"
    )
    attributes = Attributes(grammar)
    canonical = Canonical(attributes)
    forms: dict[object, set[Tree]] = {}
    for size in range(1, 7):
        for tree in Counting(attributes).enumerate(size):
            form = canonical.of(tree)
            assert canonical.of(form) == form
            assert not attributes.whole(form).fault
            forms.setdefault(_as_bag(tree), set()).add(form)
    assert len(forms) == 85
    assert all(len(alike) == 1 for alike in forms.values())


def test_what_is_left_alone_has_the_form_that_its_new_symbol_gives_it() -> None:
    """`Net` can do without the identity that `Body` keeps behind a single module."""
    grammar = read_grammar(
        "start Net\nterminal conv, relu, norm, identity [identity]\n"
        "Net -> conv | Body\n"
        "Body -> seq: Body Body | block: Net Act | identity\n"
        "Act -> relu | norm | identity"
    )
    engine = Engine(grammar, Budget(operations=12))
    trees = (engine.derive(by_weight(np.random.default_rng(seed))).tree for seed in range(300))
    forms = [engine.canonical.of(tree) for tree in trees]
    assert all(engine.canonical.of(form) == form for form in forms)
    assert sum("block" in str(form) for form in forms) > 50


def test_a_node_with_a_module_of_its_own_is_left_as_it_is() -> None:
    grammar = read_grammar(
        "start S\nterminal identity [identity], clone [symmetric], add [commutative], a, b\n"
        "flow residual = niwaki.spaces.grammar.flows:Chain builds own.layers:Sum\n"
        "flow weighed = niwaki.spaces.grammar.flows:Branch builds own.layers:Weighed\n"
        "S -> res@residual: S S | pair@weighed: clone S S add | a | b | identity"
    )
    canonical = Canonical(Attributes(grammar))
    for text in (
        "res(identity, a)",
        "res(a, res(b, identity))",
        "res(res(a, b), identity)",
        "pair(clone, b, a, add)",
    ):
        assert str(canonical.of(read_tree(text))) == text


def test_permutations_do_not_meet_through_a_module_of_its_own() -> None:
    grammar = read_grammar(
        "start S\nterminal identity [identity], permute(o=132|213) [permutation]\n"
        "flow residual = niwaki.spaces.grammar.flows:Chain builds own.layers:Sum\n"
        "S -> seq: S S | res@residual: S S | permute | identity"
    )
    canonical = Canonical(Attributes(grammar))
    apart = "seq(res(permute(o=132), permute(o=213)), permute(o=213))"
    assert str(canonical.of(read_tree(apart))) == apart
    assert str(canonical.of(read_tree("seq(permute(o=132), permute(o=132))"))) == "identity"
