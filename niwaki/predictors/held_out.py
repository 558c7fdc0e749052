"""Predictions of rows that were not learned from."""

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import DataError
from niwaki.core.randomness import stream
from niwaki.predictors.base import Prediction, Predictor


class SelfValidating(Predictor):
    """A predictor whose `fit` finds out by itself how well it predicts what it did not see."""

    @abstractmethod
    def held_out(self) -> Prediction:
        """Return (n, m) predictions of the rows of the last `fit`, each as if it was not there.

        NaN where there was no value. Lost when a state is restored.

        Raises:
            DataError: If it was not fitted in this process.
        """


def folds(n: int, n_folds: int, *, seed: int) -> NDArray[np.int64]:
    """Return the (n,) fold of each row, from 0: folds of equal size, drawn at random."""
    shuffled = stream(seed, "folds", n).permutation(n)
    return np.asarray(shuffled % min(n_folds, n), dtype=np.int64)


def cross_predict(
    predictor: Predictor,
    X: NDArray[np.float64],
    y: NDArray[np.float64],
    fold_of: NDArray[np.int64],
) -> Prediction:
    """Return predictions of every row by the predictor fitted on the other folds.

    It is left fitted on some of them: fit it anew afterwards.

    Args:
        predictor: Any.
        X: (n, d) features.
        y: (n, m) values; NaN where there is none.
        fold_of: (n,) as `folds` gives them.

    Raises:
        DataError: If a column has too few values outside of some fold.
    """
    if fold_of.max(initial=0) < 1:
        raise DataError(f"{len(X)} rows cannot be held out in turn: measure more")
    mean, std = np.full(y.shape, np.nan), np.full(y.shape, np.nan)
    for fold in np.unique(fold_of):
        held = fold_of == fold
        predictor.fit(X[~held], y[~held])
        there = predictor.predict(X[held])
        mean[held], std[held] = there.mean, there.std
    unknown = ~np.isfinite(y)
    mean[unknown] = std[unknown] = np.nan
    return Prediction(mean, std)


def held_out_predictions(
    predictor: Predictor,
    X: NDArray[np.float64],
    y: NDArray[np.float64],
    *,
    n_folds: int,
    seed: int,
) -> Prediction:
    """Fit a predictor on everything, and say what it predicts of rows that it did not see.

    Args:
        predictor: Left fitted on all rows.
        X: (n, d) features.
        y: (n, m) values; NaN where there is none.
        n_folds: For predictors that do not find out by themselves.
        seed: Of the folds.
    """
    if isinstance(predictor, SelfValidating):
        predictor.fit(X, y)
        return predictor.held_out()
    found = cross_predict(predictor, X, y, folds(len(X), n_folds, seed=seed))
    predictor.fit(X, y)
    return found
