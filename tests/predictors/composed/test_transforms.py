"""Changes of scale: which one is taken, and what comes back."""

import numpy as np
import pytest

from niwaki.core.errors import ConfigError, DataError
from niwaki.core.randomness import stream
from niwaki.predictors.composed.transformed import Transformed, TransformedSettings
from niwaki.predictors.composed.transforms import (
    TRANSFORMS,
    Log,
    LogBelow,
    LogOdds,
    Plain,
    Transform,
    candidates,
)
from niwaki.predictors.linear.ridge import Ridge, RidgeSettings
from niwaki.predictors.quality import quality

RNG = stream(0, "transforms")


@pytest.mark.parametrize("name", ["none", "log_odds"])
@pytest.mark.parametrize(("mean", "std"), [(-1.0, 0.05), (0.7, 0.8)])
def test_moments_come_back(name: str, mean: float, std: float) -> None:
    drawn = mean + std * RNG.normal(size=400_000)
    inverse = {"none": drawn, "log_odds": 1.0 / (1.0 + np.exp(-drawn))}[name]
    found_mean, found_std = TRANSFORMS[name].back(np.array([mean]), np.array([std]))
    assert found_mean[0] == pytest.approx(inverse.mean(), rel=0.01)
    assert found_std[0] == pytest.approx(inverse.std(), rel=0.01)


@pytest.mark.parametrize(("mean", "std"), [(-1.0, 0.05), (0.7, 0.8)])
def test_of_logarithms_the_median_comes_back_which_does_not_grow_with_the_doubt(
    mean: float, std: float
) -> None:
    drawn = np.exp(mean + std * RNG.normal(size=400_000))
    center, spread = TRANSFORMS["log"].back(np.array([mean]), np.array([std]))
    assert center[0] == pytest.approx(np.median(drawn), rel=0.01)
    assert spread[0] / center[0] == pytest.approx(drawn.std() / drawn.mean(), rel=0.01)


ALL = [Plain(), Log(), Log(-3.0), LogBelow(1.5), LogOdds()]


@pytest.mark.parametrize("transform", ALL)
def test_forward_and_back_is_nothing(transform: Transform) -> None:
    values = np.array([0.01, 0.5, 0.97])
    back, _ = transform.back(transform.forward(values), np.zeros(3))
    np.testing.assert_allclose(back, values, rtol=1e-12)


@pytest.mark.parametrize("transform", ALL)
def test_every_scale_rises_as_it_says(transform: Transform) -> None:
    values, step = np.array([0.01, 0.5, 0.97]), 1e-6
    risen = transform.forward(values + step) - transform.forward(values - step)
    np.testing.assert_allclose(transform.log_slope(values), np.log(risen / (2 * step)), atol=1e-6)


def test_what_is_below_a_point_stays_there() -> None:
    center, spread = LogBelow(95.0).back(np.array([-np.log(5.0)]), np.array([0.3]))
    above, spread_above = Log(0.0).back(np.array([np.log(5.0)]), np.array([0.3]))
    assert center[0] == pytest.approx(90.0)
    assert (95.0 - center[0], spread[0]) == pytest.approx((above[0], spread_above[0]))
    assert LogBelow(95.0).limits == (-np.inf, 95.0)


def test_origins_are_as_far_beyond_the_outermost_value_as_the_median_is_before_it() -> None:
    assert candidates(np.array([6.0, 2.0, 5.0])) == [Plain(), Log(), Log(-1.0), LogBelow(7.0)]
    assert candidates(np.array([-2.0, 1.0, 1.0])) == [Plain(), Log(-5.0)]
    assert candidates(np.array([0.0, 0.0, 3.0])) == [Plain(), LogBelow(6.0)]


@pytest.mark.parametrize("value", [0.3, -1e6])
def test_what_rounding_leaves_of_equal_values_has_no_scale(value: float) -> None:
    values = np.array([value, np.nextafter(value, 9.0), np.nextafter(value, -np.inf)])
    assert candidates(values) == [Plain()]


def test_what_multiplies_is_learned_from_few_rows() -> None:
    X = RNG.integers(2, size=(120, 8)).astype(np.float64)
    y = np.exp(X @ np.linspace(0.2, 1.0, 8))[:, None]
    plain, better = Ridge(RidgeSettings((0.0,))), Transformed(Ridge(RidgeSettings((0.0,))))
    for predictor in (plain, better):
        predictor.fit(X[:40], y[:40])
    assert better.chosen == (Log(),)
    errors = [quality(p.predict(X[40:]), y[40:])[0].rmse for p in (plain, better)]
    assert errors[1] < 0.1 * errors[0]


def test_one_transform_for_each_column() -> None:
    X, y = RNG.random((30, 2)), RNG.random((30, 2)) * 0.8 + 0.1
    predictor = Transformed(Ridge(), TransformedSettings(("none", "log_odds")))
    predictor.fit(X, y)
    assert predictor.chosen == (Plain(), LogOdds())
    with pytest.raises(DataError, match="2 transforms are set for 1 columns"):
        predictor.fit(X, y[:, :1])


@pytest.mark.parametrize(("name", "value"), [("log", 0.0), ("log_odds", 1.0)])
def test_a_value_without_a_place_is_named(name: str, value: float) -> None:
    y = np.full((9, 1), 0.5)
    y[3] = value
    with pytest.raises(DataError, match=f"the transform '{name}' wants values"):
        Transformed(Ridge(), TransformedSettings((name,))).fit(RNG.random((9, 2)), y)


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="there is no transform 'logg'; did you mean 'log'"):
        TransformedSettings(("logg",))
