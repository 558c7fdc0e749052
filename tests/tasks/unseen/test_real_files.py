"""The tasks from the real files of the shared folder, against the published shapes."""

from pathlib import Path

import pytest

from niwaki.tasks.base import SplitName
from niwaki.tasks.paths import data_folder
from niwaki.tasks.unseen import (
    CifarTileSettings,
    DigitTriplesSettings,
    LanguageSettings,
    load_addnist,
    load_cifartile,
    load_language,
    load_multnist,
)

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(
        not data_folder().is_dir(), reason=f"no folder of shared data ({data_folder()})"
    ),
]
SIZES = {"train": 400, "search": 100, "val": 100, "test": 100, "calibration": 40}


def test_digits_of_mnist(tmp_path: Path) -> None:
    files = {"train": "mnist_train.npz", "test": "mnist_test.npz"}
    settings = DigitTriplesSettings(files, cache=str(tmp_path), **SIZES)  # type: ignore[arg-type]
    added, multiplied = load_addnist(settings, seed=0), load_multnist(settings, seed=0)
    assert added.input_shape == multiplied.input_shape == (3, 28, 28)
    assert added.tasks[0].n_outputs == 20
    assert added.preprocessing.mean == pytest.approx([0.1307] * 3, abs=0.02)


def test_photographs_of_cifar(tmp_path: Path) -> None:
    settings = CifarTileSettings("cifar10_small_jpeg.npz", cache=str(tmp_path), **SIZES)  # type: ignore[arg-type]
    data = load_cifartile(settings, seed=0)
    assert data.input_shape == (3, 64, 64)
    assert data[SplitName.TEST].n_items == 100


def test_words_of_ten_languages(tmp_path: Path) -> None:
    settings = LanguageSettings("common_words.parquet", cache=str(tmp_path), **SIZES)  # type: ignore[arg-type]
    data = load_language(settings, seed=0)
    assert data.input_shape == (1, 24, 24)
    assert len(data.tasks[0].classes) == 10
