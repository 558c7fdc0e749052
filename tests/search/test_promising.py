"""The candidates that promise most: by the mean of ranks, whatever the scales of the guesses."""

from collections.abc import Mapping

from niwaki.core import Direction, Objective
from niwaki.core.candidate import Candidate
from niwaki.search import Problem
from niwaki.search.promising import most_promising
from niwaki.spaces import Choice, ChoiceSpace

SPACE = ChoiceSpace((Choice("layer", ("a", "b", "c", "d")),))
CANDIDATES = [SPACE.canonical({"layer": name}) for name in "abcd"]


def problem(guesses: Mapping[str, Mapping[str, float]]) -> Problem:
    def promises(candidate: Candidate) -> Mapping[str, float]:
        return guesses[str(candidate.decisions["layer"])]

    return Problem(SPACE, (Objective("error", Direction.MINIMIZE),), promises=promises)


def test_each_guess_ranks_and_no_scale_outweighs_another() -> None:
    guesses = {
        "a": {"snip": 1e9, "synflow": 0.1},
        "b": {"snip": 3.0, "synflow": 0.4},
        "c": {"snip": 2.0, "synflow": 0.3},
        "d": {"snip": 1.0, "synflow": 0.2},
    }
    assert most_promising(problem(guesses), CANDIDATES, 2).tolist() == [1, 0]


def test_what_cannot_be_judged_or_is_infinite_promises_least() -> None:
    guesses = {
        "a": {},
        "b": {"snip": float("inf")},
        "c": {"snip": float("nan")},
        "d": {"snip": -5.0},
    }
    assert most_promising(problem(guesses), CANDIDATES, 1).tolist() == [3]


def test_without_guesses_the_order_stays() -> None:
    plain = Problem(SPACE, (Objective("error", Direction.MINIMIZE),))
    assert most_promising(plain, CANDIDATES, 3).tolist() == [0, 1, 2]
    assert most_promising(plain, [], 3).tolist() == []
