"""The same numbers in two processes, and others."""

import numpy as np
import pytest

from niwaki.core.likeness import Likeness, unlike
from niwaki.core.randomness import stream

LABELS = stream(0, "labels").integers(10, size=5000)
IMAGES = stream(0, "images").normal(size=(300, 3, 30, 30)).astype(np.float32)


def test_rounding_makes_no_other_array() -> None:
    rounded = (IMAGES * np.float32(1 + 1e-6)).astype(np.float64)
    assert Likeness.of(IMAGES).is_like(Likeness.of(rounded))


def test_a_label_or_the_order_of_items_makes_another() -> None:
    one_else = LABELS.copy()
    one_else[4321] = (one_else[4321] + 1) % 10
    assert not Likeness.of(LABELS).is_like(Likeness.of(one_else))
    assert not Likeness.of(LABELS).is_like(Likeness.of(LABELS[::-1]))
    assert not Likeness.of(IMAGES).is_like(Likeness.of(IMAGES.swapaxes(2, 3)))
    assert not Likeness.of(IMAGES).is_like(Likeness.of(IMAGES[:-1]))


@pytest.mark.parametrize("values", [3.0, [], [[]], [np.nan, 1.0], [np.inf, -np.inf], [True]])
def test_any_array_is_like_itself(values: object) -> None:
    assert Likeness.of(np.array(values)).is_like(Likeness.of(np.array(values)))


def test_arrays_that_only_one_has_are_unlike() -> None:
    here = Likeness.of(LABELS)
    assert unlike({"a": here, "b": here}, {"b": here, "c": here}) == ["a", "c"]
