"""What a goal is called, and what several want together."""

import pytest

from niwaki.core.constraints import Constraint
from niwaki.core.errors import ConfigError
from niwaki.core.goals import Goal, goal_named, of_all
from niwaki.core.objectives import Direction, Objective

GAIN = Objective("gain", Direction.MAXIMIZE)
PRICE = Objective("price", Direction.MINIMIZE, "ms")
WEIGHT = Objective("weight", Direction.MINIMIZE)
BOUND = Constraint.parse("gain >= 0.5 * baseline")
STRONG = Goal("strong", (GAIN, PRICE))
LIGHT = Goal("light", (WEIGHT, PRICE), (BOUND, Constraint.parse("price <= 3")), "depth")


@pytest.mark.parametrize("name", ["depth", "Depth_2.small", "_x", "7-b"])
def test_names_can_begin_those_of_folders(name: str) -> None:
    assert Goal(name, (GAIN,)).name == name


@pytest.mark.parametrize("name", [".depth", "-depth", "a/b", "a b", "depth\n", "tiefe:ü", ".."])
def test_others_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="use letters, digits"):
        Goal(name, (GAIN,))


def test_what_is_written_is_read() -> None:
    for goal in (STRONG, LIGHT):
        assert Goal.from_json(goal.to_json()) == goal


def test_one_without_objectives_is_not_read() -> None:
    with pytest.raises(ValueError, match="without objectives"):
        Goal.from_json({**STRONG.to_json(), "objectives": []})


def test_each_value_that_is_wanted_is_named_once() -> None:
    assert LIGHT.wanted == ("weight", "price", "gain")


def test_objectives_of_all_are_each_there_once() -> None:
    assert of_all([STRONG, LIGHT]) == (GAIN, PRICE, WEIGHT)


def test_a_value_has_one_direction() -> None:
    dear = Goal("dear", (Objective("price", Direction.MAXIMIZE),))
    with pytest.raises(ConfigError, match=r"maximize 'price', and another .* minimize it"):
        of_all([STRONG, dear])


def test_an_unknown_goal_is_told_with_those_that_there_are() -> None:
    assert goal_named("light", [STRONG, LIGHT]) == LIGHT
    with pytest.raises(ConfigError, match=r"'lihgt'; did you mean 'light'\? .* are strong, light"):
        goal_named("lihgt", [STRONG, LIGHT])
    with pytest.raises(ConfigError, match=r"no goal 'light'.* It has no goals"):
        goal_named("light", [])
