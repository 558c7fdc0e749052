"""Regularized evolution: what is peculiar to it."""

import numpy as np
import pytest

from niwaki.core import Candidate, Direction, Measurement, Objective, Trial
from niwaki.core.errors import ConfigError
from niwaki.search import Problem
from niwaki.search.regularized_evolution import RegularizedEvolution, RegularizedEvolutionSettings
from niwaki.spaces import Choice, ChoiceSpace

SPACE = ChoiceSpace(tuple(Choice(f"c{n}", tuple(range(6))) for n in range(12)))
PROBLEM = Problem(SPACE, (Objective("value", Direction.MAXIMIZE),))
EVERYONE_COMPETES = RegularizedEvolutionSettings(population_size=5, sample_size=5)


def n_same(first: Candidate, second: Candidate) -> int:
    """Count the decisions that two candidates share."""
    return sum(a == b for a, b in zip(first.items, second.items, strict=True))


def told_in_order(values: list[float]) -> tuple[RegularizedEvolution, list[Candidate]]:
    """Return a searcher whose candidates had these values, oldest first."""
    searcher = RegularizedEvolution(PROBLEM, EVERYONE_COMPETES)
    asked = searcher.ask(len(values))
    trials = [
        Trial(n, c, Measurement(c.key, {"value": value}))
        for n, (c, value) in enumerate(zip(asked, values, strict=True))
    ]
    searcher.tell(trials)
    return searcher, asked


def test_the_parent_is_the_best_of_the_living() -> None:
    searcher, asked = told_in_order([1.0, 2.0, 9.0, 3.0, 4.0])
    for mutant in searcher.ask(10):
        assert n_same(mutant, asked[2]) == max(n_same(mutant, other) for other in asked) >= 6


def test_the_oldest_retires_however_good_it_was() -> None:
    searcher, asked = told_in_order([9.0, 1.0, 2.0, 8.0, 3.0, 4.0])
    for mutant in searcher.ask(10):
        assert n_same(mutant, asked[3]) > n_same(mutant, asked[0])


@pytest.mark.parametrize(("population", "sample"), [(1, 1), (5, 0), (5, 6)])
def test_settings_that_make_no_sense_are_refused(population: int, sample: int) -> None:
    with pytest.raises(ConfigError, match="give at least"):
        RegularizedEvolutionSettings(population, sample)


def test_without_random_candidates_the_known_ones_breed_at_once() -> None:
    known = tuple(SPACE.sample(np.random.default_rng(seed)) for seed in (1, 2))
    problem = Problem(SPACE, PROBLEM.objectives, initial=known)
    settings = RegularizedEvolutionSettings(5, 5, n_random=0)
    searcher = RegularizedEvolution(problem, settings)
    assert tuple(searcher.ask(2)) == known
    early = searcher.ask(8)  # nothing is known of any yet
    assert sum(max(n_same(mutant, each) for each in known) >= 6 for mutant in early) >= 6
    values = [Measurement(c.key, {"value": float(n)}) for n, c in enumerate(known)]
    searcher.tell([Trial(n, c, m) for n, (c, m) in enumerate(zip(known, values, strict=True))])
    assert sum(n_same(mutant, known[1]) >= 6 for mutant in searcher.ask(8)) >= 6


def test_a_negative_number_of_random_candidates_is_refused() -> None:
    with pytest.raises(ConfigError, match="'n_random' is -1"):
        RegularizedEvolutionSettings(n_random=-1)
