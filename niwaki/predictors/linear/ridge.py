"""Ridge regression, its strength chosen by leaving rows out."""

import numpy as np
from numpy.typing import NDArray

from niwaki.predictors.linear.base import STRENGTHS, LinearPredictor, LinearSettings, Strength
from niwaki.predictors.linear.pairwise import Decomposition


class RidgeSettings(LinearSettings):
    """Settings of `Ridge`."""


class Ridge(LinearPredictor):
    """Ridge regression on features and pairs, as strong as predicts best what was left out.

    References:
        Hoerl and Kennard, Technometrics 1970; Golub, Heath and Wahba, Technometrics 1979, for
        choosing the strength by leaving one out, here without rotating to generalised form.
    """

    def __init__(self, settings: RidgeSettings | None = None) -> None:
        super().__init__(settings)

    def strength(self, decomposition: Decomposition, y: NDArray[np.float64]) -> Strength:
        scale = max(decomposition.mean_value, 1e-12)
        tried = [_judged(decomposition, y, each * scale) for each in STRENGTHS]
        return min(tried, key=lambda one: one.cost)


def _judged(decomposition: Decomposition, y: NDArray[np.float64], strength: float) -> Strength:
    errors, leverage = decomposition.leave_one_out(y, strength)
    # The error of a row left out has the variance of the noise over (1 - leverage).
    noise = float(np.sqrt((errors**2 * (1.0 - leverage)).mean()))
    return Strength(strength, float((errors**2).mean()), noise)
