"""The predictor of LINAS: ridge regression or support vectors, whichever cross-validates better.

References:
    Cummings et al., 2022, "A hardware-aware framework for accelerating neural architecture search
    across modalities" (LINAS), table 5, for ridge and SVR-RBF; choosing between them by the mean
    absolute percentage error over five folds is what its implementation does.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

N_FOLDS = 5
FEWEST = 2 * N_FOLDS  # rows, below which nothing is chosen
RIDGE_STRENGTHS = (0.1, 10.0)
SUPPORT_PENALTIES = (1.0, 100.0)
LARGEST_STEPS = 100_000


class LinasPredictor:
    """Learns one value.

    Args:
        n_grid: How many strengths of each kind are tried.
        rng: Shuffles the folds; None leaves the rows in their order, as published.
    """

    def __init__(self, n_grid: int, rng: np.random.Generator | None) -> None:
        self._n_grid, self._rng = n_grid, rng
        self._scale = 1.0
        self._model: Any = None

    def fit(self, features: Array, values: Array) -> None:
        """Learn (n,) finite values from (n, d) features, n >= 1."""
        # As published: values are brought to the size of 1 by a power of ten.
        largest = float(np.abs(values).max()) or 1.0
        self._scale = 10.0 ** np.ceil(np.log10(largest))
        scaled = values / self._scale
        models = self._candidates(features.shape[1])
        if len(values) < FEWEST:
            self._model = models[0]
        else:
            order = (
                np.arange(len(values)) if self._rng is None else self._rng.permutation(len(values))
            )
            folds = np.array_split(order, N_FOLDS)
            errors = [_percentage_error(model, features, scaled, folds) for model in models]
            self._model = models[int(np.argmin(errors))]
        self._model.fit(features, scaled)

    def predict(self, features: Array) -> Array:
        """Return (k,) values of (k, d) features."""
        return np.asarray(self._model.predict(features), dtype=np.float64) * self._scale

    def _candidates(self, n_features: int) -> list[Any]:
        from sklearn.linear_model import Ridge
        from sklearn.svm import SVR

        strengths = np.geomspace(*RIDGE_STRENGTHS, self._n_grid)
        penalties = np.geomspace(*SUPPORT_PENALTIES, self._n_grid)
        gamma = 1.0 / max(n_features, 1)
        ridges = [Ridge(alpha=float(strength)) for strength in strengths]
        machines = [
            SVR(C=float(penalty), gamma=gamma, epsilon=0.0, max_iter=LARGEST_STEPS)
            for penalty in penalties
        ]
        for machine in machines:
            machine.random_state = 0  # or else the seed it never uses comes from a global generator
        return [*ridges, *machines]


def _percentage_error(
    model: Any, features: Array, values: Array, folds: list[NDArray[np.int64]]
) -> float:
    errors: list[float] = []
    for fold in folds:
        rest = np.setdiff1d(np.arange(len(values)), fold)
        model.fit(features[rest], values[rest])
        off = np.abs(model.predict(features[fold]) - values[fold])
        errors.append(float((off / np.maximum(np.abs(values[fold]), 1e-9)).mean()))
    return float(np.mean(errors))
