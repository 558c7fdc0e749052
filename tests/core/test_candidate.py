"""Candidates: one network, one key."""

import json
import pickle
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from niwaki.core import Candidate
from niwaki.core.errors import SpaceError

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=5)
DECISIONS = st.dictionaries(st.text(min_size=1), VALUES, max_size=5)


def test_the_order_of_deciding_does_not_matter() -> None:
    assert Candidate.of({"a": 1, "b": 2}) == Candidate.of([("b", 2), ("a", 1)])


def test_the_key_is_the_same_in_every_version() -> None:
    # Ledgers of earlier versions hold this key: never change it.
    candidate = Candidate.of({"encoder.width": 16, "head": ("conv", 3), "bias": True})
    assert candidate.key == "934660f044e1423d"


@pytest.mark.parametrize("value", [True, 1.0, "1", (1,), None])
def test_values_of_other_types_are_other_candidates(value: bool | float | str | tuple[int]) -> None:
    assert Candidate.of({"a": value}) != Candidate.of({"a": 1})


@given(DECISIONS, DECISIONS)
def test_keys_are_equal_if_and_only_if_json_is(
    first: dict[str, object], second: dict[str, object]
) -> None:
    a, b = Candidate.of(first), Candidate.of(second)  # type: ignore[arg-type]
    spelled = [json.dumps(c.to_json(), sort_keys=True) for c in (a, b)]
    assert (a.key == b.key) == (spelled[0] == spelled[1])
    assert (a == b) == (a.key == b.key)


@given(DECISIONS)
def test_json_brings_it_back(decisions: dict[str, object]) -> None:
    candidate = Candidate.of(decisions)  # type: ignore[arg-type]
    again = Candidate.from_json(json.loads(json.dumps(candidate.to_json())))
    assert again.items == candidate.items
    assert [type(v) for _, v in again.items] == [type(v) for _, v in candidate.items]


def test_candidates_that_are_read_share_the_texts_of_their_paths() -> None:
    first, second = (Candidate.from_json(json.loads('{"stage1.width": 8}')) for _ in range(2))
    assert first.items[0][0] is second.items[0][0]


@given(DECISIONS)
def test_a_part_is_what_was_prefixed(decisions: dict[str, object]) -> None:
    candidate = Candidate.of(decisions)  # type: ignore[arg-type]
    assert candidate.prefixed("network").part("network") == candidate
    assert candidate.prefixed("network").part("net").items == ()


def test_a_part_keeps_to_its_name() -> None:
    joint = Candidate.of({"a/x": 1, "ab/x": 2, "a/y/z": 3})
    assert joint.part("a") == Candidate.of({"x": 1, "y/z": 3})


def test_it_lives_in_sets_and_travels_after_use() -> None:
    candidate = Candidate.of({"a": (1, 2)})
    assert candidate.decisions["a"] == (1, 2)
    assert {candidate, pickle.loads(pickle.dumps(candidate))} == {candidate}


def test_decisions_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        Candidate.of({"a": 1}).decisions["a"] = 2  # type: ignore[index]


def test_a_path_decided_twice_is_refused() -> None:
    with pytest.raises(SpaceError, match="'a' is given twice"):
        Candidate.of([("a", 1), ("a", 2)])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([1, 2], "but a list came"),
        ({"a": {"b": 1}}, "'a' holds a dict"),
        ({"a": [1, {"b": 1}]}, "'a' holds a dict"),
        ({"a": float("nan")}, "'a' is nan"),
        ({"a": [float("inf")]}, "'a' is inf"),
        ({"a": json.loads("[" * 700 + "]" * 700)}, "'a' nests deeper than 200 levels"),
    ],
)
def test_what_is_no_candidate_is_refused(data: object, said: str) -> None:
    with pytest.raises(SpaceError, match=said):
        Candidate.from_json(data)


def test_a_mapping_is_told_to_be_given_to_of() -> None:
    with pytest.raises(SpaceError, match=r"are a dict, .*: write Candidate\.of\(decisions\)"):
        Candidate({"width": 8})  # type: ignore[arg-type]


def test_it_prints_as_its_decisions() -> None:
    assert str(Candidate.of({"b": 2, "a": "x"})) == "a=x, b=2"


def nested(depth: int) -> tuple[object, ...]:
    inner: tuple[object, ...] = ()
    for _ in range(depth):
        inner = (inner,)
    return inner


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.int64(8), "holds an int64: a decision is"),
        (float("nan"), "is nan: a number must be finite"),
        (nested(201), "nests deeper than 200 levels"),
        (nested(5000), "nests deeper than 200 levels"),
    ],
)
def test_a_decision_that_is_no_json_is_named(value: object, said: str) -> None:
    candidate = Candidate.of({"depth": 2, "width": cast("int", value)})
    with pytest.raises(SpaceError, match=f"decision 'width' {said}"):
        _ = candidate.key


def test_what_has_a_key_can_be_read_again() -> None:
    candidate = Candidate.of({"tree": cast("int", nested(200))})
    assert Candidate.from_json(candidate.to_json()).key == candidate.key


@pytest.mark.parametrize("paths", [(1,), ("a", 1), (("a",),)])
def test_a_path_that_is_no_text_is_refused(paths: tuple[object, ...]) -> None:
    with pytest.raises(SpaceError, match=r"of a decision is an? .*: give text"):
        Candidate.of({cast("str", path): 1 for path in paths})
