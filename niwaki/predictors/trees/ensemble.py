"""Randomised regression trees, kept as plain arrays."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from niwaki.core.limits import require_at_least, require_positive
from niwaki.core.randomness import derived_seed
from niwaki.predictors.base import Prediction
from niwaki.predictors.checks import not_fitted, require_examples, require_features
from niwaki.predictors.held_out import SelfValidating
from niwaki.predictors.state import State, array_of, as_part, part_of
from niwaki.predictors.trees.forest import Forest


@dataclass(frozen=True)
class TreeEnsembleSettings:
    """Settings of `TreeEnsemble`.

    Attributes:
        n_trees: More are smoother, and take longer.
        min_rows_per_leaf: More see less noise.
        feature_share: Share of the features that each split may choose from.
        seed: Of the trees.

    Raises:
        ConfigError: On a number out of its range.
    """

    n_trees: int = 100
    min_rows_per_leaf: int = 2
    feature_share: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        require_at_least(self, {"n_trees": 2, "min_rows_per_leaf": 1, "seed": 0})
        require_positive(self, "feature_share")


class TreeEnsemble(SelfValidating):
    """Extremely randomised trees, each grown on a resample of the rows.

    The spread of a prediction is that of the values in the leaves it falls into, within leaves and
    between trees. Rows are held out by the trees that did not draw them.

    References:
        Geurts, Ernst and Wehenkel, Machine Learning 2006, "Extremely randomized trees"; Breiman,
        Machine Learning 1996, "Bagging predictors"; Hutter, Xu, Hoos and Leyton-Brown, Artificial
        Intelligence 2014, section 4.3.2, for the spread by the law of total variance.
    """

    def __init__(self, settings: TreeEnsembleSettings | None = None) -> None:
        self._settings = settings or TreeEnsembleSettings()
        self._n_features = 0
        self._forests: list[Forest] = []
        self._held_out: Prediction | None = None

    def fit(self, X: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        X, y = require_examples(X, y, n_least=2)
        mean, std = np.full(y.shape, np.nan), np.full(y.shape, np.nan)
        self._n_features, self._forests = X.shape[1], []
        for column, values in enumerate(y.T):
            known = np.isfinite(values)
            forest, drawn = self._grown(X[known], values[known], column)
            self._forests.append(forest)
            unseen = forest.at(X[known], out_of=drawn)
            mean[known, column], std[known, column] = unseen
        self._held_out = Prediction(mean, std)

    def _grown(
        self, X: NDArray[np.float64], y: NDArray[np.float64], column: int
    ) -> tuple[Forest, NDArray[np.bool_]]:
        """Return the trees of one column, and which rows each did not draw, (n_trees, n)."""
        from sklearn.ensemble import ExtraTreesRegressor

        settings = self._settings
        # Without features there is nothing to split on; sklearn wants one all the same.
        inputs = X if X.shape[1] else np.zeros((len(X), 1))
        # scikit-learn takes variances below 2e-16 for none. A power of two rounds nothing.
        scale = float(np.ldexp(1.0, np.frexp(y.std())[1]))
        # Deviations from a mean of zero do not lose digits to a large constant.
        model = ExtraTreesRegressor(
            n_estimators=settings.n_trees,
            min_samples_leaf=settings.min_rows_per_leaf,
            max_features=min(settings.feature_share, 1.0),
            bootstrap=True,
            random_state=derived_seed(settings.seed, "trees", column),
        ).fit(inputs, (y - y.mean()) / scale)
        left_out = np.ones((settings.n_trees, len(X)), dtype=bool)
        for tree, drawn in enumerate(model.estimators_samples_):
            left_out[tree, drawn] = False
        trees: list[Any] = [each.tree_ for each in model.estimators_]
        return Forest.of_trees(trees, constant=float(y.mean()), scale=scale), left_out

    def held_out(self) -> Prediction:
        if self._held_out is None:
            raise not_fitted(self)
        return self._held_out

    def predict(self, X: NDArray[np.float64]) -> Prediction:
        if not self._forests:
            raise not_fitted(self)
        X = require_features(X, self._n_features)
        columns = [forest.at(X) for forest in self._forests]
        return Prediction(
            np.stack([mean for mean, _ in columns], axis=1),
            np.stack([std for _, std in columns], axis=1),
        )

    def state(self) -> State:
        if not self._forests:
            raise not_fitted(self)
        arrays = {"shape": np.array([self._n_features, len(self._forests)])}
        for column, forest in enumerate(self._forests):
            arrays |= as_part(forest.state(), str(column))
        return arrays

    def restore(self, state: State) -> None:
        n_features, n_columns = array_of(state, "shape", n_dimensions=1).tolist()
        forests = [Forest.from_state(part_of(state, str(column))) for column in range(n_columns)]
        self._n_features, self._forests, self._held_out = n_features, forests, None
