"""Errors of plug-ins say, below their traceback, who was asked for what."""

import sys

import pytest

from niwaki.core.blame import raised_by
from niwaki.core.errors import DataError


def test_the_nearest_to_the_cause_is_blamed_alone() -> None:
    with (
        pytest.raises(OSError, match="no such file") as caught,
        raised_by("`prepare` of the evaluator"),
        raised_by("'my_data.py:loaders'"),
    ):
        raise OSError("no such file")
    (note,) = caught.value.__notes__
    assert note.startswith("This was raised by 'my_data.py:loaders'. Nothing is lost")


def test_errors_of_our_own_say_it_themselves() -> None:
    with pytest.raises(DataError) as caught, raised_by("'my_data.py:loaders'"):
        raise DataError("no items")
    assert not hasattr(caught.value, "__notes__")


def test_code_that_calls_exit_ends_nothing_as_if_all_had_gone_well() -> None:
    with (
        pytest.raises(RuntimeError, match=r"`sys.exit\(0\)` was called") as caught,
        raised_by("`ask` of the searcher"),
    ):
        sys.exit(0)
    assert "`ask` of the searcher" in caught.value.__notes__[0]
