"""Every mistake is found, on its line; hostile grammars are refused."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from niwaki.core.candidate import Candidate
from niwaki.core.errors import SpaceError
from niwaki.spaces.grammar import (
    Budget,
    Effect,
    Finding,
    GrammarSpace,
    Level,
    check_file,
    check_grammar,
    check_report,
    load_grammar,
    read_grammar,
)

MISTAKES = [
    ("terminal relu\nS -> relu\nS -> rleu", 3, "unknown-symbol", "did you mean 'relu'"),
    ("terminal a\nS -> a\nX -> a", 3, "unreachable", "'X' cannot be reached"),
    ("terminal a\nS -> a | x: S X\nX -> y: X a", 3, "unproductive", "no derivation of 'X' ends"),
    ("terminal a\nS -> A\nA -> B | a\nB -> A", 3, "renaming-cycle", "renamed to itself"),
    ("terminal a\nS -> A\nA -> a\nA -> B\nB -> A", 4, "renaming-cycle", "(A -> B -> A)"),
    ("terminal a\nS -> a [0]", 2, "zero-weight", "all productions of 'S'"),
    ("terminal a\nS -> a | 'b' [0]", 2, "zero-weight", "only uniform sampling"),
    ("terminal a\nS -> a\n | a", 3, "duplicate", "also on line 2"),
    ("terminal a\nS -> a | go: S a [0.2]", 2, "left-recursion", "start with itself"),
    ("terminal a\nS -> A | B\nA -> a\nB -> a", 2, "ambiguous", "'a' has more than one"),
    ("terminal a\nM -> seq: M M [3] | a", 2, "super-critical", "1.5000"),
    ("terminal a\nM -> x: a M*4 [0.4] | a", 2, "blow-up", "1.1429"),
    ("input (3, 4)\nterminal a\nS -> a", 2, "missing-rule", "'a' has no attribute rule"),
    ("terminal a\nS -> a b", 2, "unknown-symbol", "'b'"),
    ("terminal a\nS -> (", 2, "syntax", "a symbol was wanted"),
    ("terminl a\nS -> 'a'", 1, "syntax", "did you mean 'terminal'"),
    ("terminal a = nowhere.at:all\nS -> a", 1, "missing-function", "nowhere"),
    ("terminal a [identiy]\nS -> a", 1, "syntax", "did you mean 'identity'"),
    ("terminal a\nS -> a | ", 2, "syntax", "empty"),
    ("terminal a\nS -> x@brnch: a a a", 2, "syntax", "did you mean 'branch'"),
    ("terminal a\nS -> x@cell: a a", 2, "flow", "a cell of 2 edges"),
    ("terminal a\nS -> x@branch: a a", 2, "flow", "needs a split"),
    ("terminal a\nS -> a: a a", 2, "label", "also an operation"),
    ("terminal a\nS -> a [-1]", 2, "weight", "at least 0"),
    ("start T\nterminal a\nS -> a", 1, "unknown-symbol", "'T' has no productions."),
    ("terminal a\nstart a\nS -> a", 2, "unknown-symbol", "'a' has no productions."),
    ("start S\nstart S\nS -> 'a'", 2, "syntax", "said twice"),
    ("S -> 'a' | ''", 1, "syntax", "names no operation"),
    ("S -> 'a\u202e'", 1, "syntax", "cannot be seen"),
    ("S -> 'a' [nan]", 1, "syntax", "a weight is a number"),
    ("S -> 'a'*1000000000", 1, "blow-up", "copies counted"),
    ("S -> x: 'a' M*1000000 \nM -> y: 'b' 'c'", 1, "blow-up", "copies counted"),
    ("terminal a(d=1e400)\nS -> a", 1, "syntax", "1e400 is too large a number"),
    (f"terminal a(d={'9' * 5000})\nS -> a", 1, "syntax", "999999999999... is too large"),
    ("terminal a = tests.spaces.grammar.rules:nothing\nS -> a", 1, "missing-input", "no input"),
    (f"input {'(' * 3000}1{')' * 3000}\nS -> 'a'", 1, "syntax", "within each other"),
]
RULE = "input (1)\nterminal a = tests.spaces.grammar.rules:"
MISTAKES += [
    (f"{RULE}explode\nS -> a", 2, "attribute-rule", "fails for (1,): RuntimeError('boom')"),
    (f"{RULE}nothing\nS -> a", 2, "attribute-rule", "returned None for (1,)"),
    (f"{RULE}negative\nS -> a", 2, "attribute-rule", "whole numbers of at least 0"),
    (f"{RULE}no_number\nS -> a", 2, "attribute-rule", "whole numbers of at least 0"),
    (f"{RULE}countless\nS -> a", 2, "attribute-rule", "at least 0, to 1e+18"),
    (f"{RULE}quits\nS -> a", 2, "attribute-rule", "SystemExit(0)"),
    (f"{RULE}explode\nS -> x [3] | s: S S | a\nterminal x [identity]", 2, "attribute-rule", "boom"),
    (f"{RULE}no_function\nS -> a", 2, "syntax", "not a function"),
    ("functions tests.spaces.grammar.breaks\nterminal a\nS -> a", 1, "missing-function", "no"),
    ("functions nowhere\nS -> 'a'", 1, "missing-function", "or give the file"),
    ("functions nowhere.py\nS -> 'a'", 1, "missing-function", "there is no file 'nowhere.py'"),
]


@pytest.mark.parametrize(("text", "line", "code", "words"), MISTAKES)
def test_a_mistake_is_explained(
    tmp_path: Path, text: str, line: int, code: str, words: str
) -> None:
    path = tmp_path / "a.grammar"
    path.write_text(text)
    found = [each for each in check_file(path) if each.code == code]
    assert [each for each in found if each.line == line and words in each.message], found


def only_error(path: Path) -> Finding:
    """Return what is wrong with a grammar file in which one thing is."""
    (found,) = [each for each in check_file(path) if each.level is Level.ERROR]
    return found


EINSPACE = "input ((4, 8, 8), none)\nfunctions niwaki.spaces.einspace.rules\n"
SENSELESS = (
    "linear(d=0)", "linear(d=64.0)", "linear(d=true)", "linear(d=wide)", "clone(b=100000000)",
    "widen(by=0)", "narrow(by=0)", "router(b=0)", "slimmable(d=0, ratio=0.5)",
    "slimmable(d=8, ratio=-1)", "gate(by=tanh)", "im2col(k=0, s=1, p=0)",
    "im2col(k=1, s=0, p=0)", "im2col(k=1, s=1, p=-1)",
    "conv1d(k=0, d=8)", "permute(order=111)", "permute(order=129)", "clone(b=0)",
    "group(dim=1, b=0)", "pool(k=0, s=1)", "grouped(k=3, s=1, g=0, d=8)",
)  # fmt: skip


@pytest.mark.parametrize("operation", SENSELESS)
def test_parameters_out_of_range_are_found(tmp_path: Path, operation: str) -> None:
    path = tmp_path / "a.grammar"
    path.write_text(
        f"{EINSPACE}functions niwaki.spaces.einspace.extras\nterminal {operation}\n"
        f"S -> {operation.partition('(')[0]}"
    )
    found = only_error(path)
    assert (found.line, found.code) == (4, "attribute-rule")
    assert "makes no sense here" in found.message


WRONG_INPUTS = (
    "(3, 32, 32)", "(im, 3, 32, 32)", "3", "none", "((3, 32, 32),)", "((3, 0, 32), none)",
    "((3.0, 32, 32), none)", "((3, 32, 32), true)", "((8,), none)",
)  # fmt: skip


@pytest.mark.parametrize("given", WRONG_INPUTS)
@pytest.mark.parametrize("rules", ["rules", "published"])
def test_inputs_that_rules_of_einspace_do_not_speak_of_are_named_with_the_remedy(
    tmp_path: Path, given: str, rules: str
) -> None:
    path = tmp_path / "a.grammar"
    path.write_text(
        f"functions niwaki.spaces.einspace.{rules}\ninput {given}\n"
        "terminal relu, clone(b=2), add\nS -> seq: S S [0.2] | relu | b@branch: clone S S add [0.1]"
    )
    found = only_error(path)
    assert (found.line, found.code) == (2, "attribute-rule")
    assert "write `input ((3, 32, 32), none)`" in found.message


@pytest.mark.parametrize("given", ["3, 32, 32", "[3, 32, 32]", "(3 32 32)"])
def test_inputs_that_cannot_be_read_show_how_to_write_them(tmp_path: Path, given: str) -> None:
    path = tmp_path / "a.grammar"
    path.write_text(f"input {given}\nS -> 'a'")
    found = only_error(path)
    assert found.line == 1
    assert "in round brackets, with commas" in found.message


@pytest.mark.parametrize(
    ("production", "line"), [("x: clone relu relu add", 4), ("x: relu add", 5)]
)
def test_branches_without_their_flow_are_told_of_it(
    tmp_path: Path, production: str, line: int
) -> None:
    path = tmp_path / "a.grammar"
    path.write_text(
        f"{EINSPACE}terminal clone(b=2)\nterminal relu\nterminal add\nS -> {production}"
    )
    found = only_error(path)
    assert found.line == line
    assert "label@branch: clone(b=2) M M add" in found.message


JOINED = f"""{EINSPACE}terminal clone(b=2), linear(d=8|16), add
S -> pair@branch: clone linear(d=8) linear(d=16) add
"""


def test_branches_that_never_fit_are_explained(tmp_path: Path) -> None:
    path = tmp_path / "a.grammar"
    path.write_text(JOINED)
    found = only_error(path)
    assert (found.line, found.code) == (4, "infeasible")
    assert "tree[4]: 'add' cannot be applied to" in found.message
    with pytest.raises(SpaceError, match=r"'add' cannot be applied to .*differ in shape"):
        GrammarSpace(load_grammar(path))


def test_what_repeats_much_and_never_fits_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "a.grammar"
    path.write_text(f"{EINSPACE}terminal linear(d=8), col2im\nS -> x: linear*200000 col2im")
    found = only_error(path)
    assert "tree[2]: 'col2im' cannot be applied" in found.message
    deep = "\n".join(f"S{i} -> d{i}: linear S{i + 1} | w{i}: W W" for i in range(120))
    wide = "W -> v: V V V V\nV -> u: " + "col2im " * 40
    path.write_text(
        f"{EINSPACE}terminal linear(d=8), col2im\n{deep}\nS120 -> e: linear col2im\n{wide}"
    )
    found = only_error(path)
    assert found.code == "infeasible"


def test_what_is_missing_is_said_once(tmp_path: Path) -> None:
    path = tmp_path / "a.grammar"
    path.write_text("functions nowhere\nterminal a\nterminal b = nowhere:b\nS -> a | x: a b")
    assert [each.line for each in check_file(path)] == [1, 3]


def test_a_sound_grammar_has_notes_only(tmp_path: Path) -> None:
    path = tmp_path / "a.grammar"
    path.write_text("terminal a, b\nM -> seq: M M [0.2] | a | b")
    assert {each.level for each in check_file(path)} == {Level.NOTE}


def test_yaml_mistakes_have_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text('start: S\nterminals: ["relu"]\nproductions:\n  S:\n    - relu\n    - rleu\n')
    first = check_file(path)[0]
    assert (first.line, first.code) == (6, "unknown-symbol")
    path.write_text("strat: S\n")
    assert "did you mean 'start'" in check_file(path)[0].message


def test_yaml_may_name_several_modules_of_rules(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    rules = "[niwaki.spaces.einspace.rules,\n  niwaki.spaces.einspace.extras]"
    text = f"input: [[3, 8, 8], null]\nfunctions: {rules}\nterminals: [relu, glu]\n"
    path.write_text(text + 'productions:\n  S: ["seq: glu relu", relu]\n')
    fault = GrammarSpace(load_grammar(path)).check(Candidate.of({"tree": ("seq", "glu", "relu")}))
    assert "3 features have no halves" in fault
    path.write_text(text.replace("extras", "nowhere"))
    assert [each.line for each in check_file(path) if each.code == "missing-function"] == [3]


@pytest.mark.parametrize("given", ["[[3, 8, 8], null]", "[[3, 8, 8], ~]", "((3, 8, 8), none)"])
def test_yaml_says_inputs_in_its_own_way_or_as_text(tmp_path: Path, given: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"input: {given}\nproductions: {{S: [\"'a'\"]}}\n")
    assert load_grammar(path).input == ((3, 8, 8), None)


def test_merges_in_yaml_are_told_of_includes(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("productions:\n  <<: &base\n    T: [\"'a'\"]\n  S: [T]\n")
    (found,) = check_file(path)
    assert (found.line, found.level) == (2, Level.ERROR)
    assert "include: [shared.yaml]" in found.message


def test_yaml_that_is_none_is_a_finding(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    for text, words in (("[" * 600, "nests too deeply"), ("start: \x00", "not YAML")):
        path.write_text(text)
        assert words in check_file(path)[0].message


def test_a_mark_of_byte_order_and_names_in_any_script_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.grammar"
    path.write_text("\ufeffterminal 卷积\nStärt -> seq: Stärt Stärt [0.2] | 卷积", encoding="utf-8")
    space = GrammarSpace(load_grammar(path))
    assert str(space.tree(space.candidate("seq(卷积, 卷积)"))) == "seq(卷积, 卷积)"


def test_names_in_quotes_are_read_back() -> None:
    text = "S -> x: '3x3 conv' ')b' | \"it's\"(k='a b'|true) | '7'"
    space = GrammarSpace(read_grammar(text))
    assert space.size == 4
    for candidate in map(space.sample, map(np.random.default_rng, range(20))):
        assert space.candidate(str(space.tree(candidate))) == candidate


def test_names_and_values_in_quotes_may_hold_any_mark() -> None:
    grammar = read_grammar(
        "start S\nterminal act(kind='->'|'a|b'|'#')\nS -> 'conv:3x3' | 'a->b' | act\n"
    )
    assert set(grammar.operations) == {
        "'conv:3x3'", "'a->b'", "act(kind='->')", "act(kind='a|b')", "act(kind='#')",
    }  # fmt: skip


def test_a_missing_file_tells_where_its_path_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpaceError, match="there is no grammar file") as raised:
        load_grammar(Path("my.grammar"))
    assert str(raised.value).endswith(f"relative paths start from {Path.cwd()}")


def test_a_missing_file_is_a_finding(tmp_path: Path) -> None:
    assert check_file(tmp_path / "none.grammar")[0].code == "unreadable"


DOUBLING = "\n".join(f"A{i} -> d{i}: A{i + 1} A{i + 1}" for i in range(200))
HOSTILE = [
    ("S -> loop: S S", "no derivation of 'S' ends"),
    ("S -> loop: S 'a'", "no derivation of 'S' ends"),
    ("S -> S", "no derivation of 'S' ends"),
    ("S -> 'a' [0]", "weight 0"),
    (f"{DOUBLING}\nA200 -> 'a'", "smallest derivation has 1.6"),
    ("S -> A\nA -> B | 'a'\nB -> A", "renamed to itself"),
    ("S -> x: S S [9] | 'a'", "grow without end"),
    ("S -> 'a' [1e308] | 'b' [1e308]", "add up to infinity"),
    ("\n".join(f"A{i} -> A{i + 1}" for i in range(3000)) + "\nA3000 -> 'a'", "3001 levels"),
]


@pytest.mark.parametrize(("text", "words"), HOSTILE)
def test_hostile_grammars_are_refused(text: str, words: str) -> None:
    with pytest.raises(SpaceError, match=words):
        GrammarSpace(read_grammar(text))


def failing(_: object) -> Effect:
    raise KeyError("shape")


def unhashable(_: object) -> Effect:
    return Effect([1])  # type: ignore[arg-type]


RULES = {"fail": failing, "odd": unhashable, "never": lambda _: "it never does"}
FAULTY = [
    ("S -> 'fail'", "the attribute rule of 'fail' fails for .1,.: KeyError"),
    ("S -> 'odd'", "cannot be hashed"),
    ("S -> x: M 'never'\nM -> seq: M M [0.5] | 'a'", "no tree is known to derive from 'S'"),
]


@pytest.mark.parametrize(("text", "words"), FAULTY)
def test_faulty_attribute_rules_are_refused(text: str, words: str) -> None:
    with pytest.raises(SpaceError, match=words):
        GrammarSpace(read_grammar(f"input (1)\n{text}", RULES))


LARGE = [
    ("\n".join(f"A{i} -> n{i}: A{i + 1} 'x' | 'y'" for i in range(300)) + "\nA300 -> 'a'", None),
    ("\n".join(f"S -> x{i}: T{i} T{i}\nT{i} -> 'a'" for i in range(1000)), None),
    ("\n".join(f"A{i} -> n{i}: A{i + 1} 'x' | 'y'" for i in range(2000)) + "\nA2000 -> 'a'", None),
    ("M -> x: M 'a' [50] | 'a'", 200.0),
    ("M -> again: M*2 [0.2] | 'a'", None),
    ("M -> seq: M M [5] | 'a' | 'b'", 200.0),
]


@pytest.mark.parametrize(("text", "operations"), LARGE)
def test_large_grammars_and_deep_recursion_are_bounded(text: str, operations: float | None) -> None:
    budget = Budget(operations=500)
    space = GrammarSpace(read_grammar(text), budget, expected_operations=operations)
    rng = np.random.default_rng(0)
    for _ in range(3):
        candidate = space.sample(rng)
        assert space.check(candidate) == space.check(space.mutate(candidate, rng)) == ""
    assert space.size > 1


MANY = ", ".join(f"{name}={'|'.join(map(str, range(20)))}" for name in "abcdefgh")
BOMBS = [
    (f"terminal conv({MANY})\nS -> conv", 2, "more than 4096 productions"),
    (f"S -> 'conv'({MANY})", 1, "more than 4096 productions"),
    (f"terminal x(d={'9' * 4000})\nS -> x", 1, "too large a number"),
    ("S -> wide: " + "T " * 300 + "\nT -> 'a' | 'b'", 1, "has 300 children"),
    ("S -> 🌳", 1, "goes in quotes"),
]


@pytest.mark.parametrize(("text", "line", "words"), BOMBS)
def test_what_stands_for_too_much_is_refused_by_line(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    path = tmp_path / "a.grammar"
    path.write_text(text)
    assert [each for each in check_file(path) if each.line == line and words in each.message]


LAUGHS = "".join(f"  - &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in pairwise("abcdefghij"))


@pytest.mark.parametrize("value", ["&a [*a]", f"\n  - &a [1]\n{LAUGHS}"])
def test_yaml_whose_aliases_have_no_end_is_refused(tmp_path: Path, value: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"start: S\nproductions: {{S: [x]}}\nterminals: [x]\ninput: {value}\n")
    assert "with its aliases" in check_file(path)[0].message


def test_a_file_without_an_end_is_refused() -> None:
    assert "is it a grammar?" in check_file("/dev/zero")[0].message


def test_a_directive_may_be_followed_by_a_tab() -> None:
    assert list(read_grammar("terminal\tx\nS\t->\tx").terminals) == ["x"]


def doubled(given: int) -> Effect:
    return Effect(given * 2, 5, 5)


def raised(given: int) -> Effect:
    return Effect(given + 1, 4, 6)


DEEP = "\n".join(f"A{i} -> p{i}: X A{i + 1}" for i in range(24)) + "\nA24 -> {}\nX -> 'd' | 'r'"


@pytest.mark.parametrize("last", ["X", "q: X 'never'"])
def test_exponentially_many_outcomes_of_which_none_fits_are_given_up_soon(last: str) -> None:
    rules = {"d": doubled, "r": raised, "never": lambda _: "it never does"}
    grammar = read_grammar(f"input 3\n{DEEP.format(last)}", rules)
    with pytest.raises(SpaceError, match="no tree is known to derive"):
        GrammarSpace(grammar, Budget(operations=100, depth=60, parameters=99))
    found = [each.code for each in check_grammar(grammar) if each.level is Level.ERROR]
    assert found == ([] if last == "X" else ["infeasible"])


def test_depths_that_python_cannot_nest_are_refused() -> None:
    with pytest.raises(SpaceError, match="at most 100"):
        Budget(depth=400)


def test_the_report_names_file_lines_and_outcome(tmp_path: Path) -> None:
    path = tmp_path / "a.grammar"
    path.write_text("terminal relu\nS -> relu\nS -> rleu\n")
    report = check_report(path)
    assert report.exit_code == 3
    assert report.text.splitlines()[0].startswith("a.grammar:3: error [unknown-symbol]")
    path.write_text("terminal a, b\nM -> seq: M M [0.2] | a | b")
    report = check_report(path)
    assert report.exit_code == 0
    assert "a.grammar: no errors, no warnings" in report.text
    assert report.to_json()["findings"] == [
        {"level": "note", "line": 2, "code": "size", "message": report.findings[0].message}
    ]


def test_an_included_file_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "base.grammar").write_text("terminal relu\n\nS -> (\n")
    (tmp_path / "own.grammar").write_text("include base.grammar\nS -> relu\n")
    found = [each for each in check_file(tmp_path / "own.grammar") if each.code == "syntax"]
    assert "'base.grammar', line 3" in found[0].message
    (tmp_path / "own.grammar").write_text("\ninclude bse.grammar\nS -> 'relu'\n")
    missing = check_file(tmp_path / "own.grammar")[0]
    assert (missing.line, missing.code) == (2, "include")


def test_files_that_include_each_other_are_read_once(tmp_path: Path) -> None:
    (tmp_path / "a.grammar").write_text("include b.grammar\nS -> 'a'\n")
    (tmp_path / "b.grammar").write_text("include a.grammar\nS -> 'b'\n")
    assert {each.level for each in check_file(tmp_path / "a.grammar")} == {Level.NOTE}


def test_keys_of_yaml_that_are_given_twice_are_named_with_both_lines(tmp_path: Path) -> None:
    path = tmp_path / "twice.yaml"
    path.write_text("start: S\nproductions:\n  S: [\"'a'\"]\n  S: [\"'b'\"]\n")
    (found,) = check_file(path)
    assert (found.line, found.level) == (4, Level.ERROR)
    assert "the key 'S' is also on line 3" in found.message


def test_a_file_that_includes_itself_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "self.grammar"
    path.write_text("include self.grammar\nS -> 'a'")
    assert "includes itself" in check_file(path)[0].message
    assert load_grammar(path).start == "S"


def test_cycles_of_renaming_are_told_until_each_symbol_is_in_one() -> None:
    text = "S -> A | B | C\nA -> B | 'a'\nB -> A | C\nC -> A | 'c'"
    told = [f.message for f in check_grammar(read_grammar(text)) if f.code == "renaming-cycle"]
    assert [message.partition(",")[0] for message in told] == [
        "'A' can be renamed to itself (A -> B -> A)",
        "'C' can be renamed to itself (C -> A -> B -> C)",
    ]
