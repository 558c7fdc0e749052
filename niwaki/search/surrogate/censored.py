"""Costs that say "at least so bad": where all candidates end that learn next to nothing.

Half of the settings of a training may end near the error of a guess. How far each of them is from
learning anything does not show in it, and a model that takes the same error for the same badness
has to bend between them and those that learn. What is at such a plateau is taken to lie somewhere
beyond its edge: where the other measurements have it.

References:
    Tobin, Econometrica 1958, "Estimation of relationships for limited dependent variables"; Schmee
    and Hahn, Technometrics 1979, "A simple method for regression analysis with censored data", for
    expected values in place of censored ones; Hutter, Hoos and Leyton-Brown, 2011, "Bayesian
    optimization with censored response data", for the same in a search.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from niwaki.predictors.gaussian.column import GaussianColumn
from niwaki.search.surrogate.warps import Warp

Array = NDArray[np.float64]

WIDTH = 0.1  # of the range of costs, up to which a plateau reaches from the worst one
LEAST_SHARE = 0.2  # of all costs that are at it: twice what evenly spread ones would have there
FEWEST, FEWEST_BEFORE = 4, 3  # costs at a plateau, and better than it
LEAST_DISTINCT = 0.5  # of the costs better than it: the worst of a few levels is known exactly
FURTHEST = 2.0  # standard deviations of the costs before the edge, from it to an expected value
_SUREST = 8.0  # standard deviations that an edge may be above a mean: beyond, nothing is left


def plateau(costs: Array, warps: Sequence[Warp]) -> float:
    """Return the cost from which on (n,) costs are at a plateau; infinity if there is none.

    On each scale the plateau is narrow, so that the slow half of latencies that double and double
    again is none; nor is the worst of a few levels.
    """
    low, high = float(costs.min()), float(costs.max())
    edges = []
    for warp in warps:
        best, worst = warp.warped(np.array([low, high]))
        edges.append(float(warp.unwarped(np.array([worst - WIDTH * (worst - best)]))[0]))
    edge = max(edges)
    before = costs[costs < edge]
    n_at = len(costs) - len(before)
    enough = n_at >= max(FEWEST, LEAST_SHARE * len(costs)) and len(before) >= FEWEST_BEFORE
    varied = len(np.unique(before)) >= LEAST_DISTINCT * len(before)
    return edge if enough and varied else np.inf


def imputed(column: GaussianColumn, features: Array, values: Array, edge: float) -> Array:
    """Return values in which those from an edge on are what they are expected to be beyond it.

    Args:
        column: Says what is believed after others: its hyper-parameters count, not its rows.
        features: (n, d) of all.
        values: (n,) on the column's scale.
        edge: On the same scale; infinity if all values are known.
    """
    beyond = values >= edge
    if not beyond.any():
        return values
    taken = np.minimum(values, edge)
    if beyond.all():
        return taken
    known = column.given(features[~beyond], values[~beyond])
    mean, std = known.predict(features[beyond])
    std = np.hypot(std, known.noise_std)
    start = np.minimum((edge - mean) / std, _SUREST)
    tail = np.exp(-0.5 * start**2) / np.sqrt(2.0 * np.pi) / ndtr(-start)
    most = edge + FURTHEST * float(values[~beyond].std())
    taken[beyond] = np.clip(mean + std * tail, edge, most)
    return taken
