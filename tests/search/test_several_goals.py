"""Several goals in one search: they ask in turn, and what one learns, all know."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Trial
from niwaki.core.objectives import Direction, Objective
from niwaki.search.base import Problem, Searcher
from niwaki.search.listed import Listed
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


class Noting(NSGA2):
    """Notes what it gave, what others gave, and what it was told."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.gave: list[Candidate] = []
        self.met: list[Candidate] = []
        self.heard: list[Trial] = []

    def ask(self, n: int, pending: Sequence[Candidate] = ()) -> list[Candidate]:
        found = super().ask(n, pending)
        self.gave += found
        return found

    def resume(self, asked: Sequence[Candidate]) -> None:
        super().resume(asked)
        self.met += asked

    def tell(self, trials: Sequence[Trial]) -> None:
        super().tell(trials)
        self.heard += trials


def test_each_asks_in_turn_and_all_hear_of_everything() -> None:
    made: list[Noting] = []

    def make(problem: Problem) -> Searcher:
        made.append(Noting(problem))
        return made[-1]

    run = search(SeveralGoals([TOY.problem(seed=0)] * 3, make), TOY, 12, n_workers=2)
    for turn, own in enumerate(made):
        assert own.gave == list(run.asked[turn::3])
        assert own.met == [each for i, each in enumerate(run.asked) if i % 3 != turn]
        assert own.heard == list(run.told)


def test_whoever_has_no_more_is_passed_over() -> None:
    pool = NSGA2(TOY.problem(seed=0)).ask(5)
    problems = [replace(TOY.problem(seed=0), initial=tuple(each)) for each in (pool[:1], pool)]
    searcher = SeveralGoals(problems, Listed)
    assert searcher.n_left is None
    assert searcher.ask(1) == pool[:1]
    assert searcher.ask(10) == pool[1:]
    assert searcher.n_left == 0
    assert searcher.ask(1) == []


def test_how_many_are_left_is_unknown_if_one_goes_on() -> None:
    makers = iter([Listed, NSGA2])
    problems = [TOY.problem(seed=0)] * 2
    assert SeveralGoals(problems, lambda problem: next(makers)(problem)).n_left is None
