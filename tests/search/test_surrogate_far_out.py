"""Values that are bad beyond all others: what is left of them, and what a search makes of that."""

import numpy as np
import pytest

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Measurement, Trial
from niwaki.core.randomness import stream
from niwaki.search import Problem
from niwaki.search.surrogate import Surrogate
from niwaki.search.surrogate.far_out import drawn_in
from tests.search.test_surrogate import LAYERS, OBJECTIVES, values

NOWHERE = -np.inf


def test_what_nature_gives_stays_as_it_is() -> None:
    rng = stream(0, "costs")
    latencies = rng.lognormal(0.0, 1.0, 500)
    accuracies = -np.append(rng.normal(65.0, 3.0, 480), np.full(20, 1.0))  # 20 learned nothing
    for costs in (latencies, accuracies, np.full(9, 3.0), np.array([2.0])):
        assert np.array_equal(drawn_in(costs, NOWHERE), costs)


@pytest.mark.parametrize("shift", [0.0, -20.0])
def test_how_large_a_penalty_is_does_not_matter(shift: float) -> None:
    costs = np.append(stream(1, "costs").uniform(8.0, 13.0, 30), np.nan) + shift
    one, other = (drawn_in(np.nan_to_num(costs, nan=penalty), NOWHERE) for penalty in (1e4, 1e30))
    assert np.array_equal(one, other)
    assert np.array_equal(one[:-1], costs[:-1])
    assert costs[:-1].max() < one[-1] < 40.0


def test_a_front_may_end_far_out() -> None:
    costs = np.array([8.0, 9.0, 10.0, 11.0, 12.0, 500.0, 1e6])
    assert drawn_in(costs, 500.0).tolist() == [8.0, 9.0, 10.0, 11.0, 12.0, 500.0, 500.0]


def asked(penalty: float) -> list[Candidate]:
    """Return what is asked for where networks whose first layer is small get a penalty."""
    searcher = Surrogate(Problem(LAYERS, OBJECTIVES, seed=1))
    found = []
    for number in range(25):
        [candidate] = searcher.ask(1)
        measured = {name: 1.0 + value for name, value in values(candidate).items()}
        if candidate.decisions["layer0"] == "small":
            measured["error"] = penalty
        searcher.tell([Trial(number, candidate, Measurement(candidate.key, measured))])
        found.append(candidate)
    return found


def test_a_search_does_not_see_how_large_a_penalty_is() -> None:
    assert asked(1e6) == asked(1e12)
