"""Spaces that hypothesis makes up, and the slow, plain way to list their candidates."""

from collections.abc import Mapping
from itertools import product

from hypothesis import strategies as st

from niwaki.core import Candidate
from niwaki.core.candidate import Value
from niwaki.spaces import Choice, ChoiceSpace, Condition

OPTIONS = st.lists(
    st.sampled_from([0, 1, 2, "x", (1, 2), None]), min_size=1, max_size=3, unique=True
)


@st.composite
def choice_spaces(draw: st.DrawFn, max_choices: int = 5) -> ChoiceSpace:
    """Draw a space of up to `max_choices` choices, with conditions on earlier ones."""
    choices: list[Choice] = []
    for number in range(draw(st.integers(0, max_choices))):
        all_of, any_of = (_conditions(draw, choices) for _ in range(2))
        choices.append(Choice(f"c{number}", tuple(draw(OPTIONS)), all_of, any_of))
    return ChoiceSpace(tuple(choices))


def _conditions(draw: st.DrawFn, choices: list[Choice]) -> tuple[Condition, ...]:
    parents = draw(st.lists(st.sampled_from(choices), max_size=2)) if choices else []
    return tuple(
        Condition(p.path, tuple(draw(st.lists(st.sampled_from(p.options))))) for p in parents
    )


def listed(space: ChoiceSpace) -> set[Candidate]:
    """List the candidates: every assignment, stripped of what is inactive."""
    candidates = set()
    for values in product(*(choice.options for choice in space.choices)):
        candidates.add(Candidate.of(_active(space, values)))
    return candidates


def _active(space: ChoiceSpace, values: tuple[Value, ...]) -> Mapping[str, Value]:
    active: dict[str, Value] = {}
    for choice, value in zip(space.choices, values, strict=True):
        held = [
            [c.path in active and active[c.path] in c.values for c in conditions]
            for conditions in (choice.when, choice.when_any)
        ]
        if all(held[0]) and (any(held[1]) or not held[1]):
            active[choice.path] = value
    return active
