"""Transfer: a little of the new, and much of the old, beat the little alone."""

import numpy as np
import pytest
from numpy.typing import NDArray

from niwaki.core.randomness import stream
from niwaki.predictors.base import Predictor
from niwaki.predictors.composed.on_columns import OnColumns
from niwaki.predictors.composed.transfer import Transferred
from niwaki.predictors.composed.transformed import Transformed, TransformedSettings
from niwaki.predictors.linear.bayesian_ridge import BayesianRidge
from niwaki.predictors.quality import quality

LOG = TransformedSettings(("log",))


def device(X: NDArray[np.float64], seed: int, *, shift: float) -> NDArray[np.float64]:
    """Return (n, 1) latencies; devices differ in speed, in one layer, and in noise."""
    rng = stream(0, "common")
    common = X @ rng.uniform(0.2, 1.0, size=X.shape[1])
    own = 1.0 + common + shift * X[:, seed]
    return np.asarray((2.0 + seed) * own**0.9 * np.exp(0.01 * stream(seed).normal(size=len(X))))[
        :, None
    ]


def median_error(make: Predictor, X: NDArray[np.float64], *, shift: float, n: int) -> float:
    y = device(X, 1, shift=shift)
    make.fit(X[:n], y[:n])
    found = make.predict(X[1000:]).mean
    return float(np.median(np.abs(found / y[1000:] - 1.0)))


@pytest.mark.parametrize(("shift", "at_most"), [(0.0, 0.6), (1.0, 0.9)])
def test_thirty_samples_and_another_device_beat_thirty_samples(
    shift: float, at_most: float
) -> None:
    X = stream(0, "networks").integers(2, size=(1500, 25)).astype(np.float64)
    source = Transformed(BayesianRidge(), LOG)
    source.fit(X[:1000], device(X[:1000], 0, shift=shift))
    alone = median_error(Transformed(BayesianRidge(), LOG), X, shift=shift, n=30)
    moved = median_error(
        Transformed(Transferred(source, logarithms=True), LOG), X, shift=shift, n=30
    )
    assert moved < at_most * alone


def test_an_unrelated_source_is_found_out() -> None:
    rng = stream(0, "unrelated")
    X = rng.normal(size=(300, 5))
    source = BayesianRidge()
    source.fit(X, rng.normal(size=(300, 1)) * 1e3)
    y = X @ np.arange(5.0)[:, None]
    predictor = Transferred(source)
    predictor.fit(X[:100], y[:100])
    assert quality(predictor.predict(X[100:]), y[100:])[0].kendall_tau > 0.95


def test_the_source_is_left_as_it_was() -> None:
    rng = stream(0, "left")
    X = rng.normal(size=(60, 5))
    source = BayesianRidge()
    source.fit(X, X[:, :2])
    before = source.predict(X).mean
    Transferred(source).fit(X[:20], X[:20, :1] ** 2)
    np.testing.assert_array_equal(source.predict(X).mean, before)


def test_columns_that_do_not_matter_are_not_looked_at() -> None:
    rng = stream(0, "columns")
    X = rng.normal(size=(60, 5))
    predictor = OnColumns(BayesianRidge(), [1, 3])
    predictor.fit(X, X[:, [1]])
    other = X.copy()
    other[:, [0, 2, 4]] = 99.0
    np.testing.assert_array_equal(predictor.predict(other).mean, predictor.predict(X).mean)
