"""Beginning with the best of earlier searches."""

from collections.abc import Mapping, Sequence

import pytest

from niwaki.core.candidate import Candidate
from niwaki.core.constraints import Bound
from niwaki.core.errors import SpaceError
from niwaki.core.measurement import Measurement, Status, Trial
from niwaki.core.objectives import Direction, Objective
from niwaki.search.base import Earlier, Problem
from niwaki.search.earlier import N_FIRST, informed
from niwaki.search.nsga2 import NSGA2
from niwaki.spaces import Choice, ChoiceSpace

SPACE = ChoiceSpace((Choice("x", tuple(range(20))),))
ERROR = Objective("error", Direction.MINIMIZE)
COST = Objective("cost", Direction.MINIMIZE)
SIZE = Objective("size", Direction.MINIMIZE)
NOW = Problem(SPACE, (ERROR, COST))


def candidate(x: int) -> Candidate:
    return Candidate.of({"x": x})


def earlier(
    rows: Mapping[int, Sequence[float]],
    objectives: tuple[Objective, ...] = (ERROR, COST),
    bounds: tuple[Bound, ...] = (),
) -> Earlier:
    """Return a search that measured values, in the order of its objectives, of some x."""
    names = [objective.name for objective in objectives]
    trials = [
        Trial(i, candidate(x), Measurement(str(x), dict(zip(names, values, strict=True))))
        for i, (x, values) in enumerate(rows.items())
    ]
    return Earlier(objectives, bounds, tuple(trials))


def first(*searches: Earlier, now: Problem = NOW) -> list[object]:
    return [each.decisions["x"] for each in informed(now, searches).initial]


LINE = {x: (x, 19 - x) for x in range(20)}  # all of them on one front


def test_the_ends_of_a_front_come_first_and_then_what_is_far() -> None:
    begins = first(earlier(LINE))
    assert len(begins) == N_FIRST
    assert set(begins[:2]) == {0, 19}
    assert begins[2] in (9, 10)


def test_a_short_front_is_followed_by_what_is_best_behind_it() -> None:
    rows = {0: (0, 0), 1: (1, 2), 2: (2, 1), 3: (9, 9)}
    assert first(earlier(rows)) == [0, 1, 2, 3]


def test_with_one_objective_the_best_come_in_order() -> None:
    found = earlier({x: (x,) for x in range(19)}, (ERROR,))
    assert first(found, now=Problem(SPACE, (ERROR,))) == [*range(N_FIRST)]


def test_what_is_wanted_now_says_who_was_best_where_it_was_measured() -> None:
    rows = {x: (x, 19 - x, (x * 7) % 20) for x in range(20)}
    three = earlier(rows, (ERROR, COST, SIZE))
    assert first(three, now=Problem(SPACE, (SIZE,)))[:2] == [0, 3]  # 0 and 21


def test_otherwise_what_was_wanted_then_does() -> None:
    assert first(earlier({x: (x,) for x in range(9)}, (SIZE,)))[:2] == [0, 1]


def test_a_value_that_is_better_the_other_way_round_is_another_one() -> None:
    speed = Objective("cost", Direction.MAXIMIZE)
    rows = {0: (0, 9), 1: (1, 1), 2: (2, 0)}
    assert first(earlier(rows, (ERROR, speed)))[0] == 0


def test_who_keeps_to_the_bounds_comes_first_if_anybody_does() -> None:
    begins = first(earlier(LINE, bounds=(Bound("cost", 1.0, 4.0),)))
    assert set(begins) == {15, 16, 17, 18, 19}


def test_if_nobody_keeps_to_the_bounds_those_come_first_that_come_nearest() -> None:
    begins = first(earlier(LINE, bounds=(Bound("cost", 1.0, -1.0),)))
    assert begins == [*range(19, 19 - N_FIRST, -1)]


def test_failures_are_nobody_s_best() -> None:
    failed = Trial(0, candidate(5), Measurement("5", status=Status.FAILED, reason="always"))
    search = Earlier((ERROR, COST), (), (failed, *earlier({1: (1, 1)}).trials))
    assert first(search) == [1]


def test_several_searches_take_turns_and_repeat_nothing() -> None:
    one, other = earlier({0: (0, 0), 1: (1, 1)}), earlier({0: (0, 0), 2: (1, 1)})
    assert first(one, other) == [0, 1, 2]


def test_candidates_that_are_one_network_are_begun_with_once() -> None:
    now = Problem(SPACE, (ERROR, COST), identity=lambda c: str(int(str(c.decisions["x"])) // 2))
    assert first(earlier({0: (0, 0), 1: (1, 1), 2: (2, 2)}), now=now) == [0, 2]


def test_what_the_problem_begins_with_stays_in_front() -> None:
    now = Problem(SPACE, (ERROR, COST), initial=(candidate(7),))
    assert first(earlier({7: (0, 0), 0: (1, 1)}), now=now) == [7, 0]


def test_a_search_that_measured_nothing_says_nothing() -> None:
    assert informed(NOW, [earlier({})]) == NOW


def test_every_searcher_begins_with_them() -> None:
    problem = informed(NOW, [earlier(LINE)])
    assert NSGA2(problem).ask(N_FIRST) == list(problem.initial)


def test_a_trial_of_another_space_is_refused() -> None:
    stranger = Trial(0, Candidate.of({"y": 1}), Measurement("y", {"error": 1.0, "cost": 1.0}))
    with pytest.raises(SpaceError, match="'x' is missing"):
        informed(NOW, [Earlier((ERROR, COST), (), (stranger,))])
