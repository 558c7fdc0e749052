"""Saved predictors: what comes back, and what is refused."""

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from niwaki.core.errors import DataError, RunFolderError
from niwaki.core.randomness import stream
from niwaki.predictors.base import Predictor
from niwaki.predictors.composed.on_columns import OnColumns
from niwaki.predictors.composed.stacking import Stacking
from niwaki.predictors.linear.ridge import Ridge
from niwaki.predictors.mlp_ensemble import MlpEnsemble, MlpEnsembleSettings
from niwaki.predictors.state import as_part, part_of, read_state, write_state
from niwaki.predictors.trees.ensemble import TreeEnsemble, TreeEnsembleSettings
from niwaki.testing.predictor_contract import examples

MEMBER = "niwaki.json.npy"


class Bomb:
    """Goes off when unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return eval, ("1 / 0",)


def test_arrays_come_back_bit_by_bit(tmp_path: Path) -> None:
    state = {"a": np.array([0.1, -0.0, np.pi]), "part/b": np.array([[True], [False]])}
    write_state(tmp_path / "x.npz", state, kind="Kind", about={"n": [1, None]})
    found, about = read_state(tmp_path / "x.npz", kind="Kind")
    assert {name: array.tobytes() for name, array in found.items()} == {
        name: array.tobytes() for name, array in state.items()
    }
    assert about == {"n": [1, None]}
    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"]


def test_parts_are_taken_out_as_they_were_put_in() -> None:
    state = {"a": np.zeros(1), "b/c": np.ones(2)}
    assert list(part_of(as_part(state, "inner"), "inner")) == ["a", "b/c"]


def test_objects_are_neither_written_nor_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="allow_pickle"):
        write_state(tmp_path / "x.npz", {"a": np.array([Bomb()])}, kind="Ridge", about={})
    assert list(tmp_path.iterdir()) == []
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w") as archive, archive.open(MEMBER, "w") as file:
        np.save(file, np.array([Bomb()], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="is not a saved predictor"):
        Ridge().load(tmp_path / "bomb.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 damaged", pickle.dumps([1, 2])])
def test_a_file_of_anything_else_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="is not a saved predictor"):
        Ridge().load(path)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    predictor = Ridge()
    predictor.fit(*examples(20))
    predictor.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="fit and save one again"):
        Ridge().load(path)


@pytest.mark.parametrize(
    "damage",
    [
        (4, 255),  # the version of zip that is needed
        (6, 1),  # encrypted
        (8, 99),  # the means of compression
    ],
)
def test_one_damaged_byte_of_the_list_of_members_is_refused(
    tmp_path: Path, damage: tuple[int, int]
) -> None:
    path = tmp_path / "x.npz"
    write_state(path, {"a": np.arange(3.0)}, kind="Kind", about={})
    content = bytearray(path.read_bytes())
    for start, shift in ((content.find(b"PK\3\4"), 0), (content.find(b"PK\1\2"), 2)):
        content[start + shift + damage[0]] = damage[1]
    path.write_bytes(content)
    with pytest.raises(DataError, match="is not a saved predictor"):
        read_state(path, kind="Kind")


@pytest.mark.parametrize("header", [b"[" * 100_000, b"[1, 2]", b'"text"', b"{}", b"\xff"])
def test_a_header_that_says_nothing_is_refused(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, allow_pickle=False, **{"niwaki.json": np.frombuffer(header, dtype=np.uint8)})
    with pytest.raises(DataError, match="is not a saved predictor"):
        read_state(path, kind="Kind")


@pytest.mark.parametrize("change", ["value", "shape", "type", "name", "one more"])
def test_arrays_that_were_changed_since_are_refused(tmp_path: Path, change: str) -> None:
    path = tmp_path / "x.npz"
    write_state(path, {"a": np.arange(4.0)}, kind="Kind", about={})
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    changed: dict[str, dict[str, NDArray[np.generic]]] = {
        "value": {"a": np.arange(4.0) + 1e-9},
        "shape": {"a": np.arange(4.0).reshape(2, 2)},
        "type": {"a": np.arange(4.0).view(np.int64)},
        "name": {"b": np.arange(4.0)},
        "one more": {"a": np.arange(4.0), "b": np.zeros(1)},
    }
    np.savez(path, allow_pickle=False, **{MEMBER[:-4]: arrays[MEMBER[:-4]], **changed[change]})
    with pytest.raises(DataError, match="are not those that were saved"):
        read_state(path, kind="Kind")


def test_another_kind_is_refused(tmp_path: Path) -> None:
    predictor = Ridge()
    predictor.fit(*examples(20))
    predictor.save(tmp_path / "x.npz")
    with pytest.raises(DataError, match="holds a Ridge of schema 4, but a TreeEnsemble"):
        TreeEnsemble(TreeEnsembleSettings(n_trees=2)).load(tmp_path / "x.npz")


def test_a_missing_array_is_named(tmp_path: Path) -> None:
    write_state(tmp_path / "x.npz", {"n_columns": np.array(1)}, kind="Ridge", about={})
    with pytest.raises(DataError, match="has no 'center'"):
        Ridge().load(tmp_path / "x.npz")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no saved predictor at"):
        Ridge().load(tmp_path / "none.npz")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    predictor = Ridge()
    predictor.fit(*examples(20))
    with pytest.raises(RunFolderError, match="cannot be written"):
        predictor.save(tmp_path / "none" / "x.npz")


def networks(n_networks: int, *widths: int) -> Predictor:
    return MlpEnsemble(MlpEnsembleSettings(n_networks, widths, n_steps=2))


@pytest.mark.parametrize(
    ("saved", "built"),
    [
        (networks(2, 4, 4), networks(2, 4)),
        (networks(2, 4, 2), networks(2, 4)),
        (networks(2, 4), networks(2, 5)),
        (networks(2, 4), networks(3, 4)),
        (Stacking(members=[Ridge(), Ridge()]), Stacking(members=[Ridge()])),
        (OnColumns(Ridge(), [0, 1]), OnColumns(Ridge(), [1, 2])),
    ],
)
def test_what_was_saved_with_other_settings_is_refused(
    saved: Predictor, built: Predictor, tmp_path: Path
) -> None:
    rng = stream(0, "saved")
    saved.fit(rng.normal(size=(20, 3)), rng.normal(size=(20, 2)))
    saved.save(tmp_path / "saved.npz")
    with pytest.raises(DataError, match="it was saved with"):
        built.load(tmp_path / "saved.npz")
