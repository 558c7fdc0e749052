"""A searcher that only asks for what it is given."""

from niwaki.core import Direction, Objective
from niwaki.search import Problem
from niwaki.search.listed import Listed
from niwaki.spaces import Choice, ChoiceSpace
from niwaki.spaces.walks import corners

SPACE = ChoiceSpace((Choice("a", (1, 2, 3)),))
PROBLEM = Problem(SPACE, (Objective("v", Direction.MINIMIZE),), initial=corners(SPACE))


def test_it_asks_for_the_initial_candidates_and_no_more() -> None:
    searcher = Listed(PROBLEM)
    assert searcher.ask(1) + searcher.ask(5) == list(PROBLEM.initial)
    assert searcher.ask(1) == []


def test_it_resumes() -> None:
    searcher = Listed(PROBLEM)
    searcher.resume(PROBLEM.initial[:1])
    assert searcher.ask(3) == [PROBLEM.initial[1]]
