"""A predictor of anybody's, whose answers are checked where they are heard."""

import numpy as np
from numpy.typing import NDArray

from niwaki.core.blame import raised_by
from niwaki.core.errors import DataError
from niwaki.core.excerpt import excerpt
from niwaki.predictors.base import Prediction, Predictor
from niwaki.predictors.state import State


class Vetted(Predictor):
    """Passes on what a predictor says if it is a prediction, and says whose fault it is if not.

    Args:
        inner: What learns.
        name: What to call it in messages.
    """

    def __init__(self, inner: Predictor, name: str) -> None:
        self._inner, self._name = inner, name
        self._n_columns = 0

    @property
    def n_least(self) -> int:
        return self._inner.n_least

    def fit(self, X: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        self._n_columns = y.shape[1]
        with raised_by(f"`fit` of the predictor '{self._name}'"):
            self._inner.fit(X, y)

    def predict(self, X: NDArray[np.float64]) -> Prediction:
        with raised_by(f"`predict` of the predictor '{self._name}'"):
            found: object = self._inner.predict(X)
        shape = (len(X), self._n_columns)
        if not isinstance(found, Prediction) or not _is_sound(found, shape):
            raise DataError(
                f"`predict` of the predictor '{self._name}' gave {_in_short(found)}: it must "
                f"be a Prediction whose mean and std are arrays of shape {shape} of finite "
                "numbers, std from 0 on"
            )
        return found

    def state(self) -> State:
        return self._inner.state()

    def restore(self, state: State) -> None:
        self._inner.restore(state)


def _in_short(found: object) -> str:
    return excerpt(" ".join(repr(found).split()))


def _is_sound(found: Prediction, shape: tuple[int, int]) -> bool:
    mean: object = found.mean
    std: object = found.std
    if not (isinstance(mean, np.ndarray) and isinstance(std, np.ndarray)):
        return False
    fits = mean.shape == shape == std.shape
    return fits and bool(np.isfinite(mean).all() and np.isfinite(std).all() and (std >= 0.0).all())
