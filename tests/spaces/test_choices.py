"""Spaces of choices against plain listing."""

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from niwaki.core import Candidate
from niwaki.core.candidate import Value
from niwaki.core.errors import SpaceError
from niwaki.core.randomness import stream
from niwaki.spaces import Choice, ChoiceSpace, Condition
from niwaki.spaces.walks import every_candidate
from tests.spaces.generated import choice_spaces, listed

TREE = ChoiceSpace(
    (
        Choice("depth", (1, 2, 3)),
        Choice("second", ("a", "b"), when=(Condition("depth", (2, 3)),)),
        Choice("third", ("a", "b"), when=(Condition("depth", (3,)),)),
        Choice("deepest", (True, False), when=(Condition("third", ("b",)),)),
    )
)


def test_who_chooses_may_call_what_it_is_given_as_it_likes() -> None:
    """Type checkers see to it: a walk gives path and options by their place alone."""

    def last(name: str, allowed: Sequence[Value]) -> Value:
        return allowed[0] if name == "depth" else allowed[-1]

    assert TREE.decide(last).decisions == {"depth": 1}


@given(choice_spaces())
def test_the_size_is_the_number_of_candidates(space: ChoiceSpace) -> None:
    assert space.size == len(listed(space))


@given(choice_spaces())
def test_every_candidate_comes_once(space: ChoiceSpace) -> None:
    walked = list(every_candidate(space))
    assert len(walked) == len(set(walked))
    assert set(walked) == listed(space)


@given(choice_spaces(), st.data())
def test_projections_count_who_agrees(space: ChoiceSpace, data: st.DataObject) -> None:
    paths = set(data.draw(st.lists(st.sampled_from([c.path for c in space.choices] or [""]))))
    counts: dict[Candidate, int] = {}
    for candidate in listed(space):
        seen = Candidate.of([item for item in candidate.items if item[0] in paths])
        counts[seen] = counts.get(seen, 0) + 1
    assert dict(space.projections(paths)) == counts


@given(choice_spaces(), st.integers(0, 2**31))
def test_operators_stay_inside(space: ChoiceSpace, seed: int) -> None:
    rng = stream(seed)
    everyone = listed(space)
    first, second = space.sample(rng), space.sample(rng)
    mutant = space.mutate(first, rng)
    assert {first, second, mutant, space.crossover(first, second, rng)} <= everyone
    assert mutant != first or len(everyone) == 1


@given(choice_spaces())
def test_only_its_own_candidates_are_of_it(space: ChoiceSpace) -> None:
    everyone = listed(space)
    assert all(space.contains(candidate) for candidate in everyone)
    longer = {Candidate.of({**c.decisions, "c0": "no"}) for c in everyone}
    assert not any(space.contains(candidate) for candidate in longer)


def test_one_of_many_switches_is_counted_without_telling_them_apart() -> None:
    switches = tuple(Choice(f"switch{i}", ("off", "on")) for i in range(60))
    on = tuple(Condition(each.path, ("on",)) for each in switches)
    any_on, all_on = Choice("any", (1, 2, 3), (), on), Choice("all", (1, 2, 3, 4), on)
    space = ChoiceSpace((*switches, any_on, all_on))
    assert space.size == 1 + (2**60 - 2) * 3 + 3 * 4
    seen = {each.decisions.get("any"): n for each, n in space.projections({"any"})}
    assert seen == {None: 1, 1: 2**60 + 2, 2: 2**60 + 2, 3: 2**60 + 2}


def test_hand_counted() -> None:
    # depth 1: 1; depth 2: 2; depth 3: 2 x (third a: 1 + third b: 2).
    assert TREE.size == 1 + 2 + 2 * 3
    assert ChoiceSpace(()).size == 1


def test_the_size_of_a_deep_space_takes_no_listing() -> None:
    wide = ChoiceSpace(tuple(Choice(f"c{n}", tuple(range(10))) for n in range(200)))
    assert wide.size == 10**200


@pytest.mark.parametrize("everywhere", [(), (Condition("family", ("layered",)),)])
def test_the_size_of_a_space_with_all_its_switches_in_front_takes_no_listing(
    everywhere: tuple[Condition, ...],
) -> None:
    family = Choice("family", ("plain", "layered"))
    switches = [Choice(f"has{n}", (True, False), everywhere) for n in range(24)]
    widths = [
        Choice(f"width{n}", (1, 2, 3), (Condition(f"has{n}", (True,)), *everywhere))
        for n in range(24)
    ]
    space = ChoiceSpace((family, *switches, *widths))
    assert space.size == (1 + 4**24 if everywhere else 2 * 4**24)


def test_the_size_of_layers_that_hang_on_depths_takes_no_listing_layer_by_layer() -> None:
    depths = [Choice(f"depth{stage}", (1, 2, 3)) for stage in range(24)]
    widths = [
        Choice(f"width{layer}.{stage}", (1, 2), (Condition(f"depth{stage}", (1, 2, 3)[layer:]),))
        for layer in range(3)
        for stage in range(24)
    ]
    assert ChoiceSpace((*depths, *widths)).size == (2 + 4 + 8) ** 24


def test_inactive_decisions_are_left_out() -> None:
    spelled = TREE.canonical({"depth": 1, "second": "a", "third": "b", "deepest": True})
    assert spelled == Candidate.of({"depth": 1})


