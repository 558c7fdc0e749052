"""Items that lie in two splits."""

import numpy as np

from niwaki.tasks.assembly import Preparation, prepare
from niwaki.tasks.base import SplitName
from niwaki.tasks.checks import Given
from tests.tasks.made_up import DIGIT, raw_arrays


def test_items_of_train_in_test_are_told_with_the_first() -> None:
    splits = {name: raw_arrays(20, seed=seed) for seed, name in enumerate(SplitName)}
    splits[SplitName.TEST].inputs[[4, 7]] = splits[SplitName.TRAIN].inputs[[3, 1]]
    given = {name: Given(arrays, name) for name, arrays in splits.items()}
    (warning,) = prepare((DIGIT,), given, Preparation(), seed=0).warnings
    assert warning.startswith("2 of 20 items of the test split are in the train split too")
    assert "index 4" in warning


def test_copies_within_train_are_found_where_carving_put_them() -> None:
    arrays = raw_arrays(60)
    arrays.inputs[:] = arrays.inputs[:1]
    told = prepare((DIGIT,), {SplitName.TRAIN: Given(arrays, "a")}, Preparation(), seed=0).warnings
    assert any("6 of 6 items of the val split are in the search split too" in one for one in told)


def test_copies_in_calibration_and_within_a_split_do_no_harm() -> None:
    splits = {name: raw_arrays(20, seed=seed) for seed, name in enumerate(SplitName)}
    splits[SplitName.CALIBRATION] = splits[SplitName.TRAIN]
    splits[SplitName.TRAIN].inputs[:3] = np.uint8(7)
    given = {name: Given(arrays, name) for name, arrays in splits.items()}
    assert prepare((DIGIT,), given, Preparation(), seed=0).warnings == ()
