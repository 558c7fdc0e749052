"""The scale that a value is learned on: the one on which the others predict it best."""

import numpy as np
import pytest
from numpy.typing import NDArray

from niwaki.core.randomness import stream
from niwaki.predictors.composed.likeliest_scale import likeliest_scale
from niwaki.predictors.composed.transformed import Transformed
from niwaki.predictors.composed.transforms import Log, LogBelow, Plain
from niwaki.predictors.linear.ridge import Ridge

RNG = stream(0, "likeliest scale")
CHOICES = RNG.integers(2, size=(80, 6)).astype(np.float64)
EFFECTS = CHOICES @ np.linspace(0.2, 1.4, 6)
NOISE = 0.02 * RNG.normal(size=80)


def test_what_multiplies_is_learned_as_logarithms() -> None:
    assert likeliest_scale(CHOICES, np.exp(EFFECTS + NOISE)) == Log()


def test_what_adds_up_is_not_however_much_it_looks_like_a_product() -> None:
    # One layer costs fifty times the others: the sums spread over factors.
    sums = 0.1 + CHOICES @ np.array([0.01, 0.02, 0.02, 0.03, 0.05, 2.0]) + 0.001 * NOISE
    assert np.log(np.log(sums).std()) + np.log(sums).mean() < np.log(sums.std())
    assert likeliest_scale(CHOICES, sums) == Plain()


def test_accuracies_with_a_long_tail_are_learned_from_a_point_above() -> None:
    chosen = likeliest_scale(CHOICES, 94.0 - np.exp(EFFECTS + NOISE))
    assert isinstance(chosen, LogBelow)
    assert chosen.origin > 94.0 - np.exp(EFFECTS + NOISE).min()


def test_errors_with_a_long_tail_are_learned_from_a_point_below() -> None:
    errors = 50.0 + np.exp(EFFECTS + NOISE)
    chosen = likeliest_scale(CHOICES, errors)
    assert isinstance(chosen, Log)
    assert 0.0 < chosen.origin < errors.min()


@pytest.mark.parametrize("y", [RNG.normal(size=80), np.full(80, 3.0), np.array([1.0, 9.0, 2.0])])
def test_nothing_is_changed_where_nothing_speaks_for_it(y: NDArray[np.float64]) -> None:
    assert likeliest_scale(CHOICES[: len(y)], y) == Plain()


def test_it_is_the_same_in_other_units_and_the_other_way_up() -> None:
    accuracies = 94.0 - np.exp(EFFECTS + NOISE)
    shares, errors = (
        likeliest_scale(CHOICES, accuracies / 100.0),
        likeliest_scale(CHOICES, -accuracies),
    )
    assert isinstance(shares, LogBelow)
    assert isinstance(errors, Log)
    origin = likeliest_scale(CHOICES, accuracies).origin
    assert (100.0 * shares.origin, -errors.origin) == pytest.approx((origin, origin))


def test_the_scale_is_saved_with_what_was_learned() -> None:
    predictor = Transformed(Ridge())
    predictor.fit(CHOICES, (94.0 - np.exp(EFFECTS + NOISE))[:, None])
    other = Transformed(Ridge())
    other.restore(predictor.state())
    assert other.chosen == predictor.chosen
    np.testing.assert_array_equal(other.predict(CHOICES).mean, predictor.predict(CHOICES).mean)
