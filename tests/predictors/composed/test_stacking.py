"""Stacks: their weights against a search of all weights."""

import numpy as np
import pytest
from numpy.typing import NDArray

from niwaki.core.errors import ConfigError
from niwaki.core.randomness import stream
from niwaki.predictors.composed.stacking import Stacking, StackingSettings, _best_weights, _mixed
from niwaki.predictors.linear.ridge import Ridge, RidgeSettings
from niwaki.predictors.quality import quality
from niwaki.predictors.trees.ensemble import TreeEnsemble, TreeEnsembleSettings


def test_weights_have_the_least_error_of_all() -> None:
    rng = stream(0, "stack")
    y = rng.normal(size=(80, 1))
    means = y + rng.normal(size=(3, 80, 1)) * np.array([0.5, 0.8, 2.0])[:, None, None] + 0.3
    weights = _best_weights(means, y)
    assert weights.min() >= 0.0
    assert weights.sum() == pytest.approx(1.0)

    def error(tried: NDArray[np.float64]) -> float:
        return float(((np.einsum("knm,km->nm", means, tried) - y) ** 2).sum())

    grid = np.linspace(0.0, 1.0, 101)
    best = min(
        error(np.array([[a], [b], [1.0 - a - b]])) for a in grid for b in grid if a + b <= 1.0
    )
    assert error(weights) <= best + 1e-6


def test_a_mixture_is_as_wide_as_its_parts_and_their_differences() -> None:
    mean, std = _mixed(np.array([[[0.0]], [[4.0]]]), np.ones((2, 1, 1)), np.full((2, 1), 0.5))
    assert mean.item() == 2.0
    assert std.item() == pytest.approx(np.sqrt(1.0 + 4.0))


def test_rows_that_a_member_holds_out_nothing_of_have_no_say_in_its_weight() -> None:
    y = stream(3, "stack").normal(size=(40, 1))
    means = np.stack([y, np.zeros_like(y)])
    means[1, ::2] = np.nan
    np.testing.assert_allclose(_best_weights(means, y), [[1.0], [0.0]], atol=1e-6)


def test_members_that_count_for_nothing_else_count_for_the_spread() -> None:
    weights = np.array([[1.0], [0.0]])
    mean, std = _mixed(np.array([[[0.0]], [[4.0]]]), np.ones((2, 1, 1)), weights)
    assert mean.item() == 0.0
    assert std.item() == pytest.approx(np.sqrt(1.0 + 16.0 / 2.0))


def test_the_right_member_is_trusted_column_by_column() -> None:
    rng = stream(1, "stack")
    X = rng.random((150, 3))
    smooth = X @ np.array([3.0, -2.0, 1.0])
    steps = np.where(X[:, 0] > 0.5, 1.0, 0.0) * np.where(X[:, 1] > 0.5, -1.0, 1.0)
    trees = TreeEnsemble(TreeEnsembleSettings(n_trees=40, feature_share=1.0))
    stack = Stacking(members=[Ridge(RidgeSettings((0.0,))), trees])
    stack.fit(X, np.stack([smooth, steps], axis=1))
    assert stack.weights[0, 0] > 0.8
    assert stack.weights[1, 1] > 0.8


def test_a_column_with_few_values_is_stacked_from_those() -> None:
    rng = stream(2, "stack")
    X = rng.random((100, 3))
    y = np.stack([X[:, 0], X[:, 1]], axis=1)
    y[20:, 1] = np.nan
    stack = Stacking(members=[Ridge(), TreeEnsemble(TreeEnsembleSettings(n_trees=10))])
    stack.fit(X, y)
    assert quality(stack.predict(X), y)[1].kendall_tau > 0.95
    assert np.isnan(stack.held_out().mean[20:, 1]).all()


def test_members_are_named_or_given() -> None:
    assert len(Stacking(StackingSettings(members=("ridge", "bayesian_ridge")))._members) == 2
    with pytest.raises(ConfigError, match="there is no 'rigde' among the predictors; did you mean"):
        StackingSettings(members=("rigde",))
    with pytest.raises(ConfigError, match="'members' is empty"):
        StackingSettings(members=())
    with pytest.raises(ConfigError, match="has no members"):
        Stacking(members=[])
