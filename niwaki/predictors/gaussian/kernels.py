"""The covariance of the Gaussian process: a linear part, and one that is sure of itself near data.

Features are one-hot decisions and counts. On one-hot decisions a product kernel over columns is a
weighted Hamming kernel, and holds interactions of every order; the linear part carries what adds up
over layers, as latencies and sizes nearly do, far from any data.

References:
    Rasmussen and Williams, "Gaussian processes for machine learning", 2006, section 4.2.1 (Matern)
    and 5.1 (automatic relevance determination).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Covariance:
    """What two rows of features have to do with one another.

    Attributes:
        amplitude: Variance of the part that decays with distance.
        relevance: (d,) inverse squared length scales, one per column.
        slopes: (d,) variances of the linear coefficients.
        centre: (d,) where the linear part is zero. Distances are taken from there too: of features
            far from 0, squares would leave few digits for what is between them.
    """

    amplitude: float
    relevance: Array
    slopes: Array
    centre: Array

    def between(self, rows: Array, others: Array) -> Array:
        """Return (n, k) covariances of (n, d) rows with (k, d) others."""
        rows, others = rows - self.centre, others - self.centre
        total = matern_correlation(squared_distances(rows, others, self.relevance))
        total *= self.amplitude
        total += (rows * self.slopes) @ others.T
        return total

    def own(self, rows: Array) -> Array:
        """Return (n,) prior variances."""
        return np.asarray(self.amplitude + ((rows - self.centre) ** 2) @ self.slopes)


def squared_distances(rows: Array, others: Array, relevance: Array) -> Array:
    """Return (n, k) squared distances, each column weighted by its relevance.

    Rounded as squares are: features should not lie far from 0 for how much they vary.
    """
    weighted = rows * relevance
    squared = weighted @ others.T
    squared *= -2.0
    squared += (weighted * rows).sum(axis=1)[:, None]
    squared += ((others * relevance) * others).sum(axis=1)
    return np.asarray(np.maximum(squared, 0.0, out=squared))


def matern(squared: Array) -> tuple[Array, Array]:
    """Return the Matern 5/2 correlation and its slope over the squared distance."""
    scaled = np.sqrt(5.0 * squared)
    decay = np.exp(-scaled)
    return (1.0 + scaled + scaled**2 / 3.0) * decay, (-5.0 / 6.0) * (1.0 + scaled) * decay


def matern_correlation(squared: Array) -> Array:
    """Return the Matern 5/2 correlation alone, of many pairs: without arrays in between."""
    scaled = np.sqrt(5.0 * squared)
    total = scaled / 3.0
    total += 1.0
    total *= scaled
    total += 1.0
    np.negative(scaled, out=scaled)
    total *= np.exp(scaled, out=scaled)
    return np.asarray(total)
