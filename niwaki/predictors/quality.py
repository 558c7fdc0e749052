"""How good predictions are: order, size of errors, and whether intervals hold what they promise."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import DataError
from niwaki.core.jsonable import JSON, finite_or_none
from niwaki.predictors.base import Prediction, Predictor
from niwaki.predictors.held_out import folds

LEVEL = 0.9


@dataclass(frozen=True)
class Quality:
    """How good the predictions of one column are, on rows that were not learned from.

    Attributes:
        n: Rows.
        kendall_tau: Rank correlation (tau-b) in [-1, 1]; NaN if all values, or predictions, agree.
        rmse: Root mean squared error, in the unit of the value.
        coverage: Share of the rows whose 90% interval holds the value.
        mean_width: Mean width of those intervals, in the unit of the value; not finite where some
            have no end, as after too few rows.
    """

    n: int
    kendall_tau: float
    rmse: float
    coverage: float
    mean_width: float

    def to_json(self) -> dict[str, JSON]:
        """Return a JSON object; what is not finite becomes null."""
        return {
            "n": self.n,
            "kendall_tau": finite_or_none(self.kendall_tau),
            "rmse": finite_or_none(self.rmse),
            "coverage": finite_or_none(self.coverage),
            "mean_width": finite_or_none(self.mean_width),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> "Quality":
        """Read what `to_json` wrote.

        Raises:
            KeyError, TypeError: If a field is missing or of the wrong type.
        """
        fields = ("kendall_tau", "rmse", "coverage", "mean_width")
        n, numbers = data["n"], [data[name] for name in fields]
        if not isinstance(n, int):
            raise TypeError(f"a count was expected, but {n!r} came")
        return cls(n, *(float("nan") if x is None else float(str(x)) for x in numbers))

    def __str__(self) -> str:
        has_end = np.isfinite(self.mean_width)
        width = f"mean width {self.mean_width:.4g}" if has_end else "some without end: too few rows"
        return (
            f"tau {self.kendall_tau:.3f}, RMSE {self.rmse:.4g}, 90% intervals hold "
            f"{100.0 * self.coverage:.0f}% ({width}), {self.n} rows"
        )


def quality(prediction: Prediction, y: NDArray[np.float64]) -> tuple[Quality, ...]:
    """Return the quality of predictions of (n, m) values, column by column; NaN rows are left out.

    Raises:
        DataError: If the shapes do not agree.
    """
    if prediction.mean.shape != y.shape:
        raise DataError(f"predictions of shape {prediction.mean.shape} for values of {y.shape}")
    low, high = prediction.interval(LEVEL)
    return _columns(prediction.mean, low, high, y)


def cross_quality(
    predictor: Predictor,
    X: NDArray[np.float64],
    y: NDArray[np.float64],
    *,
    n_folds: int = 5,
    seed: int = 0,
) -> tuple[Quality, ...]:
    """Return how well a predictor does on folds that it was not fitted on, calibration included.

    Args:
        predictor: Fitted anew without each fold; fit it once more afterwards.
        X: (n, d) features.
        y: (n, m) values; NaN where there is none.
        n_folds: How many.
        seed: Of the folds.
    """
    fold_of = folds(len(X), n_folds, seed=seed)
    mean, low, high = (np.full(y.shape, np.nan) for _ in range(3))
    for fold in np.unique(fold_of):
        held = fold_of == fold
        predictor.fit(X[~held], y[~held])
        there = predictor.predict(X[held])
        mean[held], (low[held], high[held]) = there.mean, there.interval(LEVEL)
    return _columns(mean, low, high, y)


def _columns(
    mean: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    y: NDArray[np.float64],
) -> tuple[Quality, ...]:
    return tuple(map(_one, mean.T, low.T, high.T, y.T))


def _one(
    mean: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    y: NDArray[np.float64],
) -> Quality:
    known = np.isfinite(y) & np.isfinite(mean)
    mean, low, high, y = mean[known], low[known], high[known], y[known]
    if not len(y):
        return Quality(0, np.nan, np.nan, np.nan, np.nan)
    return Quality(
        n=len(y),
        kendall_tau=kendall_tau(mean, y),
        rmse=float(np.sqrt(((mean - y) ** 2).mean())),
        coverage=float(((low <= y) & (y <= high)).mean()),
        mean_width=float((high - low).mean()),
    )


def kendall_tau(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return the rank correlation (tau-b) of two (n,) arrays; NaN if one of them is constant."""
    from scipy.stats import kendalltau

    if len(first) < 2 or np.ptp(first) == 0.0 or np.ptp(second) == 0.0:
        return float("nan")
    return float(kendalltau(first, second).statistic)
