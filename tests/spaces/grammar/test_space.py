"""The laws of a space, operators, budgets, encodings."""

import itertools
import math
import pickle
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from niwaki.core.candidate import Candidate, Value
from niwaki.core.errors import SpaceError
from niwaki.spaces import Choice, ChoiceSpace
from niwaki.spaces.grammar import Budget, Effect, Grammar, GrammarSpace, load_grammar, read_grammar
from niwaki.spaces.grammar.spelling import read_tree
from niwaki.spaces.grammar.tree import Tree
from niwaki.spaces.joint import JointSpace
from niwaki.spaces.walks import every_candidate, walked
from tests.spaces.grammar.descendants import check_descendants

HERE = Path(__file__).parent
CELL = Path(__file__).parents[3] / "niwaki/spaces/grammar/examples/cell.grammar"
INPUTS = [(3, 32, 32), (1, 28, 28), (3, 64, 64), (12, 18, 18), (64, 48)]


@pytest.mark.parametrize("shape", INPUTS)
def test_samples_and_children_are_valid_and_new(shape: tuple[int, ...], einspace: Grammar) -> None:
    budget = Budget(operations=30, depth=10, parameters=10**7, macs=10**9, elements=10**6)
    grammar = einspace.on((shape, None))
    check_descendants(GrammarSpace(grammar, budget, expected_operations=12.0))


def test_a_tight_budget_leaves_every_tree_its_probability() -> None:
    text = "start N\nN -> chain: N N [0.45] | 'a' [0.3] | 'b' [0.25]"
    space = GrammarSpace(read_grammar(text), Budget(operations=3))
    a = 0.3 / 0.55  # where there is room for one more operation only
    chance = {"a": a, "b": 1.0 - a}
    expected = {"a": 0.3, "b": 0.25}
    for x, y in itertools.product("ab", "ab"):
        expected[f"chain({x}, {y})"] = 0.45 * expected[x] * expected[y]
    for x, y, z in itertools.product("ab", repeat=3):
        either = (
            0.45 * chance[x] * chance[y] * chance[z],
            expected[x] * 0.45 * chance[y] * chance[z],
        )
        expected[f"chain({x}, {y}, {z})"] = 0.45 * sum(either)
    rng = np.random.default_rng(0)
    drawn = Counter(str(space.tree(space.sample(rng))) for _ in range(4000))
    assert drawn.keys() == expected.keys()
    excess = sum((drawn[tree] - 4000 * p) ** 2 / (4000 * p) for tree, p in expected.items())
    assert excess < 34.5  # chi-square of 13 degrees of freedom: one in a thousand is above


@pytest.mark.parametrize("n_operations", [2, 3, 4])
def test_the_walk_reaches_every_tree(n_operations: int) -> None:
    text = "start N\nterminal i [identity]\nN -> chain: N N [0.3] | 'a' | 'b' | i"
    space = GrammarSpace(read_grammar(text), Budget(operations=n_operations))
    assert len(set(walked(space))) == space.size


def test_a_sequence_is_listed_once_and_not_in_all_ways_to_nest_it() -> None:
    text = "start S\nterminal a, b\nS -> seq: S S [0.3] | a | b"
    space = GrammarSpace(read_grammar(text), Budget(operations=11))  # 23,000,000 derivations
    everyone = list(every_candidate(space))
    assert len(everyone) == len(set(everyone)) == space.size == 2**12 - 2


def test_a_joint_space_lists_sequences_once_as_well() -> None:
    text = "start S\nterminal a, b\nS -> seq: S S [0.3] | a | b"
    trees = GrammarSpace(read_grammar(text), Budget(operations=9))  # 900,000 derivations
    space = JointSpace({"net": trees, "rest": ChoiceSpace((Choice("lr", (0.1, 0.01)),))})
    everyone = list(every_candidate(space))
    assert not any(space.check(candidate) for candidate in everyone[::100])
    assert len(everyone) == len(set(everyone)) == space.size == 2 * (2**10 - 2)


