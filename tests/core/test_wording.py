"""What came, in words."""

from collections import OrderedDict, UserDict

import numpy as np
import pytest

from niwaki.core.wording import kind_of


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], "a list"),
        (3, "an int"),
        (OrderedDict(), "an OrderedDict"),
        (UserDict(), "a UserDict"),
        (np.zeros(1), "an ndarray"),
    ],
)
def test_a_type_has_its_article(value: object, words: str) -> None:
    assert kind_of(value) == words
