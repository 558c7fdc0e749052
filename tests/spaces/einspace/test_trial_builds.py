"""Modules of a user's own grammar, compared with their rules before a search."""

from pathlib import Path

import numpy as np
import pytest

from niwaki.core.candidate import Candidate
from niwaki.core.errors import SpaceError
from niwaki.spaces.einspace.trial_builds import full_report
from niwaki.spaces.grammar import check_report
from niwaki.spaces.grammar.findings import Level
from niwaki.spaces.grammar.space import GrammarSpace

RULES = """from niwaki.spaces.grammar.grammar import Effect
def conv(given, c):
    channels, height, width = given
    return Effect((c, height, width), parameters=c * channels + c)
"""
LAYERS = """from torch import nn
def conv(given, c):
    return nn.Conv2d(given[0], c, 1)
def norm(given):
    return nn.BatchNorm2d(given[0])
def half(given):
    return nn.MaxPool2d(2)
def wrong(given):
    return nn.Conv2d(99, given[0], 1)
"""


def written(folder: Path, chain: str, declared: str, start: str = "input (3, 8, 8)") -> Path:
    """Write a grammar of chains with modules in a file of its own."""
    (folder / "rules.py").write_text(RULES)
    (folder / "layers.py").write_text(LAYERS)
    text = f"start Net\n{start}\nfunctions {folder / 'rules.py'}\n"
    text += f"terminal conv(c=4|8) builds {folder / 'layers.py'}\n{declared}\n"
    (folder / "own.grammar").write_text(f"{text}Net -> net: {chain}\n")
    return folder / "own.grammar"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "norm",
            "makes a module of 8 parameters that gives (4, 8, 8), but its attribute",
        ),
        ("half", "0 parameters that gives (4, 4, 4), but its attribute rule says 0 and (4, 8, 8)"),
        ("wrong", "fails for (4, 8, 8)"),
    ],
)
def test_a_module_that_is_not_what_its_rule_says_is_named_by_line(
    tmp_path: Path, name: str, message: str
) -> None:
    declared = f"terminal {name} [identity] builds {tmp_path / 'layers.py'}"
    path = written(tmp_path, f"conv {name}", declared)
    path.write_text(path.read_text().replace("c=4|8", "c=4"))
    assert check_report(path).exit_code == 0
    report = full_report(path)
    [found] = [finding for finding in report.findings if finding.level is Level.ERROR]
    assert (found.line, found.code, report.exit_code) == (5, "module", 3)
    assert message in found.message


def test_modules_that_keep_to_their_rules_are_sound(tmp_path: Path) -> None:
    path = written(tmp_path, "conv conv", "terminal skip [identity]")
    assert full_report(path) == check_report(path)
    assert full_report(path).exit_code == 0


def test_modules_of_sequences_are_built_for_them_as_they_lie(tmp_path: Path) -> None:
    (tmp_path / "rules.py").write_text(
        "from niwaki.spaces.grammar.grammar import Effect\n"
        "def dense(given, c):\n    return Effect((given[0], c), parameters=c * given[1] + c)\n"
    )
    (tmp_path / "layers.py").write_text(
        "from torch import nn\ndef dense(given, c):\n    return nn.Linear(given[1], c)\n"
    )
    path = tmp_path / "sequences.grammar"
    path.write_text(
        f"start Net\ninput (16, 3)\nfunctions {tmp_path / 'rules.py'}\n"
        f"terminal dense(c=4|8) builds {tmp_path / 'layers.py'}\nNet -> net: dense\n"
    )
    assert full_report(path) == check_report(path)
    assert full_report(path).exit_code == 0


@pytest.mark.parametrize("start", ["input (3, 8, 8)", "input word"])
def test_decisions_without_networks_are_none_the_worse(tmp_path: Path, start: str) -> None:
    (tmp_path / "rules.py").write_text("def conv(given, c):\n    return given\n")
    path = tmp_path / "bare.grammar"
    path.write_text(f"start Net\n{start}\nterminal pick(k=1|2), other\nNet -> net: pick other\n")
    assert full_report(path) == check_report(path)


def test_modules_that_no_network_is_built_with_are_said_to_be_unchecked(tmp_path: Path) -> None:
    path = written(tmp_path, "conv conv", "terminal skip [identity]")
    rules = (tmp_path / "rules.py").read_text()
    (tmp_path / "rules.py").write_text(rules.replace("c * channels + c", "10**8"))
    [found] = set(full_report(path).findings) - set(check_report(path).findings)
    assert (found.level, found.code) == (Level.WARNING, "unchecked")
    assert "modules were not checked, as no network could be built for trial: no tree" in (
        found.message
    )
    assert full_report(path).exit_code == 0


def test_a_draw_that_fails_hides_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    declared = f"terminal wrong [identity] builds {tmp_path / 'layers.py'}"
    path, sample, n = written(tmp_path, "conv wrong", declared), GrammarSpace.sample, 0

    def sometimes(space: GrammarSpace, rng: np.random.Generator) -> Candidate:
        nonlocal n
        n += 1
        if n == 1:
            raise SpaceError("nothing is known to fit")
        return sample(space, rng)

    monkeypatch.setattr(GrammarSpace, "sample", sometimes)
    report = full_report(path)
    assert "fails for" in report.text
    assert report.exit_code == 3


def test_a_grammar_with_errors_is_not_built(tmp_path: Path) -> None:
    path = written(tmp_path, "conv nothing", "terminal skip [identity]")
    assert full_report(path) == check_report(path)
    assert full_report(path).exit_code == 3
