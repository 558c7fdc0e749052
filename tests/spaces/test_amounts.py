"""Ranges of amounts, for the options of a decision."""

import pytest

from niwaki.core.errors import SpaceError
from niwaki.spaces import amounts


def test_whole_numbers_are_all_there_if_they_are_few() -> None:
    assert amounts(1, 5) == (1, 2, 3, 4, 5)
    assert len(amounts(1, 32)) == 32
    assert len(amounts(1, 1000)) == 17
    assert {type(each) for each in amounts(1, 1000)} == {int}


def test_real_numbers_are_evenly_spaced_and_short() -> None:
    assert amounts(0.0, 1.0, n=4) == (0.0, 0.3333, 0.6667, 1.0)
    assert amounts(1e-4, 1e-1, log=True, n=4) == (0.0001, 0.001, 0.01, 0.1)
    assert amounts(1, 2.0, n=3) == (1, 1.5, 2.0)


def test_digits_are_kept_where_amounts_would_be_equal() -> None:
    found = amounts(1.0, 1.0001, n=5)
    assert len(set(found)) == 5
    assert found == tuple(sorted(found))


def test_ratios_of_whole_numbers_are_whole_and_differ() -> None:
    assert amounts(16, 1024, log=True, n=7) == (16, 32, 64, 128, 256, 512, 1024)
    assert amounts(1, 8, log=True, n=12) == (1, 2, 3, 4, 5, 7, 8)


def test_steps_end_within_the_range() -> None:
    assert amounts(0.0, 0.5, step=0.1) == (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
    assert amounts(8, 100, step=32) == (8, 40, 72)
    assert amounts(0.1, 0.7, step=0.2) == (0.1, 0.3, 0.5, 0.7)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"low": 0, "high": 1, "log": True}, "give a 'low' above 0"),
        ({"low": 1, "high": 1}, "give a 'high' above 'low'"),
        ({"low": 0, "high": float("inf")}, "'high' of a range is inf: give a finite number"),
        ({"low": 0, "high": True}, "'high' of a range is True"),
        ({"low": 0, "high": 1, "step": 0}, "'step' of a range is 0: give a number above 0"),
        ({"low": 1, "high": 9, "step": 2, "log": True}, "both 'step' and 'log'"),
        ({"low": 1, "high": 9, "step": 2, "n": 3}, "both 'step' and 'n'"),
        ({"low": 1, "high": 9, "n": 1}, "'n' of a range is 1"),
        ({"low": 0, "high": 1, "step": 1e-9}, "1,000,000,001 options: at most 10,000"),
    ],
)
def test_what_is_no_range_is_told(given: dict[str, float], said: str) -> None:
    with pytest.raises(SpaceError) as error:
        amounts(**given)  # type: ignore[arg-type]
    assert said in str(error.value)
