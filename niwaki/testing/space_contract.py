"""What every space must do. Subclass `SpaceContract` and implement `make`."""

import math
import pickle
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice

import numpy as np
import pytest

from niwaki.core.candidate import Candidate, Value
from niwaki.core.errors import SpaceError
from niwaki.core.jsonable import canonical_json
from niwaki.core.randomness import stream
from niwaki.core.registry import import_object
from niwaki.spaces.base import Space
from niwaki.spaces.walks import every_candidate
from niwaki.testing.other_process import run_elsewhere

N_SAMPLES = 40
FEW = 3000  # a space of so many candidates is walked through from end to end


class SpaceContract(ABC):
    """Laws of spaces."""

    @abstractmethod
    def make(self) -> Space:
        """Return the space under test, built anew."""

    @pytest.fixture
    def space(self) -> Space:
        return self.make()

    @pytest.fixture
    def samples(self, space: Space) -> list[Candidate]:
        return sample(space, N_SAMPLES)

    def test_samples_are_of_the_space(self, space: Space, samples: list[Candidate]) -> None:
        assert [space.check(candidate) for candidate in samples] == [""] * len(samples)

    @pytest.mark.parametrize("position", [0, -1])
    def test_whatever_is_answered_the_candidate_is_valid(self, space: Space, position: int) -> None:
        space.validate(space.decide(lambda _, options: options[position]))

    def test_decisions_spell_their_candidate(self, space: Space, samples: list[Candidate]) -> None:
        assert [space.canonical(candidate.decisions) for candidate in samples] == samples

    def test_answers_lead_to_their_candidate(self, space: Space, samples: list[Candidate]) -> None:
        n_known = 0
        for candidate in samples:
            with suppress(SpaceError):  # where candidates are derived, some ways are not known
                answers = space.answers(candidate)
                n_known += 1
                assert space.decide(partial(_answered, answers)) == candidate
        assert n_known > N_SAMPLES // 2

    def test_json_brings_a_candidate_back(self, samples: list[Candidate]) -> None:
        again = [Candidate.from_json(candidate.to_json()) for candidate in samples]
        assert [candidate.items for candidate in again] == [c.items for c in samples]

    def test_keys_are_equal_if_and_only_if_decisions_are(self, samples: list[Candidate]) -> None:
        spellings = {canonical_json(candidate.to_json()) for candidate in samples}
        assert len({candidate.key for candidate in samples}) == len(spellings)

    def test_a_path_is_asked_for_once(self, space: Space) -> None:
        asked: list[str] = []

        def choose(path: str, options: Sequence[Value]) -> Value:
            asked.append(path)
            return options[0]

        decided = space.decide(choose)
        assert sorted(asked) == sorted(set(asked)) == sorted(decided.decisions)

    def test_a_mutant_is_valid_and_not_its_parent(
        self, space: Space, samples: list[Candidate]
    ) -> None:
        for number, parent in enumerate(samples):
            mutant = space.mutate(parent, stream(number, "mutate"))
            space.validate(mutant)
            assert mutant != parent or space.size == 1

    def test_a_child_is_valid_and_that_of_twins_is_their_twin(
        self, space: Space, samples: list[Candidate]
    ) -> None:
        for number, (first, second) in enumerate(zip(samples, reversed(samples), strict=True)):
            child = space.crossover(first, second, stream(number, "crossover"))
            space.validate(child)
            assert space.crossover(first, first, stream(number, "alone")) == first

    def test_the_same_stream_gives_the_same_candidates(self, space: Space) -> None:
        assert breed(space, 7) == breed(self.make(), 7)

    def test_another_process_gives_the_same_candidates(self, space: Space) -> None:
        here = " ".join(candidate.key for candidate in breed(space, 7))
        name = f"{type(self).__module__}:{type(self).__qualname__}"
        assert run_elsewhere(f"{__name__}:keys_of_contract", name, hash_seed=4321) == here

    def test_features_are_finite_and_of_one_width(
        self, space: Space, samples: list[Candidate]
    ) -> None:
        encoded = space.encode(samples)
        assert encoded.dtype == np.float64
        assert np.isfinite(encoded).all()
        assert encoded.shape == (len(samples), space.encode(samples[:1]).shape[1])
        np.testing.assert_array_equal(encoded[3], space.encode([samples[3]])[0])

    def test_features_tell_candidates_apart(self, space: Space, samples: list[Candidate]) -> None:
        rows = {tuple(row) for row in space.encode(samples).tolist()}
        assert len(rows) == len(set(samples))

    def test_features_of_a_decision_follow_it(self, space: Space, samples: list[Candidate]) -> None:
        if (paths := space.encoded_paths) is None:
            return
        encoded = space.encode(samples)
        assert len(paths) == encoded.shape[1]
        for path in set(paths):
            columns = encoded[:, [each == path for each in paths]]
            decided = [
                repr(each.decisions[path]) if path in each.decisions else "" for each in samples
            ]
            features = {(value, tuple(row)) for value, row in zip(decided, columns, strict=True)}
            assert len(features) == len(set(decided))

    def test_size_counts_the_candidates(self, space: Space, samples: list[Candidate]) -> None:
        assert space.size >= len(set(samples))
        some = list(islice(every_candidate(space), FEW + 1))
        assert len(set(some)) == len(some)
        if space.size <= FEW:
            assert len(some) == space.size
        else:
            assert len(some) == FEW + 1

    def test_a_missing_decision_is_named(self, space: Space, samples: list[Candidate]) -> None:
        path = first_asked(space)
        short = {p: v for p, v in samples[0].items if p != path}
        with pytest.raises(SpaceError, match="is missing: choose one of"):
            space.canonical(short)
        assert f"'{path}'" in space.check(Candidate.of(short))

    def test_a_wrong_value_is_named(self, space: Space, samples: list[Candidate]) -> None:
        wrong = {**samples[0].decisions, first_asked(space): "no such option"}
        assert "'no such option', which is not one of" in space.check(Candidate.of(wrong))

    def test_an_unknown_decision_is_named(self, space: Space, samples: list[Candidate]) -> None:
        more = Candidate.of({**samples[0].decisions, "no such path": 1})
        assert not space.contains(more)
        assert "'no such path'" in space.check(more)

    def test_a_used_space_travels(self, space: Space, samples: list[Candidate]) -> None:
        space.encode(samples)
        assert math.isinf(space.size) or space.size >= 1
        again: Space = pickle.loads(pickle.dumps(space))
        assert breed(again, 3) == breed(space, 3)


def sample(space: Space, n: int) -> list[Candidate]:
    """Draw n candidates, each from a stream of its own."""
    return [space.sample(stream(number, "sample")) for number in range(n)]


def breed(space: Space, n: int) -> list[Candidate]:
    """Return n samples, their mutants and their children."""
    parents = sample(space, n)
    rng = stream(n, "breed")
    mutants = [space.mutate(parent, rng) for parent in parents]
    children = [space.crossover(a, b, rng) for a, b in zip(parents, mutants, strict=True)]
    return [*parents, *mutants, *children]


def _answered(answers: Mapping[str, Value], path: str, options: Sequence[Value]) -> Value:
    return options[options.index(answers[path])]


def first_asked(space: Space) -> str:
    """Return the path that a walk asks for first."""
    asked: list[str] = []

    def choose(path: str, options: Sequence[Value]) -> Value:
        asked.append(path)
        return options[0]

    space.decide(choose)
    return asked[0]


def keys_of_contract(name: str) -> str:
    """Return the keys that `breed` gives for the space of a contract's test class."""
    contract: SpaceContract = import_object(name)()
    return " ".join(candidate.key for candidate in breed(contract.make(), 7))
