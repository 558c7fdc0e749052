"""Mutation and crossover by answering walks."""

import pytest

from niwaki.core import Candidate
from niwaki.core.randomness import stream
from niwaki.spaces import Choice, ChoiceSpace, Condition
from niwaki.spaces.walks import corners, recombine, resample
from niwaki.testing.toys import flat_toy

PLAIN = ChoiceSpace(tuple(Choice(f"c{n}", (0, 1, 2)) for n in range(20)))
ZEROS, TWOS = corners(PLAIN)


def n_changed(candidate: Candidate) -> int:
    """Count the decisions that are not 0."""
    return sum(value != 0 for _, value in candidate.items)


def test_a_mutant_changes_one_decision_or_a_few() -> None:
    changes = [n_changed(resample(PLAIN, ZEROS, stream(n))) for n in range(800)]
    assert min(changes) == 1
    assert 1.2 <= sum(changes) / 800 <= 3.0
    assert changes.count(1) / 800 >= 0.4


def test_more_changes_can_be_wanted() -> None:
    few, many = (
        [n_changed(resample(PLAIN, ZEROS, stream(n), mean_changes=mean)) for n in range(400)]
        for mean in (1.0, 4.0)
    )
    assert sum(many) > 1.5 * sum(few)


def test_every_decision_and_option_can_be_reached() -> None:
    mutants = [PLAIN.mutate(ZEROS, stream(n)) for n in range(1500)]
    reached = {item for mutant in mutants for item in mutant.items if item[1] != 0}
    assert reached == {(f"c{n}", value) for n in range(20) for value in (1, 2)}


def test_what_a_mutation_activates_is_drawn_and_the_rest_is_kept() -> None:
    space = ChoiceSpace(
        (
            Choice("kept", (0, 1)),
            Choice("on", (False, True)),
            Choice("more", (0, 1, 2), when=(Condition("on", (True,)),)),
        )
    )
    parent = Candidate.of({"kept": 1, "on": False})
    mutants = [resample(space, parent, stream(n), mean_changes=1.0) for n in range(200)]
    grown = [mutant for mutant in mutants if mutant.decisions["on"]]
    assert {mutant.decisions["kept"] for mutant in grown} == {1}
    assert {mutant.decisions["more"] for mutant in grown} == {0, 1, 2}


def test_a_child_takes_half_from_each_parent() -> None:
    children = [recombine(PLAIN, ZEROS, TWOS, stream(n)) for n in range(800)]
    assert {value for child in children for _, value in child.items} == {0, 2}
    assert sum(map(n_changed, children)) / 800 == pytest.approx(10.0, rel=0.05)


def test_a_decision_of_one_parent_only_comes_from_that_one() -> None:
    space = flat_toy().space
    small, large = corners(space)
    for number in range(50):
        child = space.crossover(small, large, stream(number))
        if child.decisions["depth"] == 10:
            assert child.decisions["layer9.width"] == large.decisions["layer9.width"]


def test_a_space_of_one_has_no_mutants_and_one_corner() -> None:
    single = ChoiceSpace((Choice("a", (1,)),))
    assert single.mutate(Candidate.of({"a": 1}), stream(0)) == Candidate.of({"a": 1})
    assert corners(single) == (Candidate.of({"a": 1}),)
    assert ChoiceSpace(()).mutate(Candidate(()), stream(0)) == Candidate(())


def test_corners_are_the_smallest_and_the_largest() -> None:
    small, large = corners(flat_toy().space)
    assert (len(small.items), len(large.items)) == (1 + 2 * 4, 1 + 2 * 10)
    assert small.decisions["layer0.width"] == 8
    assert large.decisions["layer9.width"] == 48
