"""Files are whole or not there."""

import os
import resource
import stat
from pathlib import Path

import pytest

from niwaki.core.errors import RunFolderError
from niwaki.core.files import computed_before, noted, write_text_atomically


def test_the_text_replaces_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "pareto.json"
    for text in ("first", "second, with ümlauts"):
        write_text_atomically(path, text)
        assert path.read_text(encoding="utf-8") == text
    assert [file.name for file in tmp_path.iterdir()] == ["pareto.json"]


def test_the_file_is_as_readable_as_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_text_atomically(tmp_path / "atomic", "")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "atomic")]
    assert modes[0] == modes[1]


def test_the_text_is_on_disk_before_it_has_the_name_and_the_name_thereafter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pareto.json"
    synced: list[tuple[Path, bool]] = []

    def sync(descriptor: int) -> None:
        synced.append((Path(f"/proc/self/fd/{descriptor}").readlink().parent, path.exists()))

    monkeypatch.setattr(os, "fsync", sync)
    write_text_atomically(path, "new")
    assert synced == [(tmp_path, False), (tmp_path.parent, True)]


def test_a_full_disk_leaves_the_old_text_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "pareto.json"
    write_text_atomically(path, "old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(RunFolderError, match="free some space"):
            write_text_atomically(path, "new" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [file.name for file in tmp_path.iterdir()] == ["pareto.json"]
    assert path.read_text() == "old"


def test_a_missing_folder_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="cannot be written"):
        write_text_atomically(tmp_path / "missing" / "file", "text")


def test_what_was_noted_is_read_and_damage_is_told(tmp_path: Path) -> None:
    path = tmp_path / "original.json"
    assert noted(path, lambda: {"first": 1, "second": "2"}, "second", "first") == ["2", 1]
    assert noted(path, lambda: {"first": 3}, "first") == [1]
    with pytest.raises(RunFolderError, match=r"original\.json' is damaged \(KeyError\): restore"):
        noted(path, dict, "third")
    path.write_bytes(b"\xff{")
    with pytest.raises(RunFolderError, match="is damaged"):
        noted(path, dict, "first")


def test_what_was_noted_and_cannot_be_read_is_not_called_damaged(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="cannot be read: the system says 'Is a directory'"):
        noted(tmp_path, dict, "first")


def test_what_was_computed_before_is_read_and_damage_is_told(tmp_path: Path) -> None:
    path = tmp_path / "importance.json"
    path.write_text('{"a": [1.0]}')
    assert computed_before(path, lambda rows: rows["a"]) == [1.0]
    for text in ("", "[]", '{"b": 1}', "[" * 100_000):
        path.write_text(text)
        with pytest.raises(RunFolderError, match=r"importance\.json' is damaged \(.*: delete it"):
            computed_before(path, lambda rows: rows["a"])
    with pytest.raises(RunFolderError, match="cannot be read"):
        computed_before(tmp_path, list)


def test_what_killed_processes_left_is_cleared(tmp_path: Path) -> None:
    left = [tmp_path / ".pareto.json.1.tmp", tmp_path / ".pareto.json.2.tmp"]
    left[0].write_text("half")
    left[1].mkdir()
    (left[1] / "part").touch()
    for path in left:
        os.utime(path, (0, 0))
    (tmp_path / ".pareto.json.3.tmp").write_text("being written")
    write_text_atomically(tmp_path / "pareto.json", "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".pareto.json.3.tmp",
        "pareto.json",
    ]
