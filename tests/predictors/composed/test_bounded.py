"""Predictions that stay where values can be."""

import numpy as np
import pytest
from numpy.typing import NDArray

from niwaki.core.errors import DataError
from niwaki.core.randomness import stream
from niwaki.predictors.base import Predictor
from niwaki.predictors.composed.bounded import Bounded
from niwaki.predictors.quality import quality
from niwaki.predictors.standard import standard_predictor
from niwaki.testing.predictor_contract import PredictorContract

UNKNOWN = np.array([[-np.inf, -np.inf], [np.inf, np.inf]])


class TestBounded(PredictorContract):
    least_coverage = 0.75

    def make(self) -> Predictor:
        return Bounded(standard_predictor(), UNKNOWN)


def shares(n: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return features, and shares of which many are close to 1, and some close to 0."""
    rng = stream(seed, "shares")
    X = rng.integers(2, size=(n, 6)).astype(np.float64)
    y = np.clip(0.3 * X @ np.arange(6) - 0.6 + rng.normal(scale=0.3, size=n), 0.0, 1.0)
    return X, y[:, None]


def test_predictions_keep_within_the_limits_and_hold_as_much() -> None:
    without, within = standard_predictor(), Bounded(standard_predictor(), np.array([[0.0], [1.0]]))
    for predictor in (without, within):
        predictor.fit(*shares(60, 0))
    X, y = shares(400, 1)
    free, kept = without.predict(X), within.predict(X)
    assert free.mean.max() > 1.0
    assert free.interval()[0].min() < 0.0
    for values in (kept.mean, *kept.interval()):
        assert values.min() >= 0.0
        assert values.max() <= 1.0
    low, high = kept.interval()
    assert ((low <= kept.mean) & (kept.mean <= high)).all()
    assert quality(kept, y)[0].coverage >= quality(free, y)[0].coverage
    assert quality(kept, y)[0].rmse < quality(free, y)[0].rmse


def test_what_is_learned_in_logarithms_stays_positive() -> None:
    rng = stream(0, "logarithms")
    X, y = rng.random((80, 3)), np.exp(2.0 * rng.normal(size=(80, 1)))
    predictor = standard_predictor()
    predictor.fit(X, y)
    low, high = predictor.predict(X).interval(0.95)
    assert (low == 0.0).any()
    assert (high > 0.0).all()


def test_limits_are_of_each_column() -> None:
    with pytest.raises(DataError, match="limits are set for 2 columns, but y has 1"):
        Bounded(standard_predictor(), UNKNOWN).fit(*shares(20, 0))
