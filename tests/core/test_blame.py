"""Errors of plug-ins say, below their traceback, who was asked for what."""

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
