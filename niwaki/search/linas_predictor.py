"""The predictor of LINAS: ridge regression or support vectors, whichever cross-validates better.

References:
    Cummings et al., 2022, "A hardware-aware framework for accelerating neural architecture search
    across modalities" (LINAS), table 5, for ridge and SVR-RBF; choosing between them by the mean
    absolute percentage error over five folds is what its implementation does.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
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
        strengths = np.geomspace(*RIDGE_STRENGTHS, self._n_grid)
        machines = _machines(np.geomspace(*SUPPORT_PENALTIES, self._n_grid), features.shape[1])
        best = 0
        with _unchecked():
            if len(values) >= FEWEST:
                folds = self._folds(len(values))
                best = int(
                    np.argmin(_percentage_errors(features, scaled, folds, strengths, machines))
                )
            self._model = [*map(_ridge, strengths), *machines][best]
            self._model.fit(features, scaled)

    def predict(self, features: Array) -> Array:
        """Return (k,) values of (k, d) features."""
        with _unchecked():
            predicted = self._model.predict(features)
        return np.asarray(predicted, dtype=np.float64) * self._scale

    def _folds(self, n_rows: int) -> list[NDArray[np.int64]]:
        order = np.arange(n_rows) if self._rng is None else self._rng.permutation(n_rows)
        return np.array_split(order, N_FOLDS)


def _unchecked() -> AbstractContextManager[None]:
    """Let scikit-learn trust what it is given: its checks take longer than so small a fit."""
    from sklearn import config_context

    context: AbstractContextManager[None] = config_context(
        assume_finite=True, skip_parameter_validation=True
    )
    return context


def _ridge(strength: float) -> Any:
    from sklearn.linear_model import Ridge

    return Ridge(alpha=float(strength))


def _machines(penalties: Array, n_features: int) -> list[Any]:
    from sklearn.svm import SVR

    gamma = 1.0 / max(n_features, 1)
    machines = [
        SVR(C=float(penalty), gamma=gamma, epsilon=0.0, max_iter=LARGEST_STEPS)
        for penalty in penalties
    ]
    for machine in machines:
        machine.random_state = 0  # or else the seed it never uses comes from a global generator
    return machines


def _percentage_errors(
    features: Array,
    values: Array,
    folds: Sequence[NDArray[np.int64]],
    strengths: Array,
    machines: Sequence[Any],
) -> Array:
    """Return the mean absolute percentage error over folds of each ridge, then of each machine."""
    errors: list[Array] = []
    for fold in folds:
        rest = np.setdiff1d(np.arange(len(values)), fold)
        X, y, left_out = features[rest], values[rest], features[fold]
        predicted = [
            *ridge_predictions(X, y, left_out, strengths),
            *(machine.fit(X, y).predict(left_out) for machine in machines),
        ]
        off = np.abs(np.array(predicted) - values[fold])
        errors.append((off / np.maximum(np.abs(values[fold]), 1e-9)).mean(axis=1))
    return np.asarray(np.mean(errors, axis=0))


def ridge_predictions(X: Array, y: Array, at: Array, strengths: Array) -> Array:
    """Return (s, k) predictions of (k, d) features, by one ridge regression per strength.

    Args:
        X: (n, d) features to learn from.
        y: (n,) their values.
        at: (k, d) features.
        strengths: (s,) positive.

    References:
        Hastie, Tibshirani and Friedman, 2009, "The elements of statistical learning", eq. 3.47: one
        singular value decomposition serves all strengths.
    """
    centre, mean = X.mean(axis=0), y.mean()
    left, sizes, right = np.linalg.svd(X - centre, full_matrices=False)
    shrunk = sizes / (sizes**2 + strengths[:, None])  # (s, r)
    return np.asarray(mean + (shrunk * (left.T @ (y - mean))) @ (right @ (at - centre).T))
