"""Gaussian process regression: smooth, and sure of itself near data only."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from niwaki.core.limits import require_at_least, require_positive
from niwaki.predictors.base import Prediction
from niwaki.predictors.checks import not_fitted, require_examples, require_features
from niwaki.predictors.gaussian.column import GaussianColumn, fit_column
from niwaki.predictors.held_out import SelfValidating
from niwaki.predictors.state import State, array_of, as_part, part_of

_ROWS_AT_ONCE = 10_000


@dataclass(frozen=True)
class GaussianProcessSettings:
    """Settings of `GaussianProcess`.

    Attributes:
        max_rows: Of more rows than these, an even share is learned from: time grows with the cube.
        max_rows_of_evidence: Hyper-parameters are learned on at most so many of them.
        shrinkage: How far features may differ in relevance: standard deviation of the logarithm.

    Raises:
        ConfigError: On a number out of its range.
    """

    max_rows: int = 1_000
    max_rows_of_evidence: int = 200
    shrinkage: float = 0.7

    def __post_init__(self) -> None:
        require_at_least(self, {"max_rows": 2, "max_rows_of_evidence": 2})
        require_positive(self, "shrinkage")


class GaussianProcess(SelfValidating):
    """One Gaussian process per column: a linear part, and a Matern kernel with relevances.

    Hyper-parameters are the most plausible under weak priors. Rows are held out one by one, which
    a Gaussian process gives in closed form. The spread includes what features do not explain.

    References:
        Rasmussen and Williams, "Gaussian processes for machine learning", 2006, algorithm 2.1, and
        eq. 5.12 for rows left out. See `kernels` and `evidence` for the rest.
    """

    def __init__(self, settings: GaussianProcessSettings | None = None) -> None:
        self._settings = settings or GaussianProcessSettings()
        self._columns: list[GaussianColumn] = []
        self._held_out: Prediction | None = None

    def fit(self, X: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        X, y = require_examples(X, y, n_least=2)
        mean, std = np.full(y.shape, np.nan), np.full(y.shape, np.nan)
        columns = []
        for number, values in enumerate(y.T):
            known = np.flatnonzero(np.isfinite(values))
            rows = self._chosen(known)
            column = fit_column(
                X[rows],
                values[rows],
                shrinkage=self._settings.shrinkage,
                max_rows=self._settings.max_rows_of_evidence,
            )
            mean[rows, number], std[rows, number] = column.left_out()
            others = np.setdiff1d(known, rows)  # which nothing was learned from
            mean[others, number], std[others, number] = _predicted(column, X[others])
            columns.append(column)
        self._columns = columns
        self._held_out = Prediction(mean, std)

    def _chosen(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        if len(rows) <= self._settings.max_rows:
            return rows
        places = np.linspace(0, len(rows) - 1, self._settings.max_rows)
        return np.asarray(rows[places.astype(np.int64)])

    def held_out(self) -> Prediction:
        if self._held_out is None:
            raise not_fitted(self)
        return self._held_out

    def predict(self, X: NDArray[np.float64]) -> Prediction:
        if not self._columns:
            raise not_fitted(self)
        X = require_features(X, self._columns[0].rows.shape[1])
        mean = np.empty((len(X), len(self._columns)))
        std = np.empty_like(mean)
        for start in range(0, len(X), _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            for number, column in enumerate(self._columns):
                mean[rows, number], std[rows, number] = _predicted(column, X[rows])
        return Prediction(mean, std)

    def state(self) -> State:
        if not self._columns:
            raise not_fitted(self)
        arrays = {"n_columns": np.array(len(self._columns))}
        for number, column in enumerate(self._columns):
            arrays |= as_part(column.state(), str(number))
        return arrays

    def restore(self, state: State) -> None:
        n_columns = int(array_of(state, "n_columns", n_dimensions=0))
        columns = [GaussianColumn.of_state(part_of(state, str(i))) for i in range(n_columns)]
        self._columns, self._held_out = columns, None


def _predicted(
    column: GaussianColumn, rows: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (k,) means and deviations at (k, d) rows, what features do not explain included."""
    mean, spread = column.predict(rows)
    return mean, np.hypot(spread, column.noise_std)
