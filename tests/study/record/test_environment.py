"""The environment is described, and nobody is named."""

import getpass
import json
import os
import platform
import socket
import subprocess
from pathlib import Path

import pytest

from niwaki.core.jsonable import JSON, fingerprint
from niwaki.core.registry import import_object
from niwaki.study.record.environment import changed_fields, describe_environment


def test_what_matters_is_there() -> None:
    environment = describe_environment()
    assert environment["python"] == f"CPython {platform.python_version()}"
    assert json.loads(json.dumps(environment)) == environment
    packages = environment["packages"]
    assert isinstance(packages, dict)
    assert {"niwaki", "numpy", "torch", "onnxruntime"} <= set(packages)


def test_nobody_is_named() -> None:
    text = json.dumps(describe_environment())
    for private in (str(Path.home()) + os.sep, str(Path.cwd()), socket.gethostname()):
        assert f'"{private}' not in text
    assert f'"{getpass.getuser()}"' not in text


def test_a_folder_outside_git_has_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert describe_environment()["git"] is None


def test_the_commit_and_its_changes_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    Path("file").write_text("one")
    for command in (["init", "-q"], ["add", "file"], [*identity, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", *command], check=True)
    command = ["git", "rev-parse", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert describe_environment()["git"] == {"commit": commit, "modified": False}
    Path("file").write_text("two")
    assert describe_environment()["git"] == {"commit": commit, "modified": True}


def test_no_git_at_all_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert describe_environment()["git"] is None


def test_changed_fields_are_named_by_their_path() -> None:
    before: dict[str, JSON] = {"a": 1, "b": {"c": [1, 2], "d": None}, "e": 3}
    after: dict[str, JSON] = {"a": 1, "b": {"c": [1, 3], "d": None}, "f": {"g": 1}}
    assert changed_fields(before, after) == ["b.c", "e", "f"]


def test_files_that_were_imported_by_their_path_are_told_by_name(tmp_path: Path) -> None:
    file = tmp_path / "hedgehog.py"
    file.write_text("SPINES = 5000\n")
    import_object(f"{file}:SPINES")
    files = describe_environment()["user_files"]
    assert isinstance(files, dict)
    assert files["hedgehog.py"] == fingerprint("SPINES = 5000\n")


def test_a_changed_file_is_told_beside_one_of_its_name(tmp_path: Path) -> None:
    for folder in ("left", "right"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "badger.py").write_text(f"SIDE = '{folder}'\n")
    import_object(f"{tmp_path}/left/badger.py:SIDE")
    alone = describe_environment()
    import_object(f"{tmp_path}/right/badger.py:SIDE")
    assert "user_files.badger.py" in changed_fields(alone, describe_environment())