def test_what_is_never_drawn_is_not_listed() -> None:
    space = GrammarSpace(read_grammar("start S\nterminal a, b\nS -> x: a S | a | b [0]"))
    shown = {str(space.tree(candidate)) for candidate in islice(every_candidate(space), 3)}
    assert shown == {"a", "x(a, a)", "x(a, x(a, a))"}


COMMON = """start S
terminal conv(k=1|3|5), join, fork
S -> seq: S S [0.3] | conv(k=1) | conv(k=3) | 'a' | 'b' | W | two: fork S join
 | three: fork V V join
W -> 'e'
V -> 'v' | 'w' """
RARE = f"""{COMMON}
S -> conv(k=5) [0] | 'c' [0] | 'v' [0] | two: fork 'c' join [0]
W -> 'd' [0]"""


def labels(tree: Tree) -> set[str]:
    return {node.label for _, node in tree.walk()}


def test_what_is_never_drawn_is_not_bred() -> None:
    space, common = (GrammarSpace(read_grammar(text), Budget(8)) for text in (RARE, COMMON))
    rng = np.random.default_rng(0)
    candidate, met = space.sample(rng), set[str]()
    for _ in range(400):
        candidate = space.crossover(space.mutate(candidate, rng), space.sample(rng), rng)
        assert common.check(candidate) == ""
        met |= labels(space.tree(candidate))
    assert met >= {"conv(k=1)", "conv(k=3)", "a", "b", "e", "v", "w", "fork"}


def test_what_is_never_drawn_may_come_from_elsewhere_and_is_bred_from() -> None:
    space = GrammarSpace(read_grammar(RARE), Budget(8))
    rng, rare = np.random.default_rng(0), space.candidate("seq(conv(k=5), c, d)")
    children = [space.mutate(rare, rng) for _ in range(200)]
    assert not any(map(space.check, children))
    n_rare = [len({"conv(k=5)", "c", "d"} & labels(space.tree(each))) for each in children]
    assert min(n_rare) < 3


def test_what_uniform_sampling_draws_is_bred_listed_and_counted() -> None:
    grammar = read_grammar("start S\nS -> 'a' | 'b' | 'c' [0]")
    rng = np.random.default_rng(0)
    weighted, uniform = GrammarSpace(grammar), GrammarSpace(grammar, sampling="uniform")
    for space, shown in ((weighted, {"a", "b"}), (uniform, {"a", "b", "c"})):
        bred = {str(space.tree(space.mutate(space.sample(rng), rng))) for _ in range(200)}
        assert bred == {str(space.tree(each)) for each in every_candidate(space)} == shown
        assert space.size == len(shown)


def test_crossover_is_valid_and_neither_parent(space: GrammarSpace) -> None:
    rng = np.random.default_rng(3)
    for _ in range(100):
        first, second = space.sample(rng), space.sample(rng)
        child = space.crossover(first, second, rng)
        assert space.check(child) == ""
        if first == second:
            continue
        assert child not in (first, second)


def test_crossover_of_what_has_nothing_to_exchange_is_neither_parent() -> None:
    space = GrammarSpace(read_grammar("start S\nS -> 'a' | 'b' | 'c'"))
    first, second = space.candidate("a"), space.candidate("b")
    children = {space.crossover(first, second, np.random.default_rng(i)) for i in range(20)}
    assert children == {space.candidate("c")}


def test_changes_say_what_was_done_and_how_local(space: GrammarSpace) -> None:
    rng = np.random.default_rng(5)
    tree = space.tree(space.sample(rng))
    seen = set()
    for _ in range(200):
        change = space.mutation(tree, rng)
        assert 0.0 <= change.locality < 1.0
        seen.add(change.operator)
        tree = change.tree
    assert seen == {"resample", "insert", "delete", "swap", "retune", "retune_all"}


