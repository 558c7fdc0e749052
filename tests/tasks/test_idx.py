"""MNIST-style files."""

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from niwaki.core.errors import ConfigError, DataError
from niwaki.tasks.base import SplitName
from niwaki.tasks.idx import IdxSettings, load, read_idx

CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}


def spelled(values: NDArray[Any]) -> bytes:
    code = CODES[values.dtype.str[1:]]
    header = bytes([0, 0, code, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    return header + values.astype(values.dtype.newbyteorder(">")).tobytes()


def write(path: Path, values: NDArray[Any], *, gz: bool = False) -> str:
    path.write_bytes(gzip.compress(spelled(values)) if gz else spelled(values))
    return str(path)


@pytest.mark.parametrize("gz", [False, True])
@pytest.mark.parametrize("dtype", list(CODES))
def test_every_type_is_read_back(tmp_path: Path, dtype: str, gz: bool) -> None:
    values = np.random.default_rng(0).normal(0, 40, (3, 4, 5)).astype(np.int8).astype(dtype)
    path = tmp_path / "x"
    write(path, values, gz=gz)
    found = read_idx(path, "x")
    assert found.dtype == values.dtype
    assert (found == values).all()


def test_images_and_labels_become_a_task(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = write(tmp_path / "i", rng.integers(256, size=(80, 9, 8), dtype=np.uint8), gz=True)
    labels = write(tmp_path / "l", (np.arange(80) % 10).astype(np.uint8))
    data = load(IdxSettings(images, labels, task="number"), seed=0)
    assert data.input_shape == (1, 9, 8)
    assert data.tasks[0].name == "number"
    assert sum(data[name].n_items or 0 for name in SplitName) == 80


def test_a_test_file_of_its_own_is_kept_whole(tmp_path: Path) -> None:
    inputs, labels = {}, {}
    for split, n in (("train", 90), ("test", 13)):
        inputs[split] = write(tmp_path / f"{split}-i", np.ones((n, 4, 4), np.uint8))
        labels[split] = write(tmp_path / f"{split}-l", (np.arange(n) % 2).astype(np.uint8))
    data = load(IdxSettings(inputs, labels, classes=("even", "odd")), seed=0)
    assert data[SplitName.TEST].n_items == 13


SOUND = spelled(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is no idx file: it starts with the bytes \(none\)"),
        (b"\x89PNG....", "is no idx file: it starts with the bytes 89 50 4e 47"),
        (b"\0\0\x0a\x01....", "is no idx file"),
        (SOUND[:10], "ends within its header, after 10 bytes"),
        (SOUND[:-1], r"\(2, 3, 4\) values of type uint8, which is 24 bytes, but 23 follow"),
        (SOUND + b"x", "but 25 follow"),
        (gzip.compress(SOUND, mtime=0)[:-9], "cannot be read"),
        (b"\x1f\x8bnot gzip", "cannot be read"),
    ],
)
def test_a_damaged_file_is_an_error(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_idx(tmp_path / "x", "x")


def test_splits_without_labels_are_refused() -> None:
    with pytest.raises(ConfigError, match="give both for the same splits"):
        load(IdxSettings({"train": "a", "test": "b"}, "c"), seed=0)


def test_more_labels_than_images_names_both_files(tmp_path: Path) -> None:
    images = write(tmp_path / "i", np.ones((8, 4, 4), np.uint8))
    labels = write(tmp_path / "l", np.ones(9, np.uint8))
    with pytest.raises(DataError, match=r"i' with '.*l'.*\(9,\) for inputs of shape \(8, 4, 4\)"):
        load(IdxSettings(images, labels), seed=0)


@pytest.mark.parametrize("shape", [(1,) * 70, (0, 2**32 - 1, 2**32 - 1)])
def test_a_shape_that_no_array_has_is_an_error(tmp_path: Path, shape: tuple[int, ...]) -> None:
    header = bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
    (tmp_path / "x").write_bytes(header + b"\1" * (0 not in shape))
    with pytest.raises(DataError, match="'x' says that its shape is"):
        read_idx(tmp_path / "x", "x")
