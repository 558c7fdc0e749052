"""Bayesian ridge regression: its strength and its noise are the most likely ones."""

import numpy as np
from numpy.typing import NDArray

from niwaki.predictors.linear.base import STRENGTHS, LinearPredictor, LinearSettings, Strength
from niwaki.predictors.linear.pairwise import Decomposition


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
        scale = max(decomposition.mean_value, 1e-12)
        values, vectors = decomposition.values, decomposition.vectors
        centred = y - y.mean()
        projected = vectors.T @ centred
        # Directions whose eigenvalue is zero were left out: their values count together.
        rest = float(((centred - vectors @ projected) ** 2).sum())
        n_rest = len(y) - len(values)
        tried = [_judged(values, projected**2, each * scale, (n_rest, rest)) for each in STRENGTHS]
        return min(tried, key=lambda one: one.cost)


def _judged(
    values: NDArray[np.float64],
    projected: NDArray[np.float64],
    strength: float,
    rest: tuple[int, float],
) -> Strength:
    """Return a strength with its negative log likelihood, at the most likely size of weights.

    The constant is integrated out, which takes one direction: there, the eigenvalue and the
    centred values are zero. `rest` is the number of directions left out, and their squares' sum.
    """
    spread = values + strength
    n_rest, unexplained = rest
    n_free = len(values) + n_rest - 1
    squares = float((projected / spread).sum()) + unexplained / strength
    weight_variance = max(squares / n_free, 1e-300)
    cost = n_free * np.log(weight_variance) + np.log(spread).sum()
    cost += (n_rest - 1) * np.log(strength)
    return Strength(strength, 0.5 * float(cost), float(np.sqrt(strength * weight_variance)))
