"""What was asked is not asked again."""

from dataclasses import replace

import numpy as np
import pytest

from niwaki.core import Candidate, Direction, Measurement, Objective, Trial
from niwaki.core.randomness import stream
from niwaki.search import Problem
from niwaki.search.asked import Asked
from niwaki.spaces import Choice, ChoiceSpace

SPACE = ChoiceSpace((Choice("a", tuple(range(10))), Choice("b", tuple(range(10)))))
PROBLEM = Problem(SPACE, (Objective("value", Direction.MINIMIZE),), seed=3)
SAME = Candidate.of({"a": 0, "b": 0})


def test_the_ith_candidate_draws_from_the_ith_stream() -> None:
    drawn = Asked(PROBLEM).draw(3, SPACE.sample)
    assert drawn == [SPACE.sample(stream(3, "ask", number)) for number in range(3)]


def test_a_stubborn_proposer_is_overruled() -> None:
    n_calls = 0

    def propose(rng: np.random.Generator) -> Candidate:
        nonlocal n_calls
        n_calls += 1
        return SAME

    asked = Asked(PROBLEM)
    drawn = asked.draw(100, propose)
    assert len(set(drawn)) == 100
    assert drawn[0] == SAME
    assert n_calls == 100
    assert asked.draw(1, propose) == []
    assert len(asked) == 100


def test_the_last_candidates_of_a_lopsided_space_are_found() -> None:
    rare = ChoiceSpace((Choice("a", tuple(range(2000))),))
    asked = Asked(Problem(rare, PROBLEM.objectives))
    asked.resume([Candidate.of({"a": number}) for number in range(2000) if number != 1234])
    assert asked.draw(5, rare.sample) == [Candidate.of({"a": 1234})]


@pytest.mark.parametrize("n_before", [0, 50, 90, 99, 100])
def test_resuming_near_the_end_is_going_on(n_before: int) -> None:
    whole = Asked(PROBLEM).draw(200, SPACE.sample)
    resumed = Asked(PROBLEM)
    resumed.resume(whole[:n_before])
    assert resumed.draw(200, SPACE.sample) == whole[n_before:]


def test_of_one_network_only_one_spelling_is_asked_for() -> None:
    problem = replace(PROBLEM, identity=lambda candidate: str(candidate.decisions["a"]))
    asked = Asked(problem)
    drawn = asked.draw(20, SPACE.sample)
    assert {candidate.decisions["a"] for candidate in drawn} == set(range(10))
    assert len(drawn) == 10
    assert SAME in asked


def test_a_walk_past_endless_spellings_of_known_networks_ends() -> None:
    endless = ChoiceSpace(tuple(Choice(f"layer{n}", ("wide", "narrow")) for n in range(30)))
    asked = Asked(replace(PROBLEM, space=endless, identity=lambda candidate: "one network"))
    assert len(asked.draw(2, endless.sample)) == 1


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_resuming_is_going_on_where_many_candidates_are_one_network(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr("niwaki.search.asked.MOST_IN_VAIN", 200)
    space = ChoiceSpace(tuple(Choice(f"layer{n}", tuple(range(5))) for n in range(6)))
    problem = replace(
        PROBLEM,
        space=space,
        seed=seed,
        identity=lambda candidate: str(sorted(map(str, candidate.decisions.values()))),
    )
    whole = Asked(problem).draw(600, space.sample)
    resumed = Asked(problem)
    resumed.resume(whole[:-3])
    assert resumed.draw(600, space.sample) == whole[-3:]


def test_initial_candidates_come_first_each_network_once() -> None:
    initial = tuple(Candidate.of({"a": a, "b": b}) for a, b in ((5, 1), (5, 2), (3, 0), (7, 7)))
    problem = replace(
        PROBLEM, initial=initial, identity=lambda candidate: str(candidate.decisions["a"])
    )
    asked = Asked(problem)
    asked.told([Trial(0, Candidate.of({"a": 3, "b": 9}), Measurement("3 9"))])
    assert asked.draw(2, SPACE.sample) == [initial[0], initial[3]]


def test_what_was_told_from_elsewhere_is_known_but_not_counted() -> None:
    asked = Asked(PROBLEM)
    asked.told([Trial(0, SAME, Measurement(SAME.key))])
    assert SAME in asked
    assert len(asked) == 0
    assert SAME not in asked.draw(99, SPACE.sample)
    assert asked.draw(1, SPACE.sample) == []
