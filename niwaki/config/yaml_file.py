"""Reading YAML, with messages for people."""

import math
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from niwaki.core.errors import ConfigError

_MERGE = "tag:yaml.org,2002:merge"
# What begins an item, and what may be meant as text and is none: a sign of YAML's in it.
_BEFORE = re.compile(r"[\[{,]|(?:^|\s)-\s|:\s")
_UNQUOTED = re.compile(r"""[^\]},'"]*?(?:[?@%*&!`|>]|:\s)[^\]},'"]*""")


class WrittenNumber(float):
    """A number such as 1e5, which may be meant as text: a name, for one.

    Attributes:
        text: As it is written.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which by itself lets the last of two equal keys win in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key.value}' is given twice", key.start_mark
                )
            seen.add(key.value)
        made = super().construct_mapping(node, deep)
        return {
            key.text if isinstance(key, WrittenNumber) else key: value
            for key, value in made.items()
        }

    def construct_scientific(self, node: yaml.ScalarNode) -> float | str:
        return WrittenNumber(node.value) if math.isfinite(float(node.value)) else node.value


# As of YAML 1.2, and what editors take for a number: PyYAML wants a dot in it.
_SCIENTIFIC = "!scientific"
_Loader.add_constructor(_SCIENTIFIC, _Loader.construct_scientific)
_Loader.add_implicit_resolver(
    _SCIENTIFIC,
    re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def read_yaml(path: Path) -> object:
    """Return what a YAML file holds.

    Raises:
        ConfigError: If it is missing, cannot be read, or is not YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(
            f"there is no configuration at '{path}': relative paths start from {Path.cwd()}"
        ) from error
    except OSError as error:
        raise ConfigError(f"'{path}' cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"'{path}' is not UTF-8 text: save it as such") from error
    return parse_yaml(text, f"'{path}'")


def parse_yaml(text: str, what: str) -> object:
    """Return what YAML text holds; numbers such as 1e5 as `WrittenNumber`.

    Args:
        text: YAML.
        what: What to call it in messages.

    Raises:
        ConfigError: If it is not YAML, or a mapping gives a key twice.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        hint = _quoting(text, mark) if mark else ""
        raise ConfigError(f"{what} is not YAML{where}: {error.problem}{hint}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{what} is not YAML: {error}") from error


def _quoting(text: str, mark: yaml.Mark) -> str:
    """Return what to do if the item at a mark is text, with a sign in it that is YAML's."""
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    starts = [sign.end() for sign in _BEFORE.finditer(line, 0, mark.column)]
    item = _UNQUOTED.match(line, starts[-1]) if starts else None
    if item is None:
        return ""
    _, colon, value = line[mark.column + 1 : item.end()].partition(": ")
    end = item.end() - len(colon + value)  # of a key, if the mark is in one
    return f'; if it is text, put it in quotes: "{line[starts[-1] : end].strip()}"'
