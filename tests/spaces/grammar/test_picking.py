"""Productions are drawn by their weights among those that are possible."""

from collections import Counter

import numpy as np
import pytest

from niwaki.spaces.grammar import read_grammar
from niwaki.spaces.grammar.derive import Hole
from niwaki.spaces.grammar.frames import Goal
from niwaki.spaces.grammar.picking import by_weight


@pytest.mark.parametrize("n_ways", [6, 200])
def test_few_and_many_productions_are_drawn_with_the_same_probabilities(n_ways: int) -> None:
    weights = [1000.0, *[1.0 + index % 3 for index in range(n_ways - 1)]]
    alternatives = " | ".join(f"'a{index}' [{weight}]" for index, weight in enumerate(weights))
    ways = read_grammar(f"S -> {alternatives}").productions
    hole, rng = Hole("S", (), Goal(), 1, 1), np.random.default_rng(0)
    pick = by_weight(rng)
    # All that is heavy, and every second one, is impossible.
    possible = {way for index, way in enumerate(ways) if index % 2}
    n_draws = 4000
    drawn = Counter(pick(hole, ways, possible.__contains__) for _ in range(n_draws))
    assert set(drawn) <= possible
    total = sum(way.weight for way in possible)
    for way in possible:
        share = way.weight / total
        error = np.sqrt(n_draws * share * (1.0 - share))
        assert abs(drawn[way] - n_draws * share) < 5.0 * error


@pytest.mark.parametrize("n_ways", [3, 100])
def test_nothing_is_drawn_where_nothing_is_possible(n_ways: int) -> None:
    ways = read_grammar("S -> " + " | ".join(f"'a{i}'" for i in range(n_ways))).productions
    pick = by_weight(np.random.default_rng(0))
    assert pick(Hole("S", (), Goal(), 1, 1), ways, lambda _: False) is None
