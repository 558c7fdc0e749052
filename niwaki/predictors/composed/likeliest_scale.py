"""On which scale a value is predicted best."""

import numpy as np
from numpy.typing import NDArray

from niwaki.predictors.composed.transforms import Plain, Transform, candidates
from niwaki.predictors.gaussian.column import fit_column
from niwaki.predictors.rows import even_share

Array = NDArray[np.float64]

_FEWEST = 4  # values, below which nothing can be told
_MOST_ROWS = 200  # that are looked at: time grows with the cube


def likeliest_scale(X: Array, y: Array) -> Transform:
    """Return the scale on which values are predicted best by the others.

    A Gaussian process is told all values but one, on each scale, and judged by the density that it
    gives that one, in the value's own units. From the plain scale on, another is taken where it is
    ahead by more than one standard error. That values look normal on a scale says little: most of
    how they spread is what features explain.

    Args:
        X: (n, d) features.
        y: (n,) finite values.

    References:
        Snelson, Rasmussen and Ghahramani, NIPS 2003, "Warped Gaussian processes", eq. 6, for
        densities under a transform; Rasmussen and Williams, 2006, section 5.4.2, for values left
        out; Breiman, Friedman, Olshen and Stone, 1984, section 3.4.3, for one standard error.
    """
    if len(y) < _FEWEST:
        return Plain()
    rows = even_share(len(y), _MOST_ROWS)
    X, y = X[rows], y[rows]
    best, *others = candidates(y)
    if not others:
        return best
    densities = _log_densities(X, y, best)
    for other in others:
        theirs = _log_densities(X, y, other)
        gains = theirs - densities
        if gains.sum() > np.sqrt(len(gains)) * gains.std():
            best, densities = other, theirs
    return best


def _log_densities(X: Array, y: Array, scale: Transform) -> Array:
    """Return (n,) log densities of values, each believed from all others; up to a constant."""
    values = scale.forward(y)
    mean, std = fit_column(X, values, max_rows=_MOST_ROWS).left_out()
    errors = (values - mean) / std
    # Few rows make beliefs too sure, on one scale more than on another.
    factor = float(np.sqrt((errors**2).mean())) or 1.0
    return np.asarray(scale.log_slope(y) - np.log(std * factor) - 0.5 * (errors / factor) ** 2)
