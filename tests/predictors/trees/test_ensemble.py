"""Trees as arrays against the library that grew them."""

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesRegressor

from niwaki.core.errors import ConfigError
from niwaki.core.randomness import stream
from niwaki.predictors.quality import quality
from niwaki.predictors.trees.ensemble import TreeEnsemble, TreeEnsembleSettings
from niwaki.predictors.trees.forest import Forest

RNG = stream(0, "trees")
X, THERE = RNG.random((200, 7)), RNG.random((500, 7))
Y = 5.0 * X[:, 0] + np.sin(9.0 * X[:, 1]) + 0.1 * RNG.normal(size=200)


def test_a_forest_predicts_what_the_library_predicts() -> None:
    model = ExtraTreesRegressor(30, bootstrap=True, random_state=1).fit(X, Y)
    forest = Forest.of_trees([each.tree_ for each in model.estimators_], constant=0.0)
    np.testing.assert_allclose(forest.at(THERE)[0], model.predict(THERE), rtol=1e-12)


def test_the_spread_is_the_law_of_total_variance() -> None:
    model = ExtraTreesRegressor(30, min_samples_leaf=3, random_state=1).fit(X, Y)
    forest = Forest.of_trees([each.tree_ for each in model.estimators_], constant=0.0)
    leaves = model.apply(THERE)  # (n, trees)
    trees = [each.tree_ for each in model.estimators_]
    means = np.stack([t.value[leaves[:, i], 0, 0] for i, t in enumerate(trees)])
    variances = np.stack([t.impurity[leaves[:, i]] for i, t in enumerate(trees)])
    expected = np.sqrt(means.var(axis=0) + variances.mean(axis=0))
    np.testing.assert_allclose(forest.at(THERE)[1], expected, atol=1e-9)


def test_held_out_rows_are_predicted_by_trees_that_did_not_draw_them() -> None:
    settings = TreeEnsembleSettings(n_trees=60, min_rows_per_leaf=1, feature_share=1.0)
    predictor = TreeEnsemble(settings)
    predictor.fit(X, Y[:, None])
    held_out = quality(predictor.held_out(), Y[:, None])[0].rmse
    seen = quality(predictor.predict(X), Y[:, None])[0].rmse
    unseen_y = 5.0 * THERE[:, 0] + np.sin(9.0 * THERE[:, 1]) + 0.1 * RNG.normal(size=500)
    unseen = quality(predictor.predict(THERE), unseen_y[:, None])[0].rmse
    assert held_out == pytest.approx(unseen, rel=0.35)
    assert seen < 0.6 * held_out


def test_a_large_constant_costs_no_digits() -> None:
    predictor, moved = TreeEnsemble(), TreeEnsemble()
    predictor.fit(X, Y[:, None])
    moved.fit(X, Y[:, None] + 1e9)
    # Splits that were as good as equal may fall otherwise, so not all is the same.
    np.testing.assert_allclose(moved.predict(THERE).std, predictor.predict(THERE).std, rtol=0.1)


def test_without_features_it_is_the_mean() -> None:
    predictor = TreeEnsemble(TreeEnsembleSettings(n_trees=300))
    predictor.fit(np.zeros((200, 0)), Y[:, None])
    assert predictor.predict(np.zeros((1, 0))).mean[0, 0] == pytest.approx(Y.mean(), abs=0.05)


@pytest.mark.parametrize(
    ("name", "value"), [("n_trees", 1), ("min_rows_per_leaf", 0), ("feature_share", 0.0)]
)
def test_settings_are_checked(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"'{name}'"):
        TreeEnsembleSettings(**{name: value})  # type: ignore[arg-type]


def test_tiny_values_are_learned_like_any_others() -> None:
    scale = 2.0**-60  # about 1e-18
    plain, tiny = TreeEnsemble(), TreeEnsemble()
    plain.fit(X, Y[:, None])
    tiny.fit(X, scale * Y[:, None])
    np.testing.assert_array_equal(tiny.predict(THERE).mean, scale * plain.predict(THERE).mean)
    np.testing.assert_array_equal(tiny.predict(THERE).std, scale * plain.predict(THERE).std)
