"""What came, in words."""

from collections import OrderedDict, UserDict

import numpy as np
import pytest

from niwaki.core.wording import for_spreadsheet, for_terminal, kind_of, on_one_line, qualified_name


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


def test_on_one_line_ends_of_lines_are_spelled_out_too() -> None:
    assert on_one_line("one\n\ttwo\x1b") == r"one\n\ttwo\x1b"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@sum", "\t=1"])
def test_no_text_is_a_formula(text: str) -> None:
    assert for_spreadsheet(text) == f"'{text}"
    assert for_spreadsheet(f"a{text}") == f"a{text}"


def test_a_type_is_named_with_its_module() -> None:
    assert qualified_name(OrderedDict()) == "collections.OrderedDict"
