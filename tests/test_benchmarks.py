"""Benchmarks can be imported, and they parse the commands that their pages give."""

import argparse
import importlib
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.command_line import ROOT

FOLDER = ROOT / "benchmarks"
PAGES = [FOLDER / "README.md", *sorted((FOLDER / "results").glob("*.md"))]
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in sorted(FOLDER.rglob("*.py"))
    if path.name != "__init__.py"
}
SCRIPTS = {name: path for name, path in FILES.items() if "__main__" in path.read_text()}
NEEDS = {"benchmarks.efficiency.botorch_peer": "botorch"}


@dataclass(frozen=True)
class Command:
    """A call of a script, as a page or the script itself gives it."""

    script: str
    words: tuple[str, ...]


class ParsedError(Exception):
    """A script has parsed its options, and would go on to measure."""


def command(text: str) -> Command | None:
    """Return the call of a script in a line, what is optional with it; `...` stands for more."""
    found = re.match(r"python (?:-m ([\w.]+)|([\w/]+)\.py)(?=\s|$)(.*)", text, re.DOTALL)
    if not found:
        return None
    module, path, options = found.groups()
    words = shlex.split(re.sub(r"\[|\]|\.\.\.", " ", options), comments=True)
    return Command(module or path.replace("/", "."), tuple(words))


def spans(page: Path) -> list[str]:
    """Return what a page gives as code, one command each."""
    quoted = re.findall(r"`([^`]+)`", page.read_text())
    return [part.strip() for span in quoted for part in span.split("&&")]


def commands_of(page: Path) -> list[Command]:
    """Return the calls of scripts in a page."""
    return [found for span in spans(page) if (found := command(span))]


def own_commands(script: Path) -> list[Command]:
    """Return the calls that a script's docstring gives; what goes on in a line begins with `[`."""
    text = re.sub(r"\n\s+\[", " [", script.read_text().split('"""')[1])
    calls = re.findall(r"^(?:Run:)?\s*(?:niwaki .*&& )?(python .*)$", text, re.MULTILINE)
    return [found for call in calls if (found := command(call))]


def parse(called: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Call a script's `main` until it has parsed its options.

    Raises:
        SystemExit: The script does not take them.
    """
    parse_args = argparse.ArgumentParser.parse_args

    def parse_and_stop(parser: argparse.ArgumentParser) -> None:
        parse_args(parser)
        raise ParsedError

    module = importlib.import_module(called.script)
    if "argparse" not in SCRIPTS[called.script].read_text():
        assert not called.words
        return
    with monkeypatch.context() as patched, pytest.raises(ParsedError):
        patched.setattr(sys, "argv", [called.script, *called.words])
        patched.setattr(argparse.ArgumentParser, "parse_args", parse_and_stop)
        module.main()


def is_parsed(called: Command, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Tell whether a script takes these options."""
    try:
        parse(called, monkeypatch)
    except SystemExit:
        return False
    return True


@pytest.mark.parametrize("name", FILES)
def test_benchmarks_can_be_imported(name: str) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    importlib.import_module(name)


def test_every_script_has_a_row() -> None:
    table = (FOLDER / "README.md").read_text()
    scripts = [name for name, path in SCRIPTS.items() if path.parent == FOLDER]
    assert len(scripts) > 25
    assert not [name for name in scripts if f"`{name.rpartition('.')[2]}.py`" not in table]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_in_the_pages_are_parsed(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for called in commands_of(page):
        parse(called, monkeypatch)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_further_options_in_the_pages_are_parsed(
    page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page gives options without their script where it speaks of a script that it has called."""
    called = commands_of(page)
    for options in [span for span in spans(page) if re.match("--(?!set )", span)]:
        more = tuple(shlex.split(options))
        assert any(
            is_parsed(Command(one.script, one.words + more), monkeypatch) for one in called
        ), options


@pytest.mark.parametrize("name", SCRIPTS)
def test_commands_in_the_scripts_are_parsed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for called in own_commands(SCRIPTS[name]):
        parse(called, monkeypatch)
