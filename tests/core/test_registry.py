"""Registries: names, paths and plug-ins."""

from collections import OrderedDict
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from niwaki.core import registry
from niwaki.core.errors import ConfigError
from niwaki.core.registry import Record, Registry, import_object, nearest

FRUITS = Registry(
    "fruits", (Record("apple", "red", "collections:OrderedDict"), Record("pear", "", "json:dumps"))
)


def test_it_finds_what_ships() -> None:
    assert FRUITS.find("apple").load() is OrderedDict
    assert FRUITS.names() == ["apple", "pear"]


def test_a_path_names_a_factory_directly() -> None:
    assert FRUITS.find("collections:OrderedDict").load() is OrderedDict


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(
        ConfigError, match=r"no 'appel' among the fruits; did you mean 'apple'\? Known"
    ):
        FRUITS.find("appel")
    with pytest.raises(
        ConfigError, match=r"no 'xyz' among the fruits\. Known: apple, pear; or give"
    ):
        FRUITS.find("xyz")


@pytest.mark.parametrize(
    ("name", "meant"),
    [("validation", "val"), ("training", "train"), ("calib", "calibration"), ("tets", "test")],
)
def test_what_begins_alike_is_nearer_than_what_only_looks_alike(name: str, meant: str) -> None:
    assert f"'{meant}'" in nearest(name, ["train", "search", "val", "test", "calibration"])


def test_plug_ins_are_found_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("fig", "collections:OrderedDict", "niwaki.fruits")
    monkeypatch.setattr(
        registry, "entry_points", lambda group: [point] * (group == "niwaki.fruits")
    )
    assert FRUITS.names() == ["apple", "pear", "fig"]
    assert FRUITS.find("fig").load() is OrderedDict


def test_a_plug_in_whose_name_is_taken_goes_by_its_path(monkeypatch: pytest.MonkeyPatch) -> None:
    values = [("apple", "a:A"), ("fig", "b:B"), ("fig", "c:C"), ("fig", "c:C")]
    points = [EntryPoint(name, value, "niwaki.fruits") for name, value in values]
    monkeypatch.setattr(registry, "entry_points", lambda **_: points)
    assert FRUITS.names() == ["apple", "pear", "a:A", "fig", "c:C"]
    assert FRUITS.find("fig").path == "b:B"
    assert "'fig' is taken" in FRUITS.find("c:C").summary


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("collections", "write 'package.module:name'"),
        (":name", "write 'package.module:name'"),
        ("no_such_module:x", "cannot be imported"),
        ("./mine:x", "'./mine' cannot be imported: it is relative .* or give the file"),
        ("collections:OrderedDic", "did you mean 'OrderedDict'"),
        ("collections:_builtins", r"has no '_builtins'\. It has \['"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(path: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        import_object(path)


def test_a_plug_in_may_be_named_by_its_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("class Plum:\n    pass\n")
    made = FRUITS.find(f"{file}:Plum").load()()
    assert type(made).__name__ == "Plum"
    assert FRUITS.find(f"{file}:Plum").load() is type(made)
    with pytest.raises(ConfigError, match="did you mean 'Plum'"):
        import_object(f"{file}:Plumm")
    with pytest.raises(ConfigError, match="there is no file"):
        import_object(f"{tmp_path}/other.py:Plum")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("LIMIT = 3\n", "It defines nothing that can be called"),
        ("def plum(): ...\nclass Fig: ...\n", r"It has \['plum', 'Fig'\]"),
    ],
)
def test_what_a_file_only_imports_is_not_offered(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(f"import os\nfrom pathlib import Path\n{text}")
    with pytest.raises(ConfigError, match=rf"has no 'oss'\. {said}$"):
        import_object(f"{file}:oss")


def test_a_file_whose_ending_is_forgotten_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("class Plum:\n    pass\n")
    for place in ("./mine", f"{tmp_path}/mine"):
        with pytest.raises(ConfigError, match=f"did you mean '{place}.py:Plum'"):
            import_object(f"{place}:Plum")


def test_a_file_that_fails_is_read_again_once_it_is_mended(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("raise ValueError('unripe')\n")
    with pytest.raises(ValueError, match="unripe"):
        import_object(f"{file}:plum")
    file.write_text("plum = 3\n")
    assert import_object(f"{file}:plum") == 3


def test_nothing_near_ends_the_sentence() -> None:
    assert nearest("latncy_ms", ["latency_ms", "macs"]) == "; did you mean 'latency_ms'?"
    assert nearest("zzz", ["latency_ms"]) == "."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def make(\n", r"mine\.py' is not Python: .*line 1"),
        ("import no_such_module\n", r"mine\.py' cannot be imported: No module named 'no_such_"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(text)
    with pytest.raises(ConfigError, match=said):
        import_object(f"{file}:make")
