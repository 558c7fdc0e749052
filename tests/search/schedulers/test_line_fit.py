"""From little effort to much: lines that are careful with few pairs."""

import numpy as np
import pytest

from niwaki.core.randomness import stream
from niwaki.search.schedulers.line_fit import LEAST_SLOPE, SAME, UNKNOWN, fit_line

NONE = np.empty(0)


def test_without_pairs_nothing_is_known() -> None:
    assert fit_line(NONE, NONE) == UNKNOWN
    assert UNKNOWN(3.0) == 3.0
    assert np.isinf(UNKNOWN.spread)


def test_what_effort_does_not_change_is_exact() -> None:
    x = np.array([3.0, 1.0])
    assert fit_line(x, x.copy()) == SAME


def test_one_pair_is_a_shift() -> None:
    line = fit_line(np.array([40.0]), np.array([70.0]))
    assert (line(40.0), line(50.0), line.spread) == (70.0, 80.0, 30.0)


def test_many_pairs_are_the_line_of_least_squares() -> None:
    rng = stream(0, "test")
    x = rng.uniform(20.0, 60.0, size=500)
    y = 50.0 + 0.4 * x + rng.normal(0.0, 1.5, size=500)
    line = fit_line(x, y)
    slope, intercept = np.polyfit(x, y, 1)
    assert line.slope == pytest.approx(slope, abs=0.01)
    assert line(40.0) == pytest.approx(intercept + slope * 40.0, abs=0.01)
    assert line.spread == pytest.approx(1.5, rel=0.1)


def test_better_is_never_taken_for_worse() -> None:
    x = np.arange(20.0)
    assert fit_line(x, -x).slope == LEAST_SLOPE
