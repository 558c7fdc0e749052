"""Files that are named by their path: imported once, and the same in other processes."""

import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from niwaki.core.errors import ConfigError
from niwaki.core.user_files import import_file, user_code

ELSEWHERE = """
import pickle, sys
from pathlib import Path
from niwaki.core.registry import import_object
from niwaki.core.user_files import receive
code, pickled = pickle.loads(Path(sys.argv[1]).read_bytes())
receive(code)
print(eval(sys.argv[2]), end="")
"""


@pytest.fixture(autouse=True)
def _own_imports(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget what a test has imported, and where from."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder of somebody's code, and work beside it."""
    folder = tmp_path / "project"
    (folder / "blocks").mkdir(parents=True)
    (folder / "garden.py").write_text(
        "from dataclasses import dataclass\n"
        "from blocks.hedge import height\n"
        "import tools_of_mine\n"
        "@dataclass\n"
        "class Tree:\n"
        "    age: int\n"
        "    def height(self):\n"
        "        return height(self.age) + tools_of_mine.SADDLE\n"
    )
    (folder / "blocks" / "hedge.py").write_text("def height(age):\n    return 10 * age\n")
    (folder / "tools_of_mine.py").write_text("SADDLE = 5\n")
    monkeypatch.chdir(tmp_path)
    return folder


def parcel(thing: object = None) -> bytes:
    """Pack something, and users' files with it."""
    return pickle.dumps((user_code(), pickle.dumps(thing)))


def elsewhere(sent: bytes, expression: str, *, cwd: Path) -> str:
    """Return what an expression is in another process that was sent a parcel."""
    (cwd / "parcel").write_bytes(sent)
    command = [sys.executable, "-c", ELSEWHERE, "parcel", expression]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def tree(file: Path) -> Any:
    return import_file(file).Tree(3)


def test_a_file_is_imported_once_however_it_is_named(project: Path) -> None:
    first = import_file(Path("project/garden.py"))
    assert import_file(project / "garden.py") is first
    assert import_file(Path("project/../project/garden.py")) is first


def test_it_can_import_what_lies_beside_it(project: Path) -> None:
    assert tree(Path("project/garden.py")).height() == 35


def test_what_lies_beside_it_hides_nothing_that_is_installed(project: Path) -> None:
    (project / "colorsys.py").write_text("raise ValueError('hidden')\n")
    (project / "other.py").write_text("import colorsys\nname = colorsys.rgb_to_hls.__name__\n")
    assert import_file(project / "other.py").name == "rgb_to_hls"


def test_what_was_imported_travels_where_there_are_no_such_files(
    project: Path, tmp_path: Path
) -> None:
    sent = parcel(tree(Path("project/garden.py")))
    shutil.rmtree(project)
    assert elsewhere(sent, "pickle.loads(pickled).height()", cwd=tmp_path) == "35"


def test_it_is_found_by_its_path_as_well_from_another_folder(project: Path, tmp_path: Path) -> None:
    sent = parcel(tree(Path("project/garden.py")))
    other = tmp_path / "other"
    other.mkdir()
    shutil.rmtree(project)
    named = "import_object('project/garden.py:Tree')"
    assert elsewhere(sent, f"{named}(2).height()", cwd=other) == "25"
    assert elsewhere(sent, f"{named} is type(pickle.loads(pickled))", cwd=other) == "True"


def test_other_processes_run_what_this_one_has_read(project: Path, tmp_path: Path) -> None:
    made = tree(project / "garden.py")
    (project / "garden.py").write_text("raise ValueError('half of an edit')\n")
    assert elsewhere(parcel(made), "pickle.loads(pickled).height()", cwd=tmp_path) == "35"


def test_where_the_working_directory_was_brought_along_a_file_lies_in_it(
    project: Path, tmp_path: Path
) -> None:
    sent = parcel(tree(Path("project/garden.py")))
    brought = tmp_path / "brought"
    shutil.copytree(project, brought / "project")
    shutil.rmtree(project)
    file = "import_object('project/garden.py:__file__')"
    assert elsewhere(sent, file, cwd=brought) == str(brought / "project" / "garden.py")


def test_the_lines_of_a_file_that_is_not_there_are_seen(project: Path, tmp_path: Path) -> None:
    source = (project / "garden.py").read_text()
    sent = parcel(tree(project / "garden.py"))
    shutil.rmtree(project)
    lines = "__import__('inspect').getsource(type(pickle.loads(pickled)))"
    found = elsewhere(sent, lines, cwd=tmp_path)
    assert found.startswith(("class Tree", "@dataclass")) and found in source


def test_no_more_is_sent_than_what_lies_beside_the_file(project: Path) -> None:
    import_file(project / "garden.py")
    sent = {file.path for file in user_code().files if file.path.is_relative_to(project)}
    beside = {project / "tools_of_mine.py", project / "blocks" / "hedge.py"}
    assert sent == {project / "garden.py", project / "blocks" / "__init__.py", *beside}
    assert not any(file.module.startswith(("niwaki.", "pytest")) for file in user_code().files)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no file '.*nothing\.py'"):
        import_file(tmp_path / "nothing.py")


@pytest.mark.parametrize("imported", ["import utils", "import data", "def later(): import utils"])
def test_neighbours_of_one_name_in_two_folders_are_refused(tmp_path: Path, imported: str) -> None:
    for folder, text in (("a", "import utils"), ("b", imported)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "plug.py").write_text(text)
        (tmp_path / folder / "data.py" if folder == "b" else tmp_path / "x.py").write_text(
            "from utils import WHERE"
        )
        (tmp_path / folder / "utils.py").write_text(f"WHERE = {folder!r}")
    assert import_file(tmp_path / "a" / "plug.py").utils.WHERE == "a"
    with pytest.raises(
        ConfigError, match=r"imports `utils` from .*b.utils\.py.*a.utils\.py.*Rename"
    ):
        import_file(tmp_path / "b" / "plug.py")
    (tmp_path / "b" / "utils.py").write_text("WHERE = 'a'")  # a copy is no other module
    assert import_file(tmp_path / "b" / "plug.py").__name__ in sys.modules


def test_neighbours_that_are_not_imported_do_not_matter(tmp_path: Path) -> None:
    for folder, text in (("a", "import utils"), ("b", "import json")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "plug.py").write_text(text)
        (tmp_path / folder / "utils.py").write_text(f"WHERE = {folder!r}")
    assert import_file(tmp_path / "a" / "plug.py").utils.WHERE == "a"
    assert import_file(tmp_path / "b" / "plug.py").json is sys.modules["json"]


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read: File name too long"):
        import_file(tmp_path / f"{'n' * 300}.py")
