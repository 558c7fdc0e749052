"""Prepared files: recognised where they are seen, packed and unpacked where they are not."""

import itertools
import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from niwaki.core.errors import StudyError
from niwaki.core.files import replacing
from niwaki.study.executors.ray_artifacts import Artifacts, unpack


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inner = tmp_path / "artifacts" / "inner"
    inner.mkdir(parents=True)
    (inner / "weights").write_bytes(bytes(range(256)))
    (tmp_path / "artifacts" / "target.json").write_text("{}")
    return tmp_path / "artifacts"


def test_files_are_recognised_beside_new_ones(folder: Path) -> None:
    artifacts = Artifacts.of(folder)
    (folder / "later").touch()
    assert artifacts.seen_here()
    assert [name for name, _, _ in artifacts.files] == ["inner/weights", "target.json"]


@pytest.mark.parametrize("change", ["delete", "touch", "grow"])
def test_other_files_at_the_same_path_are_not_mistaken_for_them(folder: Path, change: str) -> None:
    artifacts = Artifacts.of(folder)
    file = folder / "inner" / "weights"
    match change:
        case "delete":
            file.unlink()
        case "touch":
            os.utime(file, (0, 0))
        case "grow":
            file.write_bytes(bytes(300))
    assert not artifacts.seen_here()


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert Artifacts.of(tmp_path / "nowhere").files == ()


@contextmanager
def meanwhile(act: Callable[[int], None]) -> Iterator[None]:
    """Act again and again, with numbers from 0, in another thread."""
    stop = threading.Event()

    def keep_acting() -> None:
        for number in itertools.count():
            act(number)
            if stop.is_set():
                return

    with ThreadPoolExecutor(1) as pool:
        acting = pool.submit(keep_acting)
        try:
            yield
        finally:
            stop.set()
        acting.result()


def test_files_that_come_and_go_meanwhile_are_left_out(folder: Path) -> None:
    def write_and_drop(number: int) -> None:
        path = folder / "inner" / f"{number % 50}.pt"
        with replacing(path) as file:
            file.write(b"state")
        path.unlink()

    with meanwhile(write_and_drop):
        found = [Artifacts.of(folder).files for _ in range(300)]
    names = {name for files in found for name, _, _ in files}
    assert {"inner/weights", "target.json"} <= names
    assert not [name for name in names if name.endswith(".tmp")]


def test_folders_that_come_and_go_meanwhile_are_left_out(folder: Path) -> None:
    with meanwhile(lambda _: shutil.rmtree(tempfile.mkdtemp(dir=folder))):
        found = [Artifacts.of(folder).files for _ in range(4000)]
    assert {name for files in found for name, _, _ in files} == {"inner/weights", "target.json"}


def test_folders_that_are_not_finished_are_left_out(folder: Path) -> None:
    (folder / "half.tmp").mkdir()
    (folder / "half.tmp" / "weights").touch()
    assert [name for name, _, _ in Artifacts.of(folder).files] == ["inner/weights", "target.json"]


def test_what_is_unpacked_is_what_was_packed(folder: Path, tmp_path: Path) -> None:
    copy = unpack(Artifacts.of(folder).pack(), tmp_path / "node")
    assert (copy / "inner" / "weights").read_bytes() == bytes(range(256))
    assert sorted(path.name for path in copy.iterdir()) == ["inner", "target.json"]
    assert stat.S_IMODE(copy.parent.stat().st_mode) == 0o700


def test_workers_of_one_node_share_one_copy(folder: Path, tmp_path: Path) -> None:
    packed = Artifacts.of(folder).pack()
    first, second = unpack(packed, tmp_path / "node"), unpack(packed, tmp_path / "node")
    assert first == second
    assert list((tmp_path / "node").iterdir()) == [first]


def test_another_version_of_the_files_is_another_copy(folder: Path, tmp_path: Path) -> None:
    first = unpack(Artifacts.of(folder).pack(), tmp_path / "node")
    (folder / "target.json").write_text("[]")
    second = unpack(Artifacts.of(folder).pack(), tmp_path / "node")
    assert (first / "target.json").read_text() == "{}"
    assert (second / "target.json").read_text() == "[]"


def test_files_that_are_dropped_before_they_are_sent_are_left_out(
    folder: Path, tmp_path: Path
) -> None:
    artifacts = Artifacts.of(folder)
    (folder / "target.json").unlink()
    copy = unpack(artifacts.pack(), tmp_path / "node")
    assert [path.name for path in copy.iterdir()] == ["inner"]


def test_files_that_cannot_be_read_are_an_error(folder: Path) -> None:
    artifacts = Artifacts.of(folder)
    (folder / "target.json").unlink()
    (folder / "target.json").mkdir()
    with pytest.raises(StudyError, match=r"target\.json"):
        artifacts.pack()
