"""YAML that cannot be used is explained, with its line."""

from pathlib import Path

import pytest

from niwaki.config import read_config
from niwaki.config.yaml_file import parse_yaml, read_yaml
from niwaki.core.errors import ConfigError


def test_it_reads_what_yaml_holds(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("base: &b {x: 1}\nmore: {<<: *b, y: [1, 2.5, é]}\n", encoding="utf-8")
    assert read_yaml(path) == {"base": {"x": 1}, "more": {"x": 1, "y": [1, 2.5, "é"]}}


@pytest.mark.parametrize("text", ["1e-3", "+1E3", ".5e2", "-1.e0"])
def test_a_number_in_scientific_notation_is_one_with_or_without_a_dot(text: str) -> None:
    assert parse_yaml(f"options: {{rate: {text}}}", "it") == {"options": {"rate": float(text)}}
    assert parse_yaml(f"[x{text}, {text}x, '{text}']", "it") == [f"x{text}", f"{text}x", text]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1\nb: 2", "it is not YAML, line 2, column 2"),
        ("a: 1\n\tb: 2", "line 2"),
        ("a: 1\nb: 2\na: 3", "line 3, column 1: the key 'a' is given twice"),
        ("a:\n  b: 1\n  b: 2", "line 3, column 3: the key 'b' is given twice"),
        ("a: !!python/object:os.system {}", "could not determine a constructor"),
        ("a: *b", "undefined alias"),
        ("a: 2020-13-45", "is not YAML"),
        ("[" * 5000, "is not YAML"),
    ],
)
def test_what_is_not_yaml_is_named_with_its_line(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_yaml(text, "it")


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("decisions: [width, use SE?, act]", "use SE?"),
        ("when: {use SE?: true}", "use SE?"),
        ("- @a", "@a"),
        ("a: [b, *, c]", "*"),
        ("column: top-1: x", "top-1: x"),
        ("constraints: [>= 5, a]", ">= 5"),
    ],
)
def test_text_that_needs_quotes_is_shown_with_them(text: str, quoted: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_yaml(text, "it")
    assert str(error.value).endswith(f'; if it is text, put it in quotes: "{quoted}"')


@pytest.mark.parametrize("text", ["a: [1\nb: 2", "a: {b: [c}", "a: 'x", "a: 1\n b: 2", "a: [x #b]"])
def test_quotes_are_not_named_where_they_are_not_what_is_missing(text: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_yaml(text, "it")
    assert "quotes" not in str(error.value)


def test_a_missing_file_says_where_paths_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no configuration at '.*': relative paths start from"):
        read_yaml(tmp_path / "nothing.yaml")


def test_a_folder_and_bytes_are_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_yaml(tmp_path)
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xff\xfe\x00name")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        read_yaml(path)


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "quickstart"])
def test_a_file_without_settings_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"must hold settings \(key: value\)"):
        read_config(path)
