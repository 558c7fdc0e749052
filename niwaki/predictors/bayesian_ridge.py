"""Bayesian ridge regression: its strength and its noise are the most likely ones."""

import numpy as np
from numpy.typing import NDArray

from niwaki.predictors.linear import STRENGTHS, LinearPredictor, LinearSettings, Strength
from niwaki.predictors.pairwise import Decomposition


class BayesianRidgeSettings(LinearSettings):
    """Settings of `BayesianRidge`."""


class BayesianRidge(LinearPredictor):
    """Ridge regression on features and pairs, as strong as makes the values most likely.

    Surer than `Ridge` with few rows: leaving one of ten out says little, all ten together say more.

    References:
        MacKay, Neural Computation 1992, "Bayesian interpolation". The noise has its best value in
        closed form; the ratio of noise to weights is tried on a grid instead of iterated to.
    """

    def __init__(self, settings: BayesianRidgeSettings | None = None) -> None:
        super().__init__(settings)

    def strength(self, decomposition: Decomposition, y: NDArray[np.float64]) -> Strength:
        scale = max(float(decomposition.values.mean()), 1e-12)
        projected = (decomposition.vectors.T @ (y - y.mean())) ** 2
        tried = [_judged(decomposition.values, projected, each * scale) for each in STRENGTHS]
        return min(tried, key=lambda one: one.cost)


def _judged(
    values: NDArray[np.float64], projected: NDArray[np.float64], strength: float
) -> Strength:
    """Return a strength with its negative log likelihood, at the most likely size of weights.

    The constant is integrated out, which takes one direction: there, the eigenvalue and the
    centred values are zero.
    """
    spread = values + strength
    n_free = len(values) - 1
    weight_variance = max(float((projected / spread).sum()) / n_free, 1e-300)
    cost = n_free * np.log(weight_variance) + np.log(spread).sum() - np.log(strength)
    return Strength(strength, 0.5 * float(cost), float(np.sqrt(strength * weight_variance)))
