"""The linear predictors against explicit lists of products, and against refitting."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import multivariate_normal
from sklearn.linear_model import BayesianRidge as SklearnBayesianRidge
from sklearn.linear_model import Ridge as SklearnRidge

from niwaki.core.errors import ConfigError
from niwaki.core.randomness import stream
from niwaki.predictors.linear.base import LinearSettings
from niwaki.predictors.linear.bayesian_ridge import BayesianRidge, BayesianRidgeSettings
from niwaki.predictors.linear.pairwise import (
    Decomposition,
    Doubt,
    Weights,
    inner_products,
    own_products,
)
from niwaki.predictors.linear.ridge import Ridge, RidgeSettings
from niwaki.predictors.quality import quality
from niwaki.predictors.scaling import Scaling

RNG = stream(0, "linear")
ROWS = Scaling.of(RNG.random((40, 6))).to_unit(RNG.random((40, 6)))
OTHER = RNG.normal(size=(9, 6))
Y = ROWS @ RNG.normal(size=6) + 0.7 * ROWS[:, 0] * ROWS[:, 3] + 0.1 * RNG.normal(size=40)


def listed(rows: NDArray[np.float64], pair_weight: float) -> NDArray[np.float64]:
    """Return features and, after them, all products of two, weighted."""
    d = rows.shape[1]
    pairs = [rows[:, i] * rows[:, j] for i in range(d) for j in range(i + 1, d)]
    return np.concatenate([rows, np.sqrt(pair_weight) * np.stack(pairs, axis=1)], axis=1)


@pytest.mark.parametrize("pair_weight", [0.0, 0.3, 1.0])
def test_inner_products_are_those_of_listed_products(pair_weight: float) -> None:
    expected = listed(OTHER, pair_weight) @ listed(ROWS, pair_weight).T
    np.testing.assert_allclose(inner_products(OTHER, ROWS, pair_weight), expected, atol=1e-10)
    own = (listed(OTHER, pair_weight) ** 2).sum(axis=1)
    np.testing.assert_allclose(own_products(OTHER, pair_weight), own, atol=1e-10)


@pytest.mark.parametrize("pair_weight", [0.0, 0.3])
@pytest.mark.parametrize("strength", [0.01, 5.0])
def test_weights_are_the_closed_form(pair_weight: float, strength: float) -> None:
    decomposition = Decomposition.of(ROWS, pair_weight)
    weights = Weights.of_rows(
        ROWS, decomposition.coefficients(Y, strength), pair_weight=pair_weight
    )
    weights = weights.moved(Y.mean() - weights.at(ROWS).mean())
    oracle = SklearnRidge(alpha=strength).fit(listed(ROWS, pair_weight), Y)
    expected = oracle.predict(listed(OTHER, pair_weight))
    np.testing.assert_allclose(weights.at(OTHER), expected, rtol=1e-8)


def test_leaving_one_out_is_refitting() -> None:
    errors, _ = Decomposition.of(ROWS, 0.3).leave_one_out(Y, 2.0)
    features = listed(ROWS, 0.3)
    for row in (0, 7, 39):
        kept = np.arange(40) != row
        oracle = SklearnRidge(alpha=2.0).fit(features[kept], Y[kept])
        assert errors[row] == pytest.approx(Y[row] - oracle.predict(features[[row]])[0])


def test_doubt_is_the_posterior_variance() -> None:
    strength, features = 0.5, listed(ROWS, 0.3)
    doubt = Doubt.left_by(ROWS, Decomposition.of(ROWS, 0.3), strength)
    centred = features - features.mean(axis=0)
    precision = centred.T @ centred + strength * np.eye(features.shape[1])
    away = listed(OTHER, 0.3) - features.mean(axis=0)
    expected = np.einsum("nd,nd->n", away @ np.linalg.inv(precision), away) + 1.0 / 40
    np.testing.assert_allclose(doubt.at(OTHER), expected, rtol=1e-6)


def test_bayesian_ridge_maximises_the_evidence() -> None:
    decomposition = Decomposition.of(ROWS, 0.0)
    centring = np.eye(40) - 1.0 / 40
    found = BayesianRidge().strength(decomposition, Y)
    basis = np.linalg.svd(centring)[0][:, :39]  # everything but the constant

    def evidence(strength: float) -> float:
        variance = found.noise**2 / found.strength
        covariance = variance * (ROWS @ ROWS.T + strength * np.eye(40))
        return float(multivariate_normal.logpdf(basis.T @ Y, cov=basis.T @ covariance @ basis))

    here = evidence(found.strength)
    assert here > evidence(2.0 * found.strength)
    assert here > evidence(0.5 * found.strength)


def test_bayesian_ridge_agrees_with_scikit_learn() -> None:
    flat = {"lambda_1": 0.0, "lambda_2": 0.0, "alpha_1": 0.0, "alpha_2": 0.0}
    oracle = SklearnBayesianRidge(**flat).fit(ROWS, Y)
    predictor = BayesianRidge(BayesianRidgeSettings(pair_weights=(0.0,)))
    predictor.fit(ROWS, Y[:, None])
    mean, std = oracle.predict(OTHER, return_std=True)
    found = predictor.predict(OTHER)
    np.testing.assert_allclose(found.mean[:, 0], mean, atol=0.02)
    np.testing.assert_allclose(found.std[:, 0], std, rtol=0.1)


@pytest.mark.parametrize("kind", [Ridge, BayesianRidge])
def test_products_are_used_where_they_matter(kind: type[Ridge | BayesianRidge]) -> None:
    rng = stream(1, "products")
    X = (rng.random((250, 10)) < 0.5).astype(np.float64)
    y = (X[:, 0] * X[:, 1] - X[:, 2] * X[:, 3] + 0.1 * X[:, 4])[:, None]
    plain, paired = kind(LinearSettings((0.0,))), kind()  # type: ignore[arg-type]
    errors = []
    for predictor in (plain, paired):
        predictor.fit(X[:150], y[:150])
        errors.append(quality(predictor.predict(X[150:]), y[150:])[0].rmse)
    assert errors[1] < 0.2 * errors[0]


def test_held_out_spreads_fit_held_out_errors() -> None:
    rng = stream(2, "spread")
    X = rng.normal(size=(300, 5))
    y = (X @ np.arange(5.0) + rng.normal(size=300))[:, None]
    predictor = Ridge(RidgeSettings(pair_weights=(0.0,)))
    predictor.fit(X, y)
    found = predictor.held_out()
    assert (((found.mean - y) / found.std) ** 2).mean() == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("weights", [(), (-1.0,), (float("nan"),), (float("inf"),)])
def test_pair_weights_are_checked(weights: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match="'pair_weights' is"):
        LinearSettings(weights)


@pytest.mark.parametrize("pair_weight", [0.0, 0.3])
@pytest.mark.parametrize("kind", [Ridge, BayesianRidge])
def test_many_rows_are_decomposed_by_their_few_products(
    pair_weight: float, kind: type[Ridge | BayesianRidge]
) -> None:
    rng = stream(3, "many")
    rows = np.eye(3)[rng.integers(0, 3, size=(90, 2))].reshape(90, 6)  # one-hot: rank deficient
    y = rows @ rng.normal(size=6) + rows[:, 0] * rows[:, 4] + 0.1 * rng.normal(size=90)
    few = Decomposition.of(rows, pair_weight)
    centred = listed(rows, pair_weight) if pair_weight else rows
    centred = centred - centred.mean(axis=0)
    values, vectors = np.linalg.eigh(centred @ centred.T)
    full = Decomposition(np.maximum(values, 0.0), vectors, pair_weight)
    assert few.vectors.shape[1] < 21
    found, expected = (kind().strength(each, y) for each in (few, full))
    assert found.strength == pytest.approx(expected.strength)
    assert found.noise == pytest.approx(expected.noise)
    assert found.cost == pytest.approx(expected.cost)
    for own, wanted in zip(few.leave_one_out(y, 2.0), full.leave_one_out(y, 2.0), strict=True):
        np.testing.assert_allclose(own, wanted, atol=1e-10)


@pytest.mark.parametrize("predictor", [Ridge(), BayesianRidge()])
def test_of_many_options_one_that_no_row_had_is_doubted_as_one_that_a_single_row_had(
    predictor: Ridge | BayesianRidge,
) -> None:
    rng = stream(4, "linear")
    worth, options = rng.normal(size=100), rng.integers(100, size=60)
    X, y = np.eye(100)[options], worth[options] + 0.1 * rng.normal(size=60)
    predictor.fit(X, y[:, None])
    counts = X.sum(axis=0)
    single = predictor.held_out().std[counts[options] == 1.0, 0]
    unseen = predictor.predict(np.eye(100)[counts == 0.0]).std[:, 0]
    np.testing.assert_allclose(unseen, single.mean(), rtol=0.1)
    assert unseen.min() > 1.5 * predictor.predict(np.eye(100)[counts > 1.0]).std.max()
