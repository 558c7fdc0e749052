"""Checks of many candidates against checks one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from niwaki.core.candidate import Candidate, Value
from niwaki.core.randomness import stream
from niwaki.spaces import Choice, ChoiceSpace, Condition, JointSpace
from niwaki.spaces.base import Space
from niwaki.spaces.grammar import Budget, GrammarSpace, read_grammar
from niwaki.spaces.many import faults, spelled
from niwaki.spaces.precision import with_precisions
from niwaki.testing.toys import joint_toy
from tests.spaces.generated import choice_spaces
from tests.spaces.slimmable.networks import small_space


def spoiled(candidate: Candidate, number: int) -> Candidate:
    """Return a candidate with one decision left out, added, or given another's value."""
    items = list(candidate.items)
    if number % 4 == 1 and items:
        items.pop(number % len(items))
    if number % 4 == 2:
        items.append(("no such path", 1))
    if number % 4 == 3 and items:
        index = number % len(items)
        items[index] = (items[index][0], items[(index + 1) % len(items)][1])
    return Candidate.of(items)


def some(space: Space, n: int) -> list[Candidate]:
    return [spoiled(space.sample(stream(0, number)), number) for number in range(n)]


@given(choice_spaces(), st.integers(0, 1000))
def test_faults_are_those_of_each(space: ChoiceSpace, seed: int) -> None:
    candidates = [spoiled(space.sample(stream(seed, n)), n) for n in range(30)]
    assert faults(space, candidates) == [space.check(candidate) for candidate in candidates]


# Of the one, it is not known what its precisions depend on.
JOINT = [joint_toy().space, with_precisions(small_space())]


@pytest.mark.parametrize("part", JOINT)
def test_faults_in_a_joint_space_are_those_of_each(part: Space) -> None:
    space = JointSpace({"network": part, "rate": ChoiceSpace((Choice("a", (1, 2)),))})
    candidates = some(space, 300)
    found = faults(space, candidates)
    assert found == [space.check(candidate) for candidate in candidates]
    assert 0 < found.count("") < 300


@pytest.mark.parametrize(
    ("option", "written"), [(0.0, -0.0), ((1,), (True,)), (1, True), (1, 1.0), (True, 1)]
)
def test_another_spelling_is_found_also_after_a_right_one(option: Value, written: Value) -> None:
    space = ChoiceSpace((Choice("a", (option, "other")),))
    fine, odd = Candidate.of({"a": option}), Candidate.of({"a": written})
    assert faults(space, [fine, odd, fine]) == ["", space.check(odd), ""]
    assert space.check(odd)


def test_numbers_may_be_spelled_as_json_may() -> None:
    space = ChoiceSpace((Choice("a", (1, 3)), Choice("b", (0.5, 2.0)), Choice("c", (True, False))))
    own = Candidate.of({"a": 3, "b": 2.0, "c": True})
    written = [Candidate.of({"a": 3.0, "b": 2, "c": True}), own]
    assert [(c.key, fault) for c, fault in spelled(space, written)] == [(own.key, "")] * 2
    for wrong in ({"a": 3, "b": 2, "c": 1}, {"a": True, "b": 2, "c": True}, {"a": 3.5}):
        [(same, fault)] = spelled(space, [Candidate.of(wrong)])
        assert same.to_json() == wrong
        assert "is not one of" in fault
    [(_, fault)] = spelled(space, [Candidate.of({"a": 3.0, "b": 2.0, "c": True, "d": 1})])
    assert "'d' is unknown" in fault


def test_a_tree_gets_its_canonical_form_where_nothing_else_hangs_on_it() -> None:
    grammar = read_grammar(
        "start S\n"
        "terminal split [symmetric], join [commutative], a, b\n"
        "S -> pair@branch: split M M join\n"
        "M -> a | b\n"
    )
    space = GrammarSpace(grammar, Budget(operations=8))
    own = space.candidate("pair(split, a, b, join)")
    other = Candidate.of({"tree": ("pair", "split", "b", "a", "join")})
    assert spelled(space, [other, own]) == [(own, ""), (own, "")] != [(other, "")]
    [(_, fault)] = spelled(space, [Candidate.of({**other.decisions, "rate": 1})])
    assert "'rate' is unknown" in fault
    joint = JointSpace({"network": space, "rate": ChoiceSpace((Choice("a", (1, 2)),))})
    beside = Candidate.of({"network/tree": other.decisions["tree"], "rate/a": 1})
    [(_, fault)] = spelled(joint, [beside])
    assert fault.endswith('write ["pair", "split", "a", "b", "join"]')


def test_most_candidates_are_not_walked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    space = with_precisions(small_space())
    candidates = [space.sample(stream(0, number)) for number in range(500)]
    checked: list[Candidate] = []
    check = type(space).check

    def counting(self: Space, candidate: Candidate) -> str:
        checked.append(candidate)
        return check(self, candidate)

    monkeypatch.setattr(type(space), "check", counting)
    assert set(faults(space, candidates)) == {""}
    assert len(checked) < 250


def test_switches_are_what_conditions_look_at() -> None:
    deep = Choice("second", (1, 2), when=(Condition("depth", (2,)),))
    space = ChoiceSpace((Choice("depth", (1, 2)), deep))
    assert space.switches == frozenset({"depth"})
    assert JointSpace({"a": space}).switches == frozenset({"a/depth"})
    joint = with_precisions(small_space()).switches
    assert joint == frozenset({"architecture/stage0.depth", "architecture/stage1.depth"})


def test_parts_of_many_are_the_parts_of_each() -> None:
    space = with_precisions(small_space())
    candidates = [space.sample(stream(0, number)) for number in range(50)]
    parted = space._parted(candidates)
    for name in space.parts:
        assert [c.items for c in parted[name]] == [c.part(name).items for c in candidates]
