"""Who climbs: of those that are equally good the loneliest, in any unit; of goals, by all."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from niwaki.core.candidate import Candidate
from niwaki.core.constraints import Bound
from niwaki.core.measurement import Measurement, Trial
from niwaki.core.objectives import Direction, Objective
from niwaki.search.base import Problem
from niwaki.search.schedulers.estimates import Estimates
from niwaki.search.schedulers.promotion import Promotion, TieBreak, _loneliest
from niwaki.testing.scheduler_contract import TOY

COSTS = np.array([[0.0, 4.0], [1.0, 1.0], [4.0, 0.0]])


@pytest.mark.parametrize("unit", [[1.0, 1.0], [1000.0, 0.01]])
def test_the_loneliest_is_farthest_from_its_nearest_neighbour_in_any_unit(
    unit: list[float],
) -> None:
    front = np.array([[0.0, 3.0], [3.0, 1.0]])
    # Distances of 1, of 2, and of the root of 2.
    assert _loneliest(COSTS * unit - 7.0, front * unit - 7.0) == 1
    assert _loneliest(COSTS[:, [1, 0]] * unit, front[:1, [1, 0]] * unit) == 2


@pytest.mark.parametrize("unit", [[1.0, 1.0], [1000.0, 0.01]])
def test_with_nobody_ahead_it_is_the_nearest_to_the_ideal(unit: list[float]) -> None:
    assert _loneliest(COSTS * unit + 5.0, np.empty((0, 2))) == 1


ERROR, NEAR, FAR = (Objective(name, Direction.MINIMIZE) for name in ("error", "near", "far"))
WHOLE = Problem(TOY.space, (ERROR, NEAR, FAR))
GOALS = (
    replace(WHOLE, objectives=(ERROR, NEAR)),
    replace(WHOLE, objectives=(ERROR, FAR), bounds=(Bound("far", 1, 5.0),)),
)


def trial(number: int, **values: float) -> Trial:
    return Trial(number, Candidate.of({"n": number}), Measurement(str(number), values))


def promoted(
    waiting: Sequence[Trial],
    ahead: Sequence[Trial] = (),
    *,
    tie_break: TieBreak = "gain",
    goals: tuple[Problem, ...] = GOALS,
) -> int | None:
    """Return the number of the candidate that is promoted of those that wait."""
    problem = replace(WHOLE, goals=goals)
    estimates = Estimates(problem)
    estimates.tell([*waiting, *ahead])
    found = Promotion(problem, estimates, tie_break).choose(waiting, ahead)
    return None if found is None else int(str(found.decisions["n"]))


AHEAD = (
    trial(10, error=4.0, near=4.0, far=4.0),
    trial(11, error=9.0, near=1.0, far=1.0),
    trial(12, error=1.0, near=9.0, far=5.0),
)


def test_who_is_good_for_several_goals_is_promoted_before_who_is_for_one() -> None:
    for_one = trial(0, error=2.0, near=2.0, far=9.0)
    for_both = trial(1, error=2.5, near=2.5, far=2.5)
    assert promoted([for_one, for_both], AHEAD) == 1
    assert promoted([for_one, for_both], AHEAD, goals=GOALS[:1]) == 0


def test_a_bound_of_one_goal_is_none_of_another() -> None:
    beyond = trial(0, error=2.0, near=2.0, far=9.0)
    within = trial(1, error=3.9, near=3.9, far=3.9)
    assert promoted([beyond, within], AHEAD) == 0
    assert promoted([beyond, within], AHEAD, goals=GOALS[1:]) == 1


@pytest.mark.parametrize("tie_break", ["gain", "spread"])
def test_what_lacks_a_value_counts_for_the_goals_that_do_not_want_it(tie_break: TieBreak) -> None:
    gap, rest = trial(0, error=2.0, near=2.0), trial(1, error=8.0, near=8.0, far=8.0)
    assert promoted([gap, rest], AHEAD, tie_break=tie_break, goals=GOALS[:1]) == 0
    assert promoted([gap], AHEAD, tie_break=tie_break) == 0
    assert promoted([gap], AHEAD, tie_break=tie_break, goals=GOALS[1:]) is None


def test_the_farthest_is_that_of_the_goal_whose_turn_it_is() -> None:
    goals = (replace(WHOLE, objectives=(NEAR,)), replace(WHOLE, objectives=(FAR,)))
    waiting = [trial(0, error=1.0, near=1.0, far=4.0), trial(1, error=1.0, near=8.0, far=1.0)]
    picked = [promoted(waiting, AHEAD[:n], tie_break="spread", goals=goals) for n in (0, 1, 2)]
    assert picked == [0, 1, 0]
