"""AddNIST and MultNIST: labels are what the digits say, and no digit is in two splits."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from niwaki.core.errors import ConfigError, DataError
from niwaki.tasks.arrays import ArraySplit
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.unseen.digit_triples import (
    DigitTriplesSettings,
    Rule,
    addnist,
    load_addnist,
    load_multnist,
    make,
    multnist,
)
from niwaki.tasks.unseen.drawn_digits import drawn_digits
from niwaki.tasks.unseen.pools import divided
from tests.tasks.unseen.made_up import digits_file

SIZES = dict(zip(SplitName, (120, 40, 40, 60, 20), strict=True))


def settings(path: str | dict[str, str], cache: Path) -> DigitTriplesSettings:
    return DigitTriplesSettings(
        path, train=120, search=40, val=40, test=60, calibration=20, cache=str(cache)
    )


def labels_of(data: TaskData, split: SplitName) -> list[int]:
    return [int(y) for batch in data[split].batches(64) for y in batch.targets[data.tasks[0].name]]


def test_the_rules_by_brute_force() -> None:
    sums = [(t, sum(t) - 1) for t in product(range(10), repeat=3) if 0 <= sum(t) - 1 <= 19]
    rule = addnist()
    assert [tuple(t) for t in rule.triples.tolist()] == [t for t, _ in sums]
    assert rule.labels.tolist() == [label for _, label in sums]
    assert multnist().labels.tolist() == [
        (a * b * c) % 10 for a, b, c in product(range(10), repeat=3)
    ]


@pytest.mark.parametrize("rule", [addnist(), multnist()], ids=["addnist", "multnist"])
def test_labels_follow_from_the_digits_shown(rule: Rule) -> None:
    pools = divided({SplitName.TRAIN: drawn_digits()}, seed=3)
    made = make(rule, pools, SIZES, seed=3)
    for split in SplitName:
        shown = pools.labels[made[f"{split}_sources"]]
        wanted = shown.sum(axis=1) - 1 if rule.name == "addnist" else shown.prod(axis=1) % 10
        assert (made[f"{split}_labels"] == wanted).all()
        assert (made[f"{split}_inputs"] == pools.images[made[f"{split}_sources"], 0]).all()


def test_no_digit_is_shown_in_two_splits() -> None:
    pools = divided({SplitName.TRAIN: drawn_digits()}, seed=0)
    made = make(addnist(), pools, SIZES, seed=0)
    shown = [set(made[f"{split}_sources"].ravel().tolist()) for split in SplitName]
    assert len(set().union(*shown)) == sum(map(len, shown))


def test_classes_are_equally_frequent(tmp_path: Path) -> None:
    data = load_addnist(settings(digits_file(tmp_path / "d.npz"), tmp_path), seed=0)
    counts = np.bincount(labels_of(data, SplitName.TRAIN), minlength=20)
    assert counts.tolist() == [6] * 20
    assert data.input_shape == (3, 6, 6)


def test_digits_need_no_file(tmp_path: Path) -> None:
    data = load_multnist(replace(settings("scikit-learn", tmp_path)), seed=0)
    assert data.input_shape == (3, 28, 28)
    assert data.tasks[0].n_outputs == 10


def test_drawn_digits_look_like_digits() -> None:
    """A classifier that knows nothing but the nearest neighbour tells them apart."""
    digits = drawn_digits()
    flat = digits.images.reshape(len(digits), -1).astype(np.float32)
    known, asked = flat[:1500], flat[1500:1600]
    distance = ((asked[:, None] - known[None]) ** 2).sum(axis=2)
    assert (digits.labels[distance.argmin(axis=1)] == digits.labels[1500:1600]).mean() > 0.9


def test_the_cache_is_used_and_follows_the_seed(tmp_path: Path) -> None:
    chosen = settings(digits_file(tmp_path / "d.npz"), tmp_path)
    first, other = load_addnist(chosen, seed=0), load_addnist(chosen, seed=1)
    again = load_addnist(chosen, seed=0)
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert len(list(tmp_path.glob("addnist-*.npz"))) == 2


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    chosen = settings(digits_file(tmp_path / "d.npz"), tmp_path)
    first = load_addnist(chosen, seed=0)
    digits_file(tmp_path / "d.npz", n=300, seed=9)
    assert load_addnist(chosen, seed=0).fingerprint != first.fingerprint


def test_a_test_file_gives_the_test_split(tmp_path: Path) -> None:
    train = digits_file(tmp_path / "train.npz")
    test = digits_file(tmp_path / "test.npz", n=50, seed=7)
    chosen = settings({"train": train, "test": test}, tmp_path)
    split = load_addnist(chosen, seed=0)[SplitName.TEST]
    assert isinstance(split, ArraySplit)
    known = {image.tobytes() for image in np.load(test)["X"]}
    assert {plane.tobytes() for item in split.arrays.inputs for plane in item} <= known


def test_a_missing_file_says_what_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'none.npz' .* does not exist.*MNIST.*scikit-learn"):
        load_addnist(settings("none.npz", tmp_path), seed=0)


def test_shared_data_are_found_beside_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digits_file(tmp_path / "d.npz")
    monkeypatch.setenv("NIWAKI_DATA", str(tmp_path))
    assert load_addnist(settings("d.npz", tmp_path), seed=0).input_shape == (3, 6, 6)


def test_labels_that_are_no_digits_are_refused(tmp_path: Path) -> None:
    path = digits_file(tmp_path / "d.npz", y=np.arange(400) % 9)
    with pytest.raises(DataError, match="digits from 0 to 9 are needed"):
        load_addnist(settings(path, tmp_path), seed=0)


def test_every_split_needs_an_item(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="addnist has val: 0"):
        load_addnist(replace(settings("scikit-learn", tmp_path), val=0), seed=0)
