"""A searcher that only asks for what it is given."""

from niwaki.core import Candidate, Direction, Objective
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


def test_how_long_the_list_is_does_not_slow_each_ask() -> None:
    space = ChoiceSpace((Choice("a", tuple(range(500))),))
    initial = tuple(Candidate.of({"a": number}) for number in range(500))
    asked_for: list[Candidate] = []

    def identity(candidate: Candidate) -> str:
        asked_for.append(candidate)
        return candidate.key

    searcher = Listed(Problem(space, PROBLEM.objectives, initial=initial, identity=identity))
    assert [candidate for _ in range(500) for candidate in searcher.ask(1)] == list(initial)
    assert searcher.n_left == 0
    assert len(asked_for) <= 2 * 500


def test_it_resumes() -> None:
    searcher = Listed(PROBLEM)
    searcher.resume(PROBLEM.initial[:1])
    assert searcher.ask(3) == [PROBLEM.initial[1]]
