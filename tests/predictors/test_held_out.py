"""Rows held out are rows that nothing was learned from."""

from collections.abc import Callable

import numpy as np
import pytest

from niwaki.core.errors import DataError
from niwaki.predictors.base import Predictor
from niwaki.predictors.composed.bounded import Bounded
from niwaki.predictors.held_out import cross_predict, folds, held_out_predictions
from niwaki.predictors.linear.bayesian_ridge import BayesianRidge
from niwaki.predictors.linear.ridge import Ridge, RidgeSettings
from niwaki.testing.predictor_contract import assert_same, examples


def test_folds_are_of_equal_size_and_in_random_order() -> None:
    found = folds(23, 5, seed=3)
    assert sorted(np.bincount(found)) == [4, 4, 5, 5, 5]
    assert not np.array_equal(found, np.arange(23) % 5)
    np.testing.assert_array_equal(found, folds(23, 5, seed=3))
    assert folds(3, 10, seed=0).max() == 2


def test_each_fold_is_predicted_by_the_others() -> None:
    X, y = examples(30)
    fold_of = folds(30, 3, seed=0)
    found = cross_predict(Ridge(), X, y, fold_of)
    alone = Ridge()
    alone.fit(X[fold_of != 1], y[fold_of != 1])
    np.testing.assert_array_equal(found.mean[fold_of == 1], alone.predict(X[fold_of == 1]).mean)


def without_own_check() -> Predictor:
    return Bounded(Ridge(), np.array([[-np.inf] * 2, [np.inf] * 2]))


@pytest.mark.parametrize("make", [BayesianRidge, without_own_check])
def test_afterwards_everything_was_learned(make: Callable[[], Predictor]) -> None:
    X, y = examples(30)
    y[0, 1] = np.nan
    predictor, plain = make(), make()
    found = held_out_predictions(predictor, X, y, n_folds=3, seed=0)
    plain.fit(X, y)
    assert_same(predictor.predict(X), plain.predict(X))
    assert np.isnan(found.mean[0, 1])
    assert np.isfinite(found.mean).sum() == 59


def test_one_row_cannot_be_held_out() -> None:
    with pytest.raises(DataError, match="1 rows cannot be held out"):
        cross_predict(Ridge(RidgeSettings()), np.zeros((1, 2)), np.zeros((1, 1)), np.zeros(1, int))
