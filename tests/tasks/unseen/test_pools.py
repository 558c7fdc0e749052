"""Sources belong to one split, whatever files there are."""

import numpy as np
import pytest

from niwaki.core.errors import DataError
from niwaki.tasks.base import SplitName
from niwaki.tasks.unseen.pools import divided
from niwaki.tasks.unseen.source_images import SourceImages


def source(n: int, *, seed: int = 0, size: int = 4) -> SourceImages:
    rng = np.random.default_rng(seed)
    images = rng.integers(256, size=(n, 1, size, size), dtype=np.uint8)
    return SourceImages(images, np.arange(n) % 3)


@pytest.mark.parametrize("seed", range(3))
def test_every_source_is_in_exactly_one_split(seed: int) -> None:
    pools = divided({SplitName.TRAIN: source(200)}, seed=seed)
    together = np.concatenate([pools.members[split] for split in SplitName])
    assert np.sort(together).tolist() == list(range(200))


def test_a_file_of_its_own_is_kept_whole() -> None:
    files = {SplitName.TRAIN: source(200), SplitName.TEST: source(30, seed=1)}
    pools = divided(files, seed=0)
    assert (pools.images[pools.members[SplitName.TEST]] == files[SplitName.TEST].images).all()
    assert sum(len(pools.members[split]) for split in SplitName) == 230


def test_equal_images_count_as_one_and_test_keeps_its_own() -> None:
    train, test = source(200), source(30, seed=1)
    doubled = SourceImages(
        np.concatenate([train.images, train.images[:5], test.images[:7]]),
        np.concatenate([train.labels, train.labels[:5], test.labels[:7]]),
    )
    pools = divided({SplitName.TRAIN: doubled, SplitName.TEST: test}, seed=0)
    assert pools.n_repeated == 12
    assert len(pools.members[SplitName.TEST]) == 30
    assert len(np.unique(pools.images, axis=0)) == len(pools.images) == 230


def test_one_file_for_two_splits_is_refused() -> None:
    with pytest.raises(DataError, match="train split is in that of another split too"):
        divided({SplitName.TRAIN: source(50), SplitName.TEST: source(50)}, seed=0)


def test_files_of_different_sizes_are_refused() -> None:
    with pytest.raises(DataError, match=r"test split have shape \(1, 5, 5\)"):
        divided({SplitName.TRAIN: source(50), SplitName.TEST: source(9, size=5)}, seed=0)


def test_a_class_without_enough_sources_is_named() -> None:
    pools = divided({SplitName.TRAIN: source(40)}, seed=0)
    with pytest.raises(DataError, match=r"calibration split gets \d different .* needs 4"):
        pools.by_class(SplitName.CALIBRATION, least=4)