def test_a_wanted_output_is_met_by_construction(einspace: Grammar) -> None:
    wanted = ((64, 16, 16), None)
    grammar = einspace.on(((64, 16, 16), None), output=wanted)
    space = GrammarSpace(grammar, Budget(operations=30), expected_operations=12.0)
    rng = np.random.default_rng(7)
    found = [space.sample(rng) for _ in range(100)]
    assert {space.evaluation(candidate).output for candidate in found} == {wanted}
    assert len(set(found)) > 50


def test_tight_budgets_are_met(einspace: Grammar) -> None:
    budget = Budget(operations=12, depth=4, parameters=500, macs=10**6, network_operations=20)
    space = GrammarSpace(einspace, budget, expected_operations=10.0)
    rng = np.random.default_rng(0)
    costs = [space.evaluation(space.sample(rng)).cost for _ in range(200)]
    assert not [cost for cost in costs if budget.excess(cost)]
    assert max(cost.parameters for cost in costs) > 250


def test_a_budget_that_nothing_meets_is_refused(einspace: Grammar) -> None:
    with pytest.raises(SpaceError, match="no tree is known"):
        GrammarSpace(einspace, Budget(operations=1))


def test_a_budget_that_only_higher_trees_meet_is_met() -> None:
    rules = {"dear": lambda given: Effect(given, 100), "cheap": lambda given: Effect(given, 5)}
    grammar = read_grammar("input 3\nS -> 'dear' | Low\nLow -> low: 'cheap' 'cheap'", rules)
    space = GrammarSpace(grammar, Budget(parameters=20))
    assert space.sample(np.random.default_rng(0)) == space.candidate("low(cheap, cheap)")


def layer(given: int, d: int) -> Effect:
    return Effect(d, given * d, given * d)


@pytest.mark.parametrize("limit", [{"parameters": 96}, {"macs": 96}])
def test_tight_budgets_are_met_however_options_are_ordered(limit: dict[str, int]) -> None:
    text = "input 8\nterminal layer(d=64|32|16|8|4|2|1)\nS -> net: " + "L " * 40 + "\nL -> layer"
    space = GrammarSpace(read_grammar(text, {"layer": layer}), Budget(**limit))
    costs = [space.evaluation(space.sample(np.random.default_rng(n))).cost for n in range(20)]
    assert max(cost.parameters for cost in costs) <= 96


def test_stages_that_may_double_are_no_blow_up() -> None:
    stages = "\n".join(f"A{i} -> x{i}: A{i + 1} A{i + 1} | A{i + 1}" for i in range(20))
    space = GrammarSpace(read_grammar(f"{stages}\nA20 -> 'a' | 'b'"), Budget(operations=8))
    drawn = [space.tree(space.sample(np.random.default_rng(n))).n_leaves for n in range(20)]
    assert max(drawn) == 8


def test_uniform_draws_keep_all_of_the_budget() -> None:
    grammar = read_grammar("S -> deep: S 'a' | 'a' | 'b' | twice: 'a' T*100\nT -> t: 'b' 'b'")
    budget = Budget(operations=12, depth=4, network_operations=150)
    space = GrammarSpace(grammar, budget, sampling="uniform")
    drawn = [space.sample(np.random.default_rng(n)) for n in range(200)]
    assert len(set(drawn)) == 10 and not any(map(space.check, drawn))


def test_uniform_draws_take_networks_alike_that_several_trees_are() -> None:
    grammar = read_grammar(
        "start S\nterminal a, b\nterminal identity [identity]\nS -> seq: S S | a | b | identity"
    )
    space, rng = GrammarSpace(grammar, Budget(2), sampling="uniform"), np.random.default_rng(0)
    n = Counter(space.sample(rng).key for _ in range(7000))
    assert len(n) == space.size == 7
    assert all(abs(each - 1000) < 5 * math.sqrt(1000) for each in n.values())