def test_sampling_is_uniform_in_each_decision() -> None:
    depths = [TREE.sample(stream(n)).decisions["depth"] for n in range(3000)]
    assert [depths.count(d) / 3000 for d in (1, 2, 3)] == pytest.approx([1 / 3] * 3, abs=0.04)


def test_the_encoding_is_one_hot() -> None:
    rows = TREE.encode([Candidate.of({"depth": 1}), Candidate.of({"depth": 2, "second": "b"})])
    expected = np.zeros((2, 9))
    expected[0, 0] = expected[1, 1] = expected[1, 4] = 1.0
    np.testing.assert_array_equal(rows, expected)
    assert TREE.encode([]).shape == (0, 9)


def test_amounts_rise_in_one_column_more_for_each_ordered_choice() -> None:
    waits = (Condition("depth", (2,)),)
    width = Choice("width", (32, 8, 16.5, 9), waits, ordered=True)
    space = ChoiceSpace((Choice("depth", (1, 2, 3), ordered=True), width))
    plain = ChoiceSpace(tuple(replace(choice, ordered=False) for choice in space.choices))
    some: list[dict[str, Value]] = [{"depth": 2, "width": w} for w in (8, 9, 16.5, 32)]
    candidates = [*map(Candidate.of, some), Candidate.of({"depth": 3})]
    rows = space.encode(candidates)
    np.testing.assert_array_equal(rows[:, :-2], plain.encode(candidates))
    assert rows[:, -2].tolist() == [2 / 3] * 4 + [1.0]
    assert rows[:, -1].tolist() == [0.25, 0.5, 0.75, 1.0, 0.0]
    assert space.encode([]).shape == (0, 9)


@pytest.mark.parametrize(
    ("options", "rising"),
    [
        ((4, 1.5, 2), (1.5, 2, 4)),
        (("small", "medium", "large"), ("small", "medium", "large")),
        ((8, 4, "all"), (8, 4, "all")),
        (((1, 3), (1, 2)), ((1, 3), (1, 2))),
    ],
)
def test_numbers_rise_by_themselves_and_others_as_they_are_listed(
    options: tuple[Value, ...], rising: tuple[Value, ...]
) -> None:
    space = ChoiceSpace((Choice("x", options, ordered=True),))
    rows = space.encode([Candidate.of({"x": option}) for option in rising])
    assert (np.diff(rows[:, -1]) > 0).all()


@pytest.mark.parametrize(
    ("decisions", "said"),
    [
        ({}, "'depth' is missing: choose one of [1, 2, 3]"),
        ({"depth": 4}, "'depth' is 4, which is not one of [1, 2, 3]"),
        ({"depth": True}, "'depth' is True, which is not one of"),
        ({"depth": 1.0}, "'depth' is spelled 1.0: write 1"),
        ({"depth": 2}, "'second' is missing"),
        ({"depth": 1, "second": "a"}, "'second' is unknown here, or inactive: leave it out"),
        ({"depth": 1, "depht": 1}, "'depht' is unknown here"),
    ],
)
def test_check_says_what_is_wrong(decisions: dict[str, Value], said: str) -> None:
    candidate = Candidate.of(decisions)
    assert said in TREE.check(candidate)
    with pytest.raises(SpaceError):
        TREE.validate(candidate)


@pytest.mark.parametrize(("option", "written"), [(0.0, -0.0), (3, 3.0), (1.0, 1), ((1,), (1.0,))])
def test_check_refuses_another_spelling_of_an_option(option: Value, written: Value) -> None:
    space = ChoiceSpace((Choice("a", (option, "other")),))
    candidate = Candidate.of({"a": written})
    assert candidate != space.canonical(candidate.decisions) == Candidate.of({"a": option})
    given, own = (json.dumps(value) for value in (written, option))
    assert f"is spelled {given}: write {own}" in space.check(candidate)


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ([Choice("a", (1,)), Choice("a", (2,))], "'a' is listed twice"),
        ([Choice("a", ())], "'a' has no options"),
        ([Choice("a", (1, 2, 1))], "'a' repeats an option"),
        ([Choice("a", (1.0, float("nan")))], "not finite"),
        ([Choice("a", ((1.0, float("inf")),))], "not finite"),
        ([Choice("a", (1,), (Condition("b", (1,)),)), Choice("b", (1,))], "not an earlier choice"),
        (
            [Choice("a", (1, 2)), Choice("b", (1,), (Condition("a", (3,)),))],
            "waits for 'a' to be 3",
        ),
    ],
)
def test_a_list_that_makes_no_sense_is_refused(choices: list[Choice], said: str) -> None:
    with pytest.raises(SpaceError, match=said):
        ChoiceSpace(tuple(choices))


def test_it_can_be_restricted() -> None:
    assert TREE.restricted({"depth", "second"}).size == 5


@pytest.mark.parametrize(
    ("option", "written"),
    [(1, True), (False, 0), (1.0, True), ((1,), (True,)), (3, "3"), (3, (3,))],
)
def test_what_json_tells_apart_is_another_value(option: Value, written: Value) -> None:
    space = ChoiceSpace((Choice("a", (option, "other")),))
    with pytest.raises(SpaceError, match="is not one of"):
        space.canonical({"a": written})
