"""One canonical spelling."""

import math

import pytest

from niwaki.core.jsonable import JSON, canonical_json, fingerprint, finite_json, finite_or_none


def test_there_is_one_spelling() -> None:
    assert canonical_json({"b": [1, 2.5, None], "a": "ä"}) == '{"a":"\\u00e4","b":[1,2.5,null]}'
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})


def test_a_fingerprint_has_the_digits_asked_for() -> None:
    assert len(fingerprint([1])) == 16
    assert fingerprint([1], n_hex=40).startswith(fingerprint([1]))
    assert fingerprint([1]) != fingerprint([1.0])


def test_nan_has_no_spelling() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json([math.nan])
    assert [finite_or_none(v) for v in (1.5, math.nan, math.inf)] == [1.5, None, None]
    odd: JSON = {"a": [1.5, math.nan, (math.inf, True)], "b": "NaN", "c": None}
    assert finite_json(odd) == {"a": [1.5, None, [None, True]], "b": "NaN", "c": None}