def test_any_answers_give_a_valid_candidate_and_paths_keep_their_options(
    space: GrammarSpace,
) -> None:
    rng = np.random.default_rng(11)
    options_of: dict[str, list[Value]] = {}

    def choose(path: str, options: Sequence[Value]) -> Value:
        assert options_of.setdefault(path, list(options)) == list(options)
        return options[int(rng.integers(len(options)))]

    for _ in range(40):
        assert space.contains(space.decide(choose))


def test_candidates_survive_json_and_bad_ones_are_explained(space: GrammarSpace) -> None:
    candidate = space.sample(np.random.default_rng(2))
    assert Candidate.from_json(candidate.to_json()) == candidate
    assert "cannot derive 'rleu'" in space.check(Candidate.of({"tree": "rleu"}))
    assert "'tree' is missing" in space.check(Candidate.of({"tre": "relu"}))
    assert 'write ["seq", "relu", "norm"]' in space.check(
        Candidate.of({"tree": ("seq", "relu", "identity", "norm")})
    )
    wrong = Candidate.of({"tree": ("seq", "relu", "permute(order=21)")})
    assert "tree[2]: 'M' cannot derive 'permute(order=21)'" in space.check(wrong)


IN_TWO = [  # one node of a branch within sequences, and what is said of it
    ("relUU", "tree[1][2]: 'M' cannot derive 'relUU'; did you mean 'relu'?"),
    ("two(clone(b=4), relu, norm, add)", "tree[1][2][1]: 'clone(b=4)' stands in 'two', where"),
    ("two(clone(b=2), add)", "tree[1][2]: no 'two' of 'M' has 2 children"),
    ("seq(relu)", "tree[1][2]: no 'seq' of 'M' has 1 children"),
    ("seq(relu, seq(relu, norm))", "tree[1][2][2]: 'seq(relu, norm)' stands in 'seq', where"),
    ("route(col2im, relu, identity)", "tree[1][2][1]: 'P' cannot derive 'col2im'"),
    ("route(im2col(k=4,s=4,p=0), relu, identity)", "tree[1][4]: 'add' cannot be applied to"),
]


@pytest.mark.parametrize(("node", "words"), IN_TWO)
def test_a_fault_of_a_tree_is_shown_where_it_is(space: GrammarSpace, node: str, words: str) -> None:
    others = ", ".join(["relu, norm"] * 40)
    tree = read_tree(f"seq(two(clone(b=2), {node}, norm, add), {others})")
    fault = space.check(Candidate.of({"tree": tree.to_value()}))
    assert words in fault
    assert len(fault) < 300


def test_two_spellings_are_one_candidate(space: GrammarSpace) -> None:
    first = space.candidate("two(clone(b=2), relu, seq(norm, identity, relu), add)")
    assert first == space.candidate("two(clone(b=2), seq(norm, relu), relu, add)")


def test_sizes_are_exact() -> None:
    assert GrammarSpace(load_grammar(str(CELL))).size == 15625
    chain = load_grammar(CELL.parent / "chain.grammar")
    assert GrammarSpace(chain, Budget(operations=30)).size == sum(3**n for n in range(1, 31))
    merged = read_grammar("terminal split [symmetric], join [commutative], a, b\n"
                          "S -> x@branch: split X X join\nX -> a | b")  # fmt: skip
    assert GrammarSpace(merged).size == 3


def wide(given: int, d: int) -> Effect:
    """Take any width, and give another."""
    return Effect(d, parameters=given * d)


def test_the_size_of_a_grammar_of_many_attributes_is_given_up_soon() -> None:
    widths = "|".join(map(str, range(1, 300)))
    text = f"start S\ninput 3\nterminal wide(d={widths})\nS -> seq: S S [100] | wide"
    space = GrammarSpace(read_grammar(text, {"wide": wide}), Budget(operations=40))
    assert space.size == float("inf")


