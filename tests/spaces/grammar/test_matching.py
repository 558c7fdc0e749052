"""Perfect matchings against all permutations."""

import itertools

import numpy as np

from niwaki.spaces.grammar.matching import first_matching


def test_the_first_matching_is_found() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        n = int(rng.integers(1, 6))
        fits = (rng.random((n, n)) < 0.55).tolist()
        orders = itertools.permutations(range(n))
        fitting = (list(each) for each in orders if all(fits[i][each[i]] for i in range(n)))
        assert first_matching(fits) == next(fitting, [])
