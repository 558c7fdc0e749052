"""How much each of some candidates promises to add to a front, its values not known for sure."""

from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from niwaki.core.pareto import covered, non_dominated
from niwaki.core.randomness import stream

N_POINTS = 4096  # of the objective space, at which dominance is looked at
N_DRAWS = 16  # of the errors of a candidate's values
BEYOND = 1.1  # worst corner of the part that counts; the front's own corner is 1


def expected_gains(
    means: NDArray[np.float64], spreads: NDArray[np.float64], known: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the hypervolume that each candidate is expected to add, as a share of the whole.

    Volumes are counted at evenly spread points of the box from the ideal of all rows' front to its
    worst corner, moved out by a tenth: any number of objectives costs the same.

    Args:
        means: (k, m) minimised costs as expected, finite.
        spreads: (k, m) standard deviations of their errors; inf is read as not known, and such a
            cost is taken as expected.
        known: (n, m) costs of those that count already; n may be 0.

    Returns:
        (k,) in [0, 1].

    References:
        Emmerich, Giannakoglou and Naujoks, IEEE TEC 2006, "Single- and multiobjective evolutionary
        optimization assisted by Gaussian random field metamodels": expected improvement of the
        hypervolume; here by quasi-Monte Carlo, for independent normal errors.
    """
    n_objectives = means.shape[1]
    low, high = _corners(np.vstack([means, known]))
    span = np.where(high > low, high - low, 1.0)
    points = BEYOND * _points(N_POINTS, n_objectives)
    points = points[~covered(points, (known - low) / span)]
    errors = _normal_draws(N_DRAWS, n_objectives)
    widths = np.where(np.isfinite(spreads), spreads, 0.0) / span
    drawn = ((means - low) / span)[:, None] + widths[:, None] * errors[None]  # (k, draws, m)
    better = np.ones((*drawn.shape[:2], len(points)), dtype=bool)
    for j in range(n_objectives):
        better &= drawn[:, :, j, None] <= points[:, j]
    return np.asarray(np.count_nonzero(better, axis=2).mean(axis=1) / N_POINTS)


def _corners(costs: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    front = costs[non_dominated(costs)]
    return front.min(axis=0), front.max(axis=0)


@lru_cache(maxsize=8)
def _points(n: int, n_dimensions: int) -> NDArray[np.float64]:
    """Return (n, d) points that fill the unit cube evenly, the same every time.

    References:
        Roberts, 2018, "The unreasonable effectiveness of quasirandom sequences": the additive
        recurrence by powers of the generalised golden ratio.
    """
    ratio = 2.0
    for _ in range(40):  # the root of x^(d + 1) = x + 1, by iteration
        ratio = (1.0 + ratio) ** (1.0 / (n_dimensions + 1))
    steps = ratio ** -np.arange(1, n_dimensions + 1)
    return np.asarray((0.5 + np.outer(np.arange(1, n + 1), steps)) % 1.0)


@lru_cache(maxsize=8)
def _normal_draws(n: int, n_dimensions: int) -> NDArray[np.float64]:
    """Return (n, d) draws of a standard normal distribution, the same every time.

    References:
        McKay, Beckman and Conover, Technometrics 1979: a Latin hypercube, so that each column is
        spread evenly, and has mean 0.
    """
    middles = (np.arange(n) + 0.5) / n
    quantiles = np.array([NormalDist().inv_cdf(float(middle)) for middle in middles])
    rng = stream(0, "normal draws", n_dimensions)
    return np.stack([rng.permutation(quantiles) for _ in range(n_dimensions)], axis=1)
