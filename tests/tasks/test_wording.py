"""What came, in words."""

from collections import OrderedDict, UserDict

import pytest

from niwaki.tasks.wording import kind_of


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], "a list"),
        (3, "an int"),
        (OrderedDict(), "an OrderedDict"),
        (UserDict(), "a UserDict"),
    ],
)
def test_a_type_has_its_article(value: object, words: str) -> None:
    assert kind_of(value) == words
