"""A predictor that looks at some of the features."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import ConfigError, DataError
from niwaki.predictors.base import Prediction, Predictor
from niwaki.predictors.checks import not_fitted, require_examples, require_features
from niwaki.predictors.held_out import SelfValidating, held_out_predictions
from niwaki.predictors.state import State, array_of, as_part, part_of


class OnColumns(SelfValidating):
    """Gives a predictor some of the features alone: what matters is learned from fewer rows then.

    Args:
        inner: What learns; built unfitted.
        columns: Which features, from 0.
        n_folds: Folds that rows are held out in, if the predictor inside does not do so itself.
        seed: Of the folds.

    Raises:
        ConfigError: If a column is negative; when fitted, if there are fewer features.
    """

    def __init__(
        self, inner: Predictor, columns: Sequence[int], *, n_folds: int = 5, seed: int = 0
    ) -> None:
        if any(column < 0 for column in columns):
            raise ConfigError(f"columns are {list(columns)}: count them from 0")
        self._inner, self._columns = inner, np.array(columns, dtype=np.int64)
        self._n_folds, self._seed = n_folds, seed
        self._n_features: int | None = None
        self._held_out: Prediction | None = None

    @property
    def n_least(self) -> int:
        return self._inner.n_least

    def fit(self, X: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        X, y = require_examples(X, y, n_least=self.n_least)
        if self._columns.max(initial=-1) >= X.shape[1]:
            raise ConfigError(
                f"feature {self._columns.max()} is wanted, but there are {X.shape[1]}: "
                "choose among those, counted from 0"
            )
        self._held_out = held_out_predictions(
            self._inner, self._of(X), y, n_folds=self._n_folds, seed=self._seed
        )
        self._n_features = X.shape[1]

    def _of(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.ascontiguousarray(X[:, self._columns])

    def held_out(self) -> Prediction:
        if self._held_out is None:
            raise not_fitted(self)
        return self._held_out

    def predict(self, X: NDArray[np.float64]) -> Prediction:
        if self._n_features is None:
            raise not_fitted(self)
        return self._inner.predict(self._of(require_features(X, self._n_features)))

    def state(self) -> State:
        if self._n_features is None:
            raise not_fitted(self)
        own = {"n_features": np.array(self._n_features), "columns": self._columns}
        return own | as_part(self._inner.state(), "inner")

    def restore(self, state: State) -> None:
        n_features = int(array_of(state, "n_features", n_dimensions=0))
        columns = array_of(state, "columns", n_dimensions=1).tolist()
        if columns != self._columns.tolist():
            raise DataError(
                f"the saved predictor looks at features {columns}, this one at "
                f"{self._columns.tolist()}: build it with those that it was saved with"
            )
        self._inner.restore(part_of(state, "inner"))
        self._n_features, self._held_out = n_features, None
