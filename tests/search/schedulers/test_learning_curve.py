"""From little effort to much: careful with few pairs, and as bent as many pairs say."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from niwaki.core.randomness import stream
from niwaki.search.schedulers.learning_curve import (
    LEAST_SLOPE,
    UNKNOWN,
    Array,
    Curve,
    fit_curve,
)

NONE = np.empty(0)


def fitted(x: list[float] | Array, y: list[float] | Array) -> Curve:
    """Return a curve of values that effort changes."""
    curve = fit_curve(np.asarray(x, dtype=float), np.asarray(y, dtype=float))
    assert curve is not None
    return curve


def test_without_pairs_nothing_is_known_and_nothing_changed() -> None:
    assert fit_curve(NONE, NONE) is UNKNOWN
    x = np.array([-3.0, 0.5, 40.0])
    np.testing.assert_allclose(UNKNOWN.mean(x), x)
    assert np.isinf(UNKNOWN.spread(x)).all()


def test_what_effort_does_not_change_needs_no_curve() -> None:
    x = np.array([3.0, 1.0])
    assert fit_curve(x, x.copy()) is None


def test_one_pair_is_a_shift() -> None:
    curve = fitted([40.0], [70.0])
    np.testing.assert_allclose(curve.mean(np.array([30.0, 40.0, 50.0])), [60.0, 70.0, 80.0])
    np.testing.assert_allclose(curve.spread(np.array([30.0, 50.0])), 30.0)


def test_one_pair_of_large_values_is_a_shift_too() -> None:
    curve = fitted([2e16], [3e16])
    np.testing.assert_allclose(curve.mean(np.array([1e16, 2e16, 3e16])), [2e16, 3e16, 4e16])


def test_few_pairs_are_a_line_between_a_shift_and_least_squares() -> None:
    x = np.array([30.0, 40.0, 50.0])
    curve = fitted(x, 50.0 + 0.4 * x)
    slope = float(curve.slope(np.array([41.0]))[0])
    assert slope == pytest.approx(1.0 - 0.6 * 3 / 5)


def test_many_pairs_of_a_line_are_that_line() -> None:
    rng = stream(0, "test")
    x = rng.uniform(20.0, 60.0, size=500)
    curve = fitted(x, 50.0 + 0.4 * x + rng.normal(0.0, 1.5, size=500))
    inside = np.linspace(22.0, 58.0, 20)
    np.testing.assert_allclose(curve.mean(inside), 50.0 + 0.4 * inside, atol=0.8)
    np.testing.assert_allclose(curve.spread(inside), 1.5, rtol=0.3)


def test_the_slope_is_how_the_mean_rises_also_beyond_the_knots() -> None:
    curve = Curve(np.array([0.0, 1.0, 3.0]), np.array([0.0, 4.0, 5.0]), np.zeros(3))
    places = np.array([-2.0, 0.5, 2.0, 9.0])
    np.testing.assert_allclose(curve.slope(places), [4.0, 4.0, 0.5, 0.5])
    rises = (curve.mean(places + 1e-3) - curve.mean(places)) / 1e-3
    np.testing.assert_allclose(curve.slope(places), rises)


def test_the_unit_of_a_value_does_not_matter() -> None:
    rng = stream(2, "test")
    x = rng.uniform(0.0, 10.0, size=60)
    y = np.abs(x - 5.0) * (x > 5.0) + 0.2 * x + rng.normal(0.0, 0.1, size=60)
    curve, small = fitted(x, y), fitted(0.001 * x, 0.001 * y)
    places = np.linspace(-1.0, 11.0, 30)
    np.testing.assert_allclose(small.mean(0.001 * places), 0.001 * curve.mean(places))
    np.testing.assert_allclose(small.spread(0.001 * places), 0.001 * curve.spread(places))


def test_the_good_are_foretold_better_than_the_bad() -> None:
    rng = stream(1, "test")
    x = rng.uniform(10.0, 60.0, size=200)
    noise = np.where(x < 30.0, 8.0, 0.5)
    truth = 75.0 - 0.02 * (60.0 - x) ** 2
    curve = fitted(x, truth + noise * rng.normal(size=200))
    best = np.linspace(50.0, 59.0, 10)
    np.testing.assert_allclose(curve.mean(best), 75.0 - 0.02 * (60.0 - best) ** 2, atol=0.6)
    assert curve.spread(best).max() < 1.5
    assert curve.spread(np.array([15.0]))[0] > 5.0


@settings(max_examples=60, deadline=None)
@example([(0.0, 0.0), (2.60517514883965e-40, -1.0)])
@given(st.lists(st.tuples(st.floats(-50, 50), st.floats(-50, 50)), min_size=1, max_size=40))
def test_better_is_never_taken_for_worse(pairs: list[tuple[float, float]]) -> None:
    x, y = np.array(pairs).T
    curve = fit_curve(x, y)
    if curve is None:
        return
    places = np.linspace(-80.0, 80.0, 200)
    means = curve.mean(places)
    assert np.isfinite(means).all()
    assert (np.diff(means) >= LEAST_SLOPE * np.diff(places) - 1e-6).all()
    assert (curve.spread(places) >= 0.0).all()
