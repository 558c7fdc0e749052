"""Joint spaces: the later parts depend on the earlier ones."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from niwaki.core import Candidate
from niwaki.core.candidate import Value
from niwaki.core.errors import SpaceError
from niwaki.core.randomness import stream
from niwaki.spaces import Choice, ChoiceSpace, DependentSpace, JointSpace, Space
from niwaki.spaces.base import Choose
from niwaki.spaces.joint import WholeSpace
from niwaki.spaces.walks import every_candidate
from niwaki.testing.toys import DEPTHS, PRECISIONS, WIDTHS, joint_toy
from tests.spaces.generated import choice_spaces, listed

TOY = joint_toy().space


@dataclass(frozen=True)
class OnePerDecision(DependentSpace):
    """A bit for each active decision of the part `first`."""

    paths: tuple[str, ...]

    @property
    def reads(self) -> Mapping[str, frozenset[str]]:
        return {"first": frozenset(self.paths)}

    def given(self, earlier: Mapping[str, Candidate]) -> Space:
        active = [path for path in self.paths if path in earlier["first"].decisions]
        return ChoiceSpace(tuple(Choice(f"bit.{path}", (0, 1)) for path in active))

    def encode(self, candidates: Sequence[Candidate]) -> NDArray[np.float64]:
        bits = [[c.decisions.get(f"bit.{p}", -1) for p in self.paths] for c in candidates]
        return np.array(bits, dtype=np.float64).reshape(len(candidates), len(self.paths))


def joined(first: ChoiceSpace) -> JointSpace:
    """Return first x an independent bit x a bit for each active decision of the first."""
    bits = OnePerDecision(tuple(choice.path for choice in first.choices))
    return JointSpace({"first": first, "free": ChoiceSpace((Choice("f", (0, 1)),)), "bits": bits})


@given(choice_spaces(max_choices=3))
def test_the_size_counts_dependent_parts(first: ChoiceSpace) -> None:
    expected = sum(2 * 2 ** len(candidate.items) for candidate in listed(first))
    assert joined(first).size == expected


def test_a_count_beyond_all_floats_times_infinity_is_infinite() -> None:
    vast = ChoiceSpace(tuple(Choice(f"d{i}", (0, 1)) for i in range(1100)))
    first = ChoiceSpace((Choice("only", (0, 1)),))
    inner = JointSpace({"first": first, "bits": OnePerDecision(("only",))})
    unbounded = JointSpace({"first": inner, "bits": OnePerDecision(("first/only",))})
    assert math.isinf(unbounded.size)
    assert JointSpace({"vast": vast, "unbounded": unbounded}).size == math.inf
    assert JointSpace({"vast": vast, "first": first}).size == 2**1101


@given(choice_spaces(max_choices=3))
def test_every_candidate_comes_once(first: ChoiceSpace) -> None:
    walked = list(every_candidate(joined(first)))
    assert len(set(walked)) == len(walked) == joined(first).size
    assert {candidate.part("first") for candidate in walked} == listed(first)


def test_hand_counted() -> None:
    assert TOY.size == sum((len(WIDTHS) * len(PRECISIONS)) ** depth for depth in DEPTHS)


def test_a_layer_that_is_not_there_has_no_precision() -> None:
    for number in range(50):
        candidate = TOY.sample(stream(number))
        depth = candidate.part("architecture").decisions["depth"]
        assert len(candidate.part("quantization").items) == depth
        assert len(candidate.part("architecture").items) == 1 + depth


def test_a_precision_of_an_absent_layer_is_refused() -> None:
    small: dict[str, Value] = {"architecture/depth": 4}
    small |= {f"architecture/layer{index}.width": 8 for index in range(4)}
    spelled = small | {f"quantization/layer{index}.precision": "int8" for index in range(4)}
    assert TOY.contains(Candidate.of(spelled))
    more = Candidate.of({**spelled, "quantization/layer4.precision": "int8"})
    assert "'quantization/layer4.precision' is unknown here, or inactive" in TOY.check(more)
    assert TOY.canonical(more.decisions) == Candidate.of(spelled)


def test_the_encoding_joins_the_parts() -> None:
    candidates = [TOY.sample(stream(number)) for number in range(5)]
    encoded = TOY.encode(candidates)
    assert encoded.shape == (5, len(DEPTHS) + 10 * len(WIDTHS) + 10 * len(PRECISIONS))
    n_layers = [c.decisions["architecture/depth"] for c in candidates]
    assert encoded[:, -20:].sum(axis=1).tolist() == n_layers


def test_parts_can_be_joint_themselves() -> None:
    nested = JointSpace({"network": TOY, "other": ChoiceSpace((Choice("a", (1, 2)),))})
    assert nested.size == 2 * TOY.size
    candidate = nested.sample(stream(0))
    assert TOY.contains(candidate.part("network"))


def test_without_a_count_of_what_is_read_there_is_no_bound() -> None:
    first = ChoiceSpace((Choice("a", (1, 2)),))

    inner = JointSpace({"only": first})
    assert math.isinf(JointSpace({"first": inner, "bits": OnePerDecision(("only/a",))}).size)


class Word(WholeSpace):
    """Words of up to three letters as one decision, which the walk spells letter by letter."""

    def decide(self, choose: Choose) -> Candidate:
        n = int(str(choose("n", ("1", "2", "3"))))
        return self.of("".join(str(choose(f"letter{i}", ("a", "b"))) for i in range(n)))

    @staticmethod
    def of(word: str) -> Candidate:
        return Candidate.of({"word": word})

    def sample(self, rng: np.random.Generator) -> Candidate:
        return self.of("".join(rng.choice(["a", "b"], size=3)))

    def mutate(self, candidate: Candidate, rng: np.random.Generator) -> Candidate:
        word = str(candidate.decisions["word"])
        return self.of(word[:-1] if len(word) > 1 else word + "b")

    def crossover(self, first: Candidate, second: Candidate, rng: np.random.Generator) -> Candidate:
        return self.of(str(first.decisions["word"])[:1] + str(second.decisions["word"])[1:])

    def encode(self, candidates: Sequence[Candidate]) -> NDArray[np.float64]:
        return np.array([[len(str(c.decisions["word"]))] for c in candidates], dtype=np.float64)

    @property
    def size(self) -> int:
        return 14

    def canonical(self, decisions: Mapping[str, Value]) -> Candidate:
        if set(str(decisions.get("word"))) - {"a", "b"}:
            raise SpaceError("letters are a and b")
        return self.of(str(decisions["word"]))


@dataclass(frozen=True)
class BitPerLetter(DependentSpace):
    @property
    def reads(self) -> Mapping[str, frozenset[str]]:
        return {"word": frozenset({"word"})}

    def given(self, earlier: Mapping[str, Candidate]) -> Space:
        n = len(str(earlier["word"].decisions["word"]))
        return ChoiceSpace(tuple(Choice(f"bit{i}", (0, 1)) for i in range(n)))

    def encode(self, candidates: Sequence[Candidate]) -> NDArray[np.float64]:
        return np.array([[len(c.items)] for c in candidates], dtype=np.float64)


SPELLED = JointSpace({"word": Word(), "bits": BitPerLetter()})


def spelled(word: str, *bits: int) -> Candidate:
    return Candidate.of({"word/word": word, **{f"bits/bit{i}": b for i, b in enumerate(bits)}})


def test_a_whole_part_is_sampled_and_spelled_by_itself() -> None:
    for number in range(20):
        candidate = SPELLED.sample(stream(number))
        assert len(str(candidate.decisions["word/word"])) == 3  # the walk would give shorter ones
        assert SPELLED.canonical(candidate.decisions) == candidate
    assert "in part 'word': letters are a and b" in SPELLED.check(spelled("c", 0))
    assert "in part 'bits': decision 'bit1' is missing" in SPELLED.check(spelled("ab", 0))


def test_a_whole_part_mutates_by_its_own_operator_and_later_parts_keep_what_fits() -> None:
    parent = spelled("aba", 1, 0, 1)
    mutants = {SPELLED.mutate(parent, stream(number)) for number in range(40)}
    assert parent not in mutants
    words = {m.decisions["word/word"] for m in mutants}
    assert words == {"aba", "ab"}
    assert spelled("ab", 1, 0) in mutants
    assert all(SPELLED.contains(mutant) for mutant in mutants)


def test_a_whole_part_crosses_by_its_own_operator() -> None:
    one, two = spelled("aaa", 0, 0, 0), spelled("bb", 1, 1)
    children = [SPELLED.crossover(one, two, stream(number)) for number in range(60)]
    assert all(SPELLED.contains(child) for child in children)
    assert {c.decisions["word/word"] for c in children} == {"aaa", "bb", "ab"}
    assert SPELLED.crossover(one, one, stream(0)) == one


def test_a_joint_space_with_a_whole_part_is_whole() -> None:
    nested = JointSpace({"both": SPELLED, "other": ChoiceSpace((Choice("a", (1, 2)),))})
    parent = nested.sample(stream(0))
    mutants = {nested.mutate(parent, stream(number)) for number in range(30)}
    assert parent not in mutants and all(nested.contains(mutant) for mutant in mutants)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({}, "at least one part"),
        ({"": ChoiceSpace(())}, "must not be empty"),
        ({"a/b": ChoiceSpace(())}, "must not be empty or hold a '/'"),
        ({"bits": OnePerDecision(())}, "depends on earlier parts, but it is the first"),
    ],
)
def test_parts_that_make_no_sense_are_refused(
    parts: dict[str, Space | DependentSpace], said: str
) -> None:
    with pytest.raises(SpaceError, match=said):
        JointSpace(parts)
