"""Several goals in one search: they ask in turn, and what one learns, all know."""

from dataclasses import replace

from niwaki.search.base import Problem
from niwaki.search.nsga2 import NSGA2
from niwaki.search.several_goals import SeveralGoals
from niwaki.testing.toy_run import search
from niwaki.testing.toy_troubles import all_toys
from niwaki.testing.toys import Toy

TOY: Toy = next(toy for toy in all_toys() if toy.name == "joint")


def goals_of(problem: Problem) -> SeveralGoals:
    """Return a search for each of the problem's objectives alone."""
    problems = [replace(problem, objectives=(each,)) for each in problem.objectives]
    return SeveralGoals(problems, NSGA2)


def test_no_goal_asks_for_what_another_asked_for() -> None:
    asked = search(goals_of(TOY.problem(seed=0)), TOY, 60, n_workers=3).asked
    assert len(set(asked)) == len(asked) == 60


def test_resuming_is_going_on() -> None:
    whole = search(goals_of(TOY.problem(seed=0)), TOY, 40)
    resumed = goals_of(TOY.problem(seed=0))
    resumed.resume(whole.asked[:25])
    resumed.tell(whole.told[:25])
    assert search(resumed, TOY, 15).asked == whole.asked[25:]
