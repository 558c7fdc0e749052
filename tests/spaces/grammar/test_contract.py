"""Grammar spaces keep the laws of spaces."""

from pathlib import Path

from niwaki.core.candidate import Candidate
from niwaki.spaces.base import Space
from niwaki.spaces.grammar import Budget, GrammarSpace, load_grammar
from niwaki.testing.grammar_contract import GrammarContract

HERE = Path(__file__).parent
EXAMPLES = Path(__file__).parents[3] / "niwaki/spaces/grammar/examples"


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
