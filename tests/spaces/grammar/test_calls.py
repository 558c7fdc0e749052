"""What a grammar calls: rules and makers of modules take the parameters of its operations."""

from pathlib import Path

import pytest

from niwaki.core.errors import SpaceError
from niwaki.spaces.grammar import GrammarSpace, check_file, load_grammar
from niwaki.spaces.grammar.findings import Level

LAYERS = """
def conv(given, k, d): ...
def wide(given, kernel, d): ...
def free(given, **parameters): ...
class Twice:
    def __init__(self, children, n): ...
class Once:
    def __init__(self, children, n=1): ...
"""
RULES = """
from niwaki.spaces.grammar import Chain, Effect
def conv(given, k, d): return Effect(given)
class Own(Chain): ...
"""


@pytest.fixture
def grammar(tmp_path: Path) -> Path:
    (tmp_path / "layers.py").write_text(LAYERS)
    (tmp_path / "rules.py").write_text(RULES)
    return tmp_path / "a.grammar"


def errors_in(path: Path, lines: str) -> list[tuple[int, str]]:
    """Return line and message of each error that the check finds."""
    folder = path.parent
    text = f"input (3, 8, 8)\nfunctions {folder}/rules.py\n{lines}"
    path.write_text(text.replace("builds ", f"builds {folder}/layers.py:"))
    return [(each.line, each.message) for each in check_file(path) if each.level is Level.ERROR]


MISFITS = [
    (
        "terminal conv(k=3|5, d=8) builds wide\nS -> conv",
        3,
        "missing a required argument: 'kernel'",
    ),
    ("terminal conv(k=3)\nS -> conv", 3, "missing a required argument: 'd'"),
    ("terminal conv(k=3, d=8)\nS -> conv(z=1) | conv", 4, "unexpected keyword argument 'z'"),
    ("terminal x(d=8) builds conv\nS -> x", 3, "missing a required argument: 'k'"),
    ("terminal x\nflow own = Own builds Twice\nS -> t@own: x x", 5, "required argument: 'n'"),
    ("terminal x builds __name__\nS -> x", 3, "is a str, but a class or a function is needed"),
]


@pytest.mark.parametrize(("lines", "line", "words"), MISFITS)
def test_parameters_are_compared_with_what_is_called(
    grammar: Path, lines: str, line: int, words: str
) -> None:
    (found,) = errors_in(grammar, lines)
    assert found[0] == line
    assert words in found[1]


def test_what_can_be_called_is_fine(grammar: Path) -> None:
    lines = "terminal conv(k=3|5, d=8) builds conv\nterminal x(a=1) builds free\n"
    lines += "flow own = Own builds Once\nS -> conv | x | t@own: x x | conv(k=7)"
    assert not errors_in(grammar, lines)


def test_rules_that_cannot_be_called_are_refused_where_nothing_derives_them(grammar: Path) -> None:
    errors_in(grammar, "terminal conv(k=3)\nterminal x\nS -> x | conv [0.1]")
    with pytest.raises(SpaceError, match=r"takes \(given, k, d\), but .* with \(given, k=\.\.\.\)"):
        GrammarSpace(load_grammar(grammar))


@pytest.mark.parametrize(
    ("name", "line", "words"),
    [
        ("Raises", 3, r"'Raises' fails: KeyError('shape') (own_flows.py, line 11)"),
        ("Unhashable", 3, "can be hashed"),
        ("Unmade", 2, "cannot be made: TypeError"),
    ],
)
def test_flows_of_ones_own_that_fail_are_findings(
    tmp_path: Path, name: str, line: int, words: str
) -> None:
    path = tmp_path / "a.grammar"
    path.write_text(
        f"input 1\nflow own = tests.spaces.grammar.own_flows:{name}\nS -> x@own: 'a' 'b' | 'c'"
    )
    found = [each for each in check_file(path) if each.level is Level.ERROR]
    assert found[0].line == line
    assert words in found[0].message
