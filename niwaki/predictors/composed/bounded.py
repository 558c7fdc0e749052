"""A predictor that knows what its values can be."""

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import DataError
from niwaki.predictors.base import Prediction, Predictor
from niwaki.predictors.checks import require_examples
from niwaki.predictors.state import State


class Bounded(Predictor):
    """Keeps predictions where values can be: no error below 0, no accuracy above 1.

    Means are moved to the nearest possible value, which is no farther from the truth wherever that
    is, and intervals end at the limits: they hold at least what they held without.

    Args:
        inner: What learns; built unfitted.
        limits: (2, m) least and most of each column, infinite where nothing is known.
    """

    def __init__(self, inner: Predictor, limits: NDArray[np.float64]) -> None:
        self._inner, self._limits = inner, limits

    @property
    def n_least(self) -> int:
        return self._inner.n_least

    def fit(self, X: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        X, y = require_examples(X, y, n_least=self.n_least)
        if y.shape[1] != self._limits.shape[1]:
            raise DataError(
                f"limits are set for {self._limits.shape[1]} columns, but y has {y.shape[1]}: "
                "give each its least and its most"
            )
        self._inner.fit(X, y)

    def predict(self, X: NDArray[np.float64]) -> Prediction:
        found = self._inner.predict(X)
        least, most = self._limits
        if found.limits is not None:
            least, most = np.maximum(least, found.limits[0]), np.minimum(most, found.limits[1])
        mean = np.clip(found.mean, least, most)
        return Prediction(mean, found.std, found.errors, found.exact, np.stack([least, most]))

    def state(self) -> State:
        return self._inner.state()

    def restore(self, state: State) -> None:
        self._inner.restore(state)
