"""Several goals in one search: they ask in turn, and what one learns, all know."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.core.objectives import Direction, Objective
from niwaki.search.base import Problem
from niwaki.search.nsga2 import NSGA2
from niwaki.search.random_search import RandomSearch
from niwaki.search.several_goals import SeveralGoals
from niwaki.search.surrogate import Surrogate
from niwaki.spaces import Choice, ChoiceSpace
from niwaki.testing.toy_run import search
from niwaki.testing.toy_troubles import all_toys
from niwaki.testing.toys import Toy

TOY: Toy = next(toy for toy in all_toys() if toy.name == "joint")


def alone(problem: Problem) -> list[Problem]:
    """Return a problem for each of the objectives."""
    return [replace(problem, objectives=(each,)) for each in problem.objectives]


def goals_of(problem: Problem) -> SeveralGoals:
    """Return a search for each of the problem's objectives alone."""
    return SeveralGoals(alone(problem), NSGA2)


def test_no_goal_asks_for_what_another_asked_for() -> None:
    asked = search(goals_of(TOY.problem(seed=0)), TOY, 60, n_workers=3).asked
    assert len(set(asked)) == len(asked) == 60


def test_resuming_is_going_on() -> None:
    whole = search(goals_of(TOY.problem(seed=0)), TOY, 40)
    resumed = goals_of(TOY.problem(seed=0))
    resumed.resume(whole.asked[:25])
    resumed.tell(whole.told[:25])
    assert search(resumed, TOY, 15).asked == whole.asked[25:]


def test_resuming_is_going_on_where_goals_choose_together() -> None:
    problems = alone(TOY.problem(seed=0))
    whole = search(SeveralGoals(problems, Surrogate), TOY, 24)
    resumed = SeveralGoals(problems, Surrogate)
    resumed.resume(whole.asked[:14])
    resumed.tell(whole.told[:14])
    assert search(resumed, TOY, 10).asked == whole.asked[14:]


COLOURS = ChoiceSpace((Choice("colour", ("red", "green", "blue", "grey")),))
GAINS = {  # of each goal
    "warm": {"red": 3.0, "green": 2.0, "blue": 0.0},
    "cold": {"red": 0.0, "green": 2.0, "blue": 3.0},
    "none": {},
}


class Knowing(RandomSearch):
    """Expects of some colours that they gain something."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._gains: Mapping[str, float] = GAINS[problem.objectives[0].name]

    def favourites(self, most: int) -> list[Candidate]:
        colours = sorted(self._gains, key=lambda colour: -self._gains[colour])
        candidates = [Candidate.of({"colour": colour}) for colour in colours]
        return [each for each in candidates if each not in self._asked][:most]

    def expected_gains(self, candidates: Sequence[Candidate]) -> NDArray[np.float64]:
        return np.array([self._gains[str(each.decisions["colour"])] for each in candidates])


def knowing(*names: str) -> list[str]:
    """Return what goals of these names ask for, in turn."""
    goals = [Problem(COLOURS, (Objective(name, Direction.MINIMIZE),)) for name in names]
    return [str(each.decisions["colour"]) for each in SeveralGoals(goals, Knowing).ask(4)]


def test_what_several_goals_gain_from_comes_first() -> None:
    assert knowing("warm", "cold")[0] == "green"
    assert sorted(knowing("warm", "cold")) == ["blue", "green", "grey", "red"]


def test_a_goal_that_knows_nothing_asks_by_itself_when_it_is_its_turn() -> None:
    assert knowing("warm", "none")[0] == "red"
    assert (
        knowing("none", "warm")[0]
        == RandomSearch(Problem(COLOURS, ())).ask(1)[0].decisions["colour"]
    )


def test_goals_list_their_space_once() -> None:
    encoded: list[Candidate] = []

    def cheap(candidate: Candidate) -> Mapping[str, float]:
        encoded.append(candidate)
        return {}

    problem = replace(TOY.problem(seed=0), space=COLOURS, cheap=cheap)
    Surrogate(replace(problem, objectives=problem.objectives[:1]))
    n_encoded = len(encoded)
    Surrogate(replace(problem, objectives=problem.objectives[1:]))
    assert len(encoded) == n_encoded > 0
