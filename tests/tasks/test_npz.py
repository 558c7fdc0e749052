"""Users' `.npz` files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from niwaki.core.errors import ConfigError, DataError
from niwaki.tasks.base import SplitName
from niwaki.tasks.npz import NpzSettings, load
from niwaki.tasks.task import TaskSettings

TASKS = {
    "kind": TaskSettings(kind="classification", classes=("cat", "dog")),
    "far": TaskSettings(kind="depth"),
}


def write(path: Path, n: int, **changes: Any) -> str:
    rng = np.random.default_rng(n)
    arrays = {
        "inputs": rng.integers(256, size=(n, 6, 7, 3), dtype=np.uint8),
        "kind": rng.integers(2, size=n),
        "far": rng.random((n, 6, 7)),
    }
    np.savez(path, **{**arrays, **changes})
    return str(path)


def test_one_file_is_cut_into_all_splits(tmp_path: Path) -> None:
    data = load(NpzSettings(write(tmp_path / "all.npz", 100), TASKS), seed=0)
    assert [data[name].n_items for name in SplitName] == [60, 10, 10, 15, 5]
    assert data.input_shape == (3, 6, 7)
    assert data.preprocessing.layout == "NHWC"


def test_a_file_for_each_split_is_kept_whole(tmp_path: Path) -> None:
    path = {str(name): write(tmp_path / f"{name}.npz", 20 + i) for i, name in enumerate(SplitName)}
    data = load(NpzSettings(path, TASKS), seed=0)
    assert [data[name].n_items for name in SplitName] == [20, 21, 22, 23, 24]


def test_splits_that_one_scale_does_not_suit_are_refused(tmp_path: Path) -> None:
    inputs = np.zeros((9, 6, 7, 3), np.float32)
    path = {
        "train": write(tmp_path / "train.npz", 20),
        "test": write(tmp_path / "test.npz", 9, inputs=inputs),
    }
    with pytest.raises(DataError, match="uint8 in the train split, but float32 in the test split"):
        load(NpzSettings(path, TASKS), seed=0)


def test_arrays_may_have_other_names(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz", 50, x=np.ones((50, 4)), y=np.arange(50) % 2)
    settings = NpzSettings(path, {"kind": TASKS["kind"]}, inputs="x", targets={"kind": "y"})
    assert load(settings, seed=0).input_shape == (4,)


def test_a_missing_file_is_named_as_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"'data/train.npz' \(file of the train split\) does not"):
        load(NpzSettings("data/train.npz", TASKS), seed=0)


def test_a_missing_array_lists_those_there(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz", 9)
    settings = NpzSettings(path, TASKS, inputs="input")
    with pytest.raises(DataError, match=r"did you mean 'inputs'.* It has inputs, kind, far"):
        load(settings, seed=0)


def test_python_objects_are_not_unpickled(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz", 9, kind=np.array([None] * 9))
    with pytest.raises(DataError, match="without Python objects"):
        load(NpzSettings(path, TASKS), seed=0)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"\x93NUMPY"])
def test_another_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as an"):
        load(NpzSettings(str(tmp_path / "a.npz"), TASKS), seed=0)


def test_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    path = Path(write(tmp_path / "a.npz", 9))
    data = bytearray(path.read_bytes())
    data[300] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="cannot be read as an"):
        load(NpzSettings(str(path), TASKS), seed=0)


@pytest.mark.parametrize(("at", "byte"), [(4, 0xFF), (6, 0x01), (8, 0x0C), (8, 0x0E)])
def test_a_damaged_entry_is_an_error(tmp_path: Path, at: int, byte: int) -> None:
    """Version, flags and method of compression of the entry, there and in the directory."""
    path = Path(write(tmp_path / "a.npz", 9))
    data = bytearray(path.read_bytes())
    for signature, shift in ((b"PK\x03\x04", 0), (b"PK\x01\x02", 2)):
        data[data.index(signature) + at + shift] = byte
    path.write_bytes(data)
    with pytest.raises(DataError, match="cannot be read as an"):
        load(NpzSettings(str(path), TASKS), seed=0)


@pytest.mark.parametrize("name", ["a" * 300 + ".npz", "a.npz/b.npz"])
def test_a_path_that_cannot_be_is_an_error(tmp_path: Path, name: str) -> None:
    write(tmp_path / "a.npz", 9)
    with pytest.raises(DataError, match=r"\(file of the train split\) (cannot be|does not)"):
        load(NpzSettings(str(tmp_path / name), TASKS), seed=0)


def test_the_home_of_nobody_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"'~nobody-at-all/a\.npz' cannot be found, since"):
        load(NpzSettings("~nobody-at-all/a.npz", TASKS), seed=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"path": {"trian": "a.npz"}}, "did you mean 'train'"),
        ({"path": {"test": "a.npz"}}, "no path for the train split"),
        ({"tasks": {}}, "no task is declared"),
        ({"targets": {"knd": "y"}}, "did you mean 'kind'"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(NpzSettings(**{"path": "a.npz", "tasks": TASKS, **changes}), seed=0)