def test_uniform_sampling_finds_all(einspace: Grammar) -> None:
    space = GrammarSpace(einspace, Budget(operations=2), sampling="uniform")
    rng = np.random.default_rng(0)
    found = {space.sample(rng) for _ in range(1500)}
    assert len(found) == space.size


def test_the_same_seed_gives_the_same_candidates_in_another_process(space: GrammarSpace) -> None:
    script = (
        "import numpy as np\nfrom pathlib import Path\n"
        "from niwaki.spaces.grammar import *\n"
        f"g = load_grammar(Path({str(HERE / 'einspace_like.grammar')!r}))\n"
        "b = Budget(operations=40, depth=12, parameters=20_000_000, elements=3_000_000)\n"
        "s = GrammarSpace(g, b, expected_operations=15.0)\n"
        "r = np.random.default_rng(9)\n"
        "a = s.sample(r); b = s.mutate(a, r); c = s.crossover(a, b, r)\n"
        "import sys; sys.stdout.write(a.key + b.key + c.key)\n"
    )
    root = HERE.parents[2]
    run = [sys.executable, "-c", script]
    result = subprocess.run(
        run, capture_output=True, text=True, check=True, cwd=root, env={"PYTHONHASHSEED": "77"}
    )
    rng = np.random.default_rng(9)
    a = space.sample(rng)
    b = space.mutate(a, rng)
    assert result.stdout == a.key + b.key + space.crossover(a, b, rng).key


def test_pickling_keeps_the_space(space: GrammarSpace) -> None:
    copy = pickle.loads(pickle.dumps(space))
    assert copy.sample(np.random.default_rng(4)) == space.sample(np.random.default_rng(4))


def test_encoding_counts_operations_of_all_copies(space: GrammarSpace) -> None:
    candidate = space.candidate("four(clone(b=4), relu, add)")
    row = dict(zip(space.columns, space.encode([candidate])[0], strict=True))
    assert (row["relu"], row["four"], row["norm"]) == (4.0, 1.0, 0.0)
    assert space.encode([]).shape == (0, len(space.columns))


def test_encodings_tell_candidates_apart(space: GrammarSpace) -> None:
    rng = np.random.default_rng(8)
    found = list({space.sample(rng) for _ in range(100)})
    assert len(np.unique(space.encode(found), axis=0)) == len(found)


def test_text_and_yaml_read_alike(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        'start: S\nterminals: ["conv(k=1|3)", "relu"]\n'
        "productions:\n  S: ['seq: M M [0.5]', M]\n  M: ['seq: M M [0.2] | conv', relu]\n"
    )
    text = "start S\nterminal conv(k=1|3)\nterminal relu\n"
    text += "S -> seq: M M [0.5] | M\nM -> seq: M M [0.2] | conv | relu"
    one, two = load_grammar(tmp_path / "a.yaml"), read_grammar(text)
    assert [(w.symbol, w.spelled, w.weight) for w in one.productions] == [
        (w.symbol, w.spelled, w.weight) for w in two.productions
    ]


@pytest.mark.parametrize(
    ("productions", "n", "depth", "n_walked"),
    [
        ("S -> x: S S [0.2] | seq: S S [0.2] | a | b", 5, 3, 2778),
        ("S -> x: M M | a\nM -> x: M M [0.2] | f: S c [0.2] | b", 9, 4, 1202),
    ],
)
def test_sequences_that_nest_in_others_may_be_cut_by_depth(
    productions: str, n: int, depth: int, n_walked: int
) -> None:
    grammar = read_grammar(f"start S\nterminal a, b, c\n{productions}")
    assert GrammarSpace(grammar, Budget(operations=n, depth=depth)).size in (n_walked, math.inf)
    deep = Budget(operations=n, depth=n)
    assert n_walked < GrammarSpace(grammar, deep).size < math.inf
