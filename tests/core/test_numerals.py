"""Numbers for people."""

import math

import pytest

from niwaki.core.numerals import numeral


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.0557831, "0.05578"),
        (9_999.4, "9999"),
        (9_999.6, "10,000"),
        (10_000.0, "10,000"),
        (-91_234_567.4, "-91,234,567"),
        (3e-7, "3e-07"),
        (1e20, "1e+20"),
        (math.inf, "inf"),
        (math.nan, "nan"),
    ],
)
def test_counts_are_told_in_full_and_others_to_four_digits(value: float, text: str) -> None:
    assert numeral(value) == text


def test_more_digits_are_told_where_they_are_wanted() -> None:
    assert numeral(12_345.67, digits=6) == "12345.7"
    assert numeral(1_234_567.0, digits=6) == "1,234,567"
