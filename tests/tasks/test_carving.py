"""Splits carved from one set of items."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from niwaki.core.errors import ConfigError, DataError
from niwaki.core.randomness import stream
from niwaki.tasks.base import SplitName
from niwaki.tasks.carving import DEFAULT_FRACTIONS, carve, chosen_fractions


@given(st.lists(st.integers(0, 4), min_size=20, max_size=200), st.integers(0, 100))
def test_every_item_is_in_exactly_one_split(labels: list[int], seed: int) -> None:
    parts = carve(len(labels), DEFAULT_FRACTIONS, rng=stream(seed, "test"), labels=np.array(labels))
    together = np.sort(np.concatenate(list(parts.values())))
    assert together.tolist() == list(range(len(labels)))
    assert set(parts) == set(SplitName)
    assert all(len(part) for part in parts.values())


def test_each_split_has_its_share_of_each_class() -> None:
    labels = np.repeat([0, 1, 2], [700, 200, 100])
    parts = carve(1000, DEFAULT_FRACTIONS, rng=stream(0, "test"), labels=labels)
    for part in parts.values():
        counts = np.bincount(labels[part], minlength=3)
        assert np.abs(counts - np.array([0.7, 0.2, 0.1]) * len(part)).max() <= 1.0


def test_sizes_follow_the_fractions_without_labels_too() -> None:
    parts = carve(1000, DEFAULT_FRACTIONS, rng=stream(0, "test"))
    assert {str(name): len(part) for name, part in parts.items()} == {
        "train": 600, "search": 100, "val": 100, "test": 150, "calibration": 50,
    }  # fmt: skip


@pytest.mark.parametrize(("share", "n_items"), [(0.29, 29), (0.57, 57), (0.07, 7), (0.0799, 7)])
def test_a_share_of_a_hundred_items_is_as_many_as_it_says(share: float, n_items: int) -> None:
    parts = carve(100, {SplitName.TEST: share}, rng=stream(0, "test"))
    assert len(parts[SplitName.TEST]) == n_items


def test_another_seed_cuts_differently_and_the_same_seed_alike() -> None:
    first, again, other = (
        carve(100, DEFAULT_FRACTIONS, rng=stream(seed, "test"))[SplitName.TEST].tolist()
        for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_too_few_items_are_an_error() -> None:
    with pytest.raises(DataError, match="4 train items are too few"):
        carve(4, DEFAULT_FRACTIONS, rng=stream(0, "test"))


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ({"tset": 0.1}, "did you mean 'test'"),
        ({"val": 0.1}, "does not name a split to carve"),
        ({"test": 0.0}, "between 0 and 1"),
        ({"test": 0.9}, "add up to"),
    ],
)
def test_fractions_that_cannot_be_are_refused(fractions: dict[str, float], message: str) -> None:
    missing = [SplitName.SEARCH, SplitName.TEST, SplitName.CALIBRATION]
    with pytest.raises(ConfigError, match=message):
        chosen_fractions(fractions, missing)


def test_fractions_default_split_by_split() -> None:
    chosen = chosen_fractions({"test": 0.3}, [SplitName.TEST, SplitName.VAL])
    assert chosen == {SplitName.TEST: 0.3, SplitName.VAL: 0.1}
