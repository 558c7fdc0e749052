"""Quality against plain counting."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from niwaki.core.errors import DataError
from niwaki.core.randomness import stream
from niwaki.predictors.base import Prediction
from niwaki.predictors.linear.ridge import Ridge
from niwaki.predictors.quality import Quality, cross_quality, kendall_tau, quality


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=12))
def test_tau_counts_pairs(pairs: list[tuple[int, int]]) -> None:
    first, second = np.array(pairs, dtype=np.float64).T
    agree = tied_first = tied_second = n_pairs = 0
    for (a, b), (c, d) in itertools.combinations(pairs, 2):
        n_pairs += 1
        agree += int(np.sign(a - c) * np.sign(b - d))
        tied_first += a == c
        tied_second += b == d
    found = kendall_tau(first, second)
    if tied_first == n_pairs or tied_second == n_pairs:
        assert np.isnan(found)
    else:
        expected = agree / np.sqrt((n_pairs - tied_first) * (n_pairs - tied_second))
        assert found == pytest.approx(expected)


def test_errors_and_coverage_are_counted_by_column() -> None:
    mean = np.array([[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]])
    y = np.array([[0.0, 9.0], [2.0, 2.0], [4.0, np.nan]])
    first, second = quality(Prediction(mean, np.ones((3, 2))), y)
    assert (first.n, second.n) == (3, 2)
    assert first.rmse == pytest.approx(np.sqrt((0 + 1 + 4) / 3))
    assert first.coverage == pytest.approx(2 / 3)  # within 1.64 deviations
    assert second.coverage == pytest.approx(1 / 2)
    assert first.mean_width == pytest.approx(2 * 1.6448536)
    assert Quality.from_json(first.to_json()) == first


def test_an_interval_without_width_holds_the_value_that_it_names() -> None:
    mean, y = np.array([[1.0], [2.0]]), np.array([[1.0], [3.0]])
    [found] = quality(Prediction(mean, np.zeros((2, 1))), y)
    assert (found.coverage, found.mean_width) == (0.5, 0.0)


def test_nothing_known_is_nothing_said() -> None:
    [found] = quality(Prediction(np.zeros((2, 1)), np.ones((2, 1))), np.full((2, 1), np.nan))
    assert found.n == 0
    assert np.isnan(found.rmse)
    assert np.isnan(Quality.from_json(found.to_json()).rmse)


@pytest.mark.parametrize("width", [np.inf, np.nan])
def test_intervals_without_end_are_told_in_words(width: float) -> None:
    told = str(Quality(9, 0.5, 1.0, 1.0, width))
    assert "too few rows" in told
    assert "inf" not in told and "nan" not in told


def test_shapes_must_agree() -> None:
    with pytest.raises(DataError, match="predictions of shape"):
        quality(Prediction(np.zeros((2, 1)), np.ones((2, 1))), np.zeros((2, 2)))


def test_cross_quality_judges_rows_that_were_not_learned() -> None:
    rng = stream(0, "cross")
    X, y = rng.normal(size=(60, 50)), rng.normal(size=(60, 1))
    predictor = Ridge()
    predictor.fit(X, y)
    [found] = cross_quality(predictor, X, y)
    # There is nothing to learn: no better than the mean.
    assert found.rmse > 0.95 * y.std()
    assert found.n == 60
