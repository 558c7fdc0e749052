"""Spaces of choices as configurations spell them."""

import pytest

from niwaki.config.settings import read_settings
from niwaki.config.yaml_file import parse_yaml
from niwaki.core.errors import ConfigError
from niwaki.spaces import Choice, ChoiceSpace, Condition
from niwaki.spaces.choice_settings import ChoicesSettings


def space_of(text: str) -> ChoiceSpace:
    return read_settings(ChoicesSettings, parse_yaml(text, "it"), "space").space


def test_decisions_are_spelled_by_their_options() -> None:
    text = """
    decisions:
      layers: [1, 2]
      rate: [1e-3, 0.1]
      norm: [null, batch]
      bias: [true, false]
      kernels: [[3], [5, 3]]
      second: {options: [8, 16], when: {layers: 2, norm: [batch, null]}}
    """
    assert space_of(text) == ChoiceSpace(
        (
            Choice("layers", (1, 2)),
            Choice("rate", (0.001, 0.1)),
            Choice("norm", (None, "batch")),
            Choice("bias", (True, False)),
            Choice("kernels", ((3,), (5, 3))),
            Choice(
                "second",
                (8, 16),
                (Condition("layers", (2,)), Condition("norm", ("batch", None))),
            ),
        )
    )


def test_a_number_is_waited_for_in_any_spelling() -> None:
    space = space_of("decisions: {a: [1.0, 2.5], b: {options: [3, 4], when: {a: 1}}}")
    assert space.size == 3


def test_a_list_is_waited_for_within_a_list() -> None:
    space = space_of("decisions: {k: [[3, 3], [5, 3]], b: {options: [1, 2], when: {k: [[3, 3]]}}}")
    assert space.size == 3


def test_whoever_waits_may_be_listed_before() -> None:
    space = space_of("decisions: {b: {options: [3, 4], when: {c: 1}}, a: [1, 2], c: [1, 2]}")
    assert [choice.path for choice in space.choices] == ["a", "c", "b"]


def test_options_keep_their_types() -> None:
    options = [choice.options for choice in space_of("decisions: {a: [2, true, 1.5, '2']}").choices]
    assert [type(option) for option in options[0]] == [int, bool, float, str]
    assert type(space_of("decisions: {a: [1e-3]}").choices[0].options[0]) is float


@pytest.mark.parametrize(
    ("decision", "ordered"),
    [
        ("[8, 16, 32]", True),
        ("[0.1, 1, 1e-3]", True),
        ("[8, 16]", False),
        ("[8, 16, many]", False),
        ("[8, 16, true]", False),
        ("[8, 16, null]", False),
        ("{options: [8, 16, 32]}", True),
        ("{options: [8, 16, 32], ordered: false}", False),
        ("{options: [8, 16], ordered: true}", True),
    ],
)
def test_three_numbers_or_more_are_amounts(decision: str, ordered: bool) -> None:
    assert space_of(f"decisions: {{a: {decision}}}").choices[0].ordered is ordered


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("decisions: {}", "'decisions' is empty"),
        ("decisions: {a: []}", "no options"),
        ("decisions: {a: 3}", "give a list"),
        ("decisions: {a: [1, 1]}", "repeats an option"),
        ("decisions: {abc: [1], b: {options: [2], when: {abd: 1}}}", "did you mean 'abc'"),
        (
            "decisions: {a: {options: [1], when: {b: 2}}, b: {options: [2], when: {a: 1}}, c: [1]}",
            "wait for each other: a, b",
        ),
        ("decisions: {a: [1], b: {options: [2], when: {a: 5}}}", "none of its options"),
        (
            "decisions: {a: [true, false], b: {options: [2], when: {a: 1}}}",
            r"'b' waits for 'a' to be 1, which is none of its options \[true, false\]",
        ),
        (
            "decisions: {a: [0, 1], b: {options: [2], when: {a: [0, true]}}}",
            r"'a' to be true, which is none of its options \[0, 1\]",
        ),
        (
            "decisions: {k: [[3, 3], [5, 3]], b: {options: [2], when: {k: [3, 3]}}}",
            r"'k' to be one of \[3, 3\], a list of values: .* write \[\[3, 3\]\]",
        ),
        ("decisions: {a: {option: [1]}}", "did you mean 'options'"),
    ],
)
def test_mistakes_are_explained(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        space_of(text)


def test_a_range_is_a_decision_over_amounts() -> None:
    space = space_of(
        """
        decisions:
          rate: {low: 1e-4, high: 1e-2, log: true, n: 3}
          layers: {low: 1, high: 4}
          momentum: {low: 0.8, high: 0.9, step: 0.05, when: {layers: [2, 3]}, ordered: false}
        """
    )
    assert space.choices == (
        Choice("rate", (1e-4, 1e-3, 1e-2), ordered=True),
        Choice("layers", (1, 2, 3, 4), ordered=True),
        Choice("momentum", (0.8, 0.85, 0.9), (Condition("layers", (2, 3)),)),
    )


@pytest.mark.parametrize(
    ("decision", "said"),
    [
        ("{low: 1}", "in 'space.decisions.a': a decision has no options: give `options`, or"),
        ("{options: [1, 2], low: 1}", "has 'options' and 'low': give a list or a range"),
        ("{options: [1, 2], log: true}", "has 'options' and 'log'"),
        ("{low: 2, high: 1}", "in 'space.decisions.a': a range goes from 2 to 1"),
        ("{low: 1, high: 3, n: 1.5}", "'space.decisions.a.n' is 1.5: give a whole number"),
    ],
)
def test_a_range_that_cannot_be_is_told(decision: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        space_of(f"decisions: {{a: {decision}}}")
    assert said in str(error.value)
