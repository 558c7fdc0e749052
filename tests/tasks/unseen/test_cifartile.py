"""CIFARTile: as many classes as the label says, and no photograph in two splits."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from niwaki.core.errors import ConfigError, DataError
from niwaki.tasks.base import SplitName
from niwaki.tasks.unseen.cifartile import CifarTileSettings, load_cifartile, make
from niwaki.tasks.unseen.pools import Pools, divided
from niwaki.tasks.unseen.source_images import SourceImages
from tests.tasks.unseen.made_up import photographs_file

SIZES = dict.fromkeys(SplitName, 40)


def pools(n_classes: int = 5, seed: int = 0) -> Pools:
    rng = np.random.default_rng(n_classes)
    images = rng.integers(1, 256, size=(900, 3, 4, 4), dtype=np.uint8)
    return divided({SplitName.TRAIN: SourceImages(images, np.arange(900) % n_classes)}, seed=seed)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), n_classes=st.integers(4, 9))
def test_the_label_counts_the_classes(seed: int, n_classes: int) -> None:
    sources = pools(n_classes, seed)
    made = make(sources, SIZES, padding=2, seed=seed)
    for split in SplitName:
        for shown, label in zip(made[f"{split}_sources"], made[f"{split}_labels"], strict=True):
            counts = np.unique(sources.labels[shown], return_counts=True)[1]
            assert len(counts) == label + 1
            assert sorted(counts.tolist()) == [[4], [2, 2], [1, 1, 2], [1, 1, 1, 1]][label]
            assert len(set(shown.tolist())) == 4


def test_no_photograph_is_in_two_splits() -> None:
    made = make(pools(), SIZES, padding=0, seed=0)
    shown = [set(made[f"{split}_sources"].ravel().tolist()) for split in SplitName]
    assert len(set().union(*shown)) == sum(map(len, shown))


def test_photographs_stand_in_reading_order() -> None:
    sources = pools()
    made = make(sources, SIZES, padding=0, seed=0)
    for item, (a, b, c, d) in zip(made["val_inputs"], made["val_sources"], strict=True):
        assert (item[:, :4, :4] == sources.images[a]).all()
        assert (item[:, :4, 4:] == sources.images[b]).all()
        assert (item[:, 4:, :4] == sources.images[c]).all()
        assert (item[:, 4:, 4:] == sources.images[d]).all()


def test_train_photographs_alone_are_shifted_and_mirrored() -> None:
    sources = pools()
    plain, moved = (make(sources, SIZES, padding=p, seed=0) for p in (0, 1))
    assert (plain["test_inputs"] == moved["test_inputs"]).all()
    assert (plain["train_sources"] == moved["train_sources"]).all()
    first, shown = moved["train_inputs"][:, :, :4, :4], sources.images[moved["train_sources"][:, 0]]
    for tile, photograph in zip(first, shown, strict=True):
        padded = np.pad(photograph, ((0, 0), (1, 1), (1, 1)))
        windows = [padded[:, y : y + 4, x : x + 4] for y in range(3) for x in range(3)]
        assert any((tile == w).all() or (tile == w[..., ::-1]).all() for w in windows)


def test_it_is_loaded_from_a_file(tmp_path: Path) -> None:
    path = photographs_file(tmp_path / "p.npz")
    chosen = CifarTileSettings(path, train=30, search=8, val=8, test=8, cache=str(tmp_path))
    data = load_cifartile(chosen, seed=0)
    assert data.input_shape == (3, 8, 8)
    assert data.class_names == {"cifartile": ("1", "2", "3", "4")}
    assert data.chance == {"cifartile_accuracy": pytest.approx(8 / 30)}


def test_three_classes_are_too_few(tmp_path: Path) -> None:
    chosen = CifarTileSettings(
        photographs_file(tmp_path / "p.npz", n_classes=3), cache=str(tmp_path)
    )
    with pytest.raises(DataError, match="of 3 classes, but an item shows up to four"):
        load_cifartile(chosen, seed=0)


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="'padding' is -1"):
        CifarTileSettings("a.npz", padding=-1)
