"""How good predictions are: order, size of errors, and whether intervals hold what they promise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import DataError
from niwaki.core.jsonable import JSON, finite_or_none
from niwaki.predictors.base import Prediction

LEVEL = 0.9


@dataclass(frozen=True)
class Quality:
    """How good the predictions of one column are, on rows that were not learned from.

    Attributes:
        n: Rows.
        kendall_tau: Rank correlation (tau-b) in [-1, 1]; NaN if all values, or predictions, agree.
        rmse: Root mean squared error, in the unit of the value.
        coverage: Share of the rows whose 90% interval holds the value.
        mean_width: Mean width of those intervals, in the unit of the value.
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

    def __str__(self) -> str:
        return (
            f"tau {self.kendall_tau:.3f}, RMSE {self.rmse:.4g}, 90% intervals hold "
            f"{100.0 * self.coverage:.0f}% (mean width {self.mean_width:.4g}), {self.n} rows"
        )


def quality(prediction: Prediction, y: NDArray[np.float64]) -> tuple[Quality, ...]:
    """Return the quality of predictions of (n, m) values, column by column; NaN rows are left out.

    Raises:
        DataError: If the shapes do not agree.
    """
    if prediction.mean.shape != y.shape:
        raise DataError(f"predictions of shape {prediction.mean.shape} for values of {y.shape}")
    low, high = prediction.interval(LEVEL)
    found = []
    for column, values in enumerate(y.T):
        known = np.isfinite(values) & np.isfinite(prediction.mean[:, column])
        mean, truth = prediction.mean[known, column], values[known]
        lower, upper = low[known, column], high[known, column]
        if not known.any():
            found.append(Quality(0, np.nan, np.nan, np.nan, np.nan))
            continue
        found.append(
            Quality(
                n=int(known.sum()),
                kendall_tau=kendall_tau(mean, truth),
                rmse=float(np.sqrt(((mean - truth) ** 2).mean())),
                coverage=float(((lower <= truth) & (truth <= upper)).mean()),
                mean_width=float((upper - lower).mean()),
            )
        )
    return tuple(found)


def kendall_tau(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return the rank correlation (tau-b) of two (n,) arrays; NaN if one of them is constant."""
    from scipy.stats import kendalltau

    if len(first) < 2 or np.ptp(first) == 0.0 or np.ptp(second) == 0.0:
        return float("nan")
    return float(kendalltau(first, second).statistic)
