"""Checks of what predictors are given, with messages that say what to do."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from niwaki.core.errors import DataError
from niwaki.core.measurement import LARGEST_VALUE

_LARGEST_FEATURE = 1e38  # trees keep features in single precision


def require_examples(
    X: NDArray[np.float64], y: NDArray[np.float64], *, n_least: int = 1
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return features and values as float64 arrays that can be learned from.

    Args:
        X: (n, d) features.
        y: (n, m) values, NaN where there is none.
        n_least: How many values each column needs.

    Raises:
        DataError: If something is no number, shapes do not agree, there is no column of values,
            something is infinite or too large to be squared, or a column has too few values.
    """
    X, y = require_features(X), _numbers(y, "values")
    if y.ndim != 2 or len(y) != len(X):
        raise DataError(
            f"a predictor learns from X of shape (n, d) and y of shape (n, m), but {X.shape} and "
            f"{y.shape} came: give one row of values per row of features"
        )
    if not y.shape[1]:
        raise DataError(
            f"y of shape {y.shape} has no column to learn: give one column or more of values"
        )
    if np.isinf(y).any():
        raise DataError("a value to learn from is infinite: write NaN where there is no value")
    if np.nanmax(np.abs(y), initial=0.0) > LARGEST_VALUE:
        raise DataError(
            f"a value to learn from is {np.nanmax(np.abs(y)):.3g} in size, but {LARGEST_VALUE:g} "
            "is the most: give the values in larger units"
        )
    counts = np.isfinite(y).sum(axis=0)
    if counts.min() < n_least:
        raise DataError(
            f"column {int(counts.argmin())} has {counts.min()} values to learn from, but at least "
            f"{n_least} are needed: measure more, or choose another predictor"
        )
    return X, y


def require_features(X: NDArray[np.float64], n_features: int | None = None) -> NDArray[np.float64]:
    """Return features as a float64 array.

    Args:
        X: (n, d) features.
        n_features: The d that is wanted; any if None.

    Raises:
        DataError: If a feature is no number, not finite or too large, or the shape is another.
    """
    X = _numbers(X, "features")
    if X.ndim != 2 or (n_features is not None and X.shape[1] != n_features):
        wanted = "d" if n_features is None else str(n_features)
        raise DataError(f"features of shape (n, {wanted}) are wanted, but {X.shape} came")
    if not np.isfinite(X).all():
        raise DataError("a feature is not finite: leave that row out, or give it a number")
    largest = float(np.abs(X).max(initial=0.0))
    if largest > _LARGEST_FEATURE:
        raise DataError(
            f"a feature is {largest:.3g} in size, but {_LARGEST_FEATURE:g} is the most: "
            "give the features in larger units"
        )
    return X


def _numbers(given: ArrayLike, what: str) -> NDArray[np.float64]:
    """Return what was given as an array of numbers."""
    try:
        numbers = np.asarray(given)
        if not np.iscomplexobj(numbers):
            return np.asarray(numbers, dtype=np.float64)
        reason = "they are complex"
    except (TypeError, ValueError) as error:
        reason = str(error)
    raise DataError(
        f"{what} are no table of numbers ({reason}): give rows of equal length, and a column of 0 "
        "and 1 for each word that a cell may hold"
    )


def not_fitted(predictor: object) -> DataError:
    """Return the error of a predictor that was asked before it learned."""
    return DataError(f"{type(predictor).__qualname__} has not learned anything yet: fit it first")
