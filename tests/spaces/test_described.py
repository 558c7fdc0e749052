"""Spaces as JSON: what comes back is the same space."""

import json

import numpy as np
import pytest

from niwaki.core.errors import SpaceError
from niwaki.core.randomness import stream
from niwaki.spaces import Choice, ChoiceSpace, JointSpace
from niwaki.spaces.choices import Condition
from niwaki.spaces.described import space_from_json, space_to_json

DEPTH = Choice("depth", (1, 2))
WIDTH = Choice("width", (8, 16.5, "wide"), (Condition("depth", (2,)),))
EITHER = Choice("extra", (0, 1), when_any=(Condition("depth", (1,)), Condition("width", ("wide",))))
JOINT = JointSpace(
    {"a": ChoiceSpace((DEPTH, WIDTH, EITHER)), "b": ChoiceSpace((Choice("x", (True,)),))}
)


def test_a_space_comes_back() -> None:
    space = space_from_json(json.loads(json.dumps(space_to_json(JOINT))))
    rng = stream(0, "draws")
    candidates = [JOINT.sample(rng) for _ in range(20)]
    for candidate in candidates:
        space.validate(candidate)
    np.testing.assert_array_equal(space.encode(candidates), JOINT.encode(candidates))


def test_options_that_are_tuples_come_back() -> None:
    kernel = Choice("kernel", ((3, 3), (5, (7, 7)), "none"))
    space = ChoiceSpace((kernel, Choice("x", (1, 2), (Condition("kernel", ((3, 3),)),))))
    assert space_from_json(json.loads(json.dumps(space_to_json(space)))) == space


def test_amounts_come_back() -> None:
    space = ChoiceSpace((Choice("x", (1, 2, 4), ordered=True), Choice("y", (1, 2, 4))))
    assert space_from_json(json.loads(json.dumps(space_to_json(space)))) == space


def test_other_spaces_are_not_described() -> None:
    assert space_to_json(object()) is None


@pytest.mark.parametrize("data", [[], {"choices": [{"path": "x"}]}, {"parts": {"a": 3}}, "x"])
def test_what_describes_no_space_is_refused(data: object) -> None:
    with pytest.raises(SpaceError, match="describes no space"):
        space_from_json(data)
