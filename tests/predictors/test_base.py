"""Predictions and their intervals."""

import numpy as np
import pytest

from niwaki.core.errors import DataError
from niwaki.predictors.base import Prediction

MEAN, STD = np.array([[1.0, 10.0]]), np.array([[0.5, 2.0]])


def test_without_errors_intervals_are_normal() -> None:
    low, high = Prediction(MEAN, STD).interval(0.9)
    np.testing.assert_allclose(high, MEAN + 1.6448536 * STD, rtol=1e-6)
    np.testing.assert_allclose(low, MEAN - 1.6448536 * STD, rtol=1e-6)


def test_with_errors_the_rank_decides() -> None:
    # Nine errors: ceil(10 * 0.9) = 9, the largest; ceil(10 * 0.5) = 5, the fifth.
    errors = np.stack([np.arange(1.0, 10.0), np.arange(2.0, 11.0)], axis=1)
    prediction = Prediction(MEAN, STD, errors)
    np.testing.assert_allclose(prediction.interval(0.9)[1], MEAN + STD * [9.0, 10.0])
    np.testing.assert_allclose(prediction.interval(0.5)[1], MEAN + STD * [5.0, 6.0])


@pytest.mark.parametrize("level", [0.05, 1e-12])
def test_the_smallest_error_is_the_least_that_is_promised(level: float) -> None:
    errors = np.stack([np.arange(1.0, 10.0), np.arange(2.0, 11.0)], axis=1)
    high = Prediction(MEAN, STD, errors).interval(level)[1]
    np.testing.assert_allclose(high, MEAN + STD * [1.0, 2.0])


def test_too_few_errors_promise_nothing() -> None:
    low, high = Prediction(MEAN, STD, np.ones((8, 2))).interval(0.9)
    assert (low == -np.inf).all()
    assert (high == np.inf).all()
    certain = Prediction(MEAN, 0.0 * STD, np.ones((8, 2)))
    assert (certain.interval(0.9)[1] == np.inf).all()


def test_each_column_has_errors_of_its_own() -> None:
    errors = np.full((9, 2), np.nan)
    errors[:, 0], errors[:3, 1] = 1.0, 1.0
    high = Prediction(MEAN, STD, errors).interval(0.9)[1]
    assert np.isfinite(high).tolist() == [[True, False]]


def test_intervals_end_where_values_do() -> None:
    limits = np.array([[0.5, -np.inf], [np.inf, 11.0]])
    prediction = Prediction(MEAN, STD, np.ones((9, 2)) * 3.0, limits=limits)
    low, high = prediction.interval(0.9)
    assert low.tolist() == [[0.5, 4.0]]
    assert high.tolist() == [[2.5, 11.0]]
    low, high = Prediction(MEAN, STD, np.ones((8, 2)), limits=limits).interval(0.9)
    assert (low[0, 0], high[0, 0]) == (0.5, np.inf)


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, float("nan")])
def test_a_level_that_is_no_share_is_refused(level: float) -> None:
    with pytest.raises(DataError, match="a share between 0 and 1"):
        Prediction(MEAN, STD).interval(level)
