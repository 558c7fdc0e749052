"""What came, in words."""

from collections import OrderedDict, UserDict

import numpy as np
import pytest

from niwaki.core.wording import for_terminal, kind_of


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


def test_what_a_terminal_would_obey_is_spelled_out() -> None:
    assert for_terminal("a\x1b[31m\r\x9b\0b") == r"a\x1b[31m\r\x9b\x00b"
    assert for_terminal("one\n\ttwo µ 樹") == "one\n\ttwo µ 樹"
