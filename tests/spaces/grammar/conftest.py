"""Grammars that several test modules use."""

from pathlib import Path

import pytest

from niwaki.spaces.grammar import Budget, Grammar, GrammarSpace, load_grammar

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def einspace() -> Grammar:
    return load_grammar(HERE / "einspace_like.grammar")


@pytest.fixture(scope="session")
def space(einspace: Grammar) -> GrammarSpace:
    budget = Budget(operations=40, depth=12, parameters=20_000_000, elements=3_000_000)
    return GrammarSpace(einspace, budget, expected_operations=15.0)
