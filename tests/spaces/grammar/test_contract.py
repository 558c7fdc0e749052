"""Grammar spaces keep the laws of spaces.

A candidate is one decision, the tree, and the walk asks for its productions: so the laws that name
single decisions of the walk are stated on the tree here.
"""

from pathlib import Path

import pytest

from niwaki.core.candidate import Candidate
from niwaki.core.errors import SpaceError
from niwaki.spaces.base import Space
from niwaki.spaces.grammar import Budget, GrammarSpace, load_grammar
from niwaki.testing.space_contract import SpaceContract

HERE = Path(__file__).parent
EXAMPLES = Path(__file__).parents[3] / "niwaki/spaces/grammar/examples"


class GrammarContract(SpaceContract):
    def test_a_path_is_asked_for_once(self, space: Space) -> None:
        asked: list[str] = []

        def choose(path: str, options: object) -> object:
            asked.append(path)
            assert isinstance(options, list)
            return options[-1]

        assert list(space.decide(choose).decisions) == ["tree"]  # type: ignore[arg-type]
        assert len(set(asked)) == len(asked)

    def test_a_missing_decision_is_named(self, space: Space, samples: list[Candidate]) -> None:
        with pytest.raises(SpaceError, match="'tree' is missing"):
            space.canonical({})

    def test_a_wrong_value_is_named(self, space: Space, samples: list[Candidate]) -> None:
        assert "'no such option'" in space.check(Candidate.of({"tree": "no such option"}))


class TestCell(GrammarContract):
    def make(self) -> Space:
        return GrammarSpace(load_grammar(EXAMPLES / "cell.grammar"))


class TestChain(GrammarContract):
    def make(self) -> Space:
        return GrammarSpace(load_grammar(EXAMPLES / "chain.grammar"), Budget(operations=6))

    def test_size_counts_the_candidates(self, space: Space, samples: list[Candidate]) -> None:
        # The walk nests sequences in every way, so it meets one candidate more than once.
        assert space.size == sum(3**n for n in range(1, 7))


class TestEinspaceLike(GrammarContract):
    def make(self) -> Space:
        grammar = load_grammar(HERE / "einspace_like.grammar")
        budget = Budget(operations=24, depth=8, parameters=10**7, elements=10**6)
        return GrammarSpace(grammar, budget, expected_operations=10.0)

    def test_size_counts_the_candidates(self, space: Space, samples: list[Candidate]) -> None:
        assert space.size == float("inf")
