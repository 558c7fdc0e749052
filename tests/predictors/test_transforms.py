"""Changes of scale: which one is taken, and what comes back."""

import numpy as np
import pytest

from niwaki.core.errors import ConfigError, DataError
from niwaki.core.randomness import stream
from niwaki.predictors.quality import quality
from niwaki.predictors.ridge import Ridge, RidgeSettings
from niwaki.predictors.transformed import Transformed, TransformedSettings
from niwaki.predictors.transforms import TRANSFORMS, likelier

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


@pytest.mark.parametrize("name", ["none", "log", "log_odds"])
def test_forward_and_back_is_nothing(name: str) -> None:
    values = np.array([0.01, 0.5, 0.97])
    back, _ = TRANSFORMS[name].back(TRANSFORMS[name].forward(values), np.zeros(3))
    np.testing.assert_allclose(back, values, rtol=1e-12)


def test_logarithms_are_taken_of_what_spreads_over_factors() -> None:
    assert likelier(np.exp(RNG.normal(size=200))) == "log"
    assert likelier(90.0 + RNG.normal(size=200)) in ("none", "log")  # as good as equal
    assert likelier(100.0 - np.exp(RNG.normal(size=200))) == "none"
    assert likelier(RNG.normal(size=200)) == "none"
    assert likelier(np.full(5, 3.0)) == "none"
    assert likelier(np.array([1.0, 9.0])) == "none"


def test_what_multiplies_is_learned_from_few_rows() -> None:
    X = RNG.integers(2, size=(120, 8)).astype(np.float64)
    y = np.exp(X @ np.linspace(0.2, 1.0, 8))[:, None]
    plain, better = Ridge(RidgeSettings((0.0,))), Transformed(Ridge(RidgeSettings((0.0,))))
    for predictor in (plain, better):
        predictor.fit(X[:40], y[:40])
    assert better.chosen == ("log",)
    errors = [quality(p.predict(X[40:]), y[40:])[0].rmse for p in (plain, better)]
    assert errors[1] < 0.1 * errors[0]


def test_one_transform_for_each_column() -> None:
    X, y = RNG.random((30, 2)), RNG.random((30, 2)) * 0.8 + 0.1
    predictor = Transformed(Ridge(), TransformedSettings(("none", "log_odds")))
    predictor.fit(X, y)
    assert predictor.chosen == ("none", "log_odds")
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
