"""The first candidates: corners of the space, then each as far as can be from all before.

Where known networks were given, most are mutants of those instead.

References:
    Gonzalez, Theoretical Computer Science 1985, "Clustering to minimize the maximum intercluster
    distance", for choosing the farthest; over draws of the space, in features scaled to one spread.
    Kinds of features have equal shares of a distance: a few cheap values would be lost among a
    hundred columns of an encoding, and trade-offs stretch along them.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.search.asked import Asked
from niwaki.search.surrogate.catalogue import Catalogue
from niwaki.spaces.walks import corners

Array = NDArray[np.float64]

N_DRAWS = 128
N_MUTANTS = 16


def farthest(
    catalogue: Catalogue, known: Array, rng: np.random.Generator, asked: Asked
) -> Candidate:
    """Return a candidate unlike those whose (k, d) features are known.

    What a cheap value already rules out is not considered while there is anything else.
    """
    problem = catalogue.problem
    for corner in corners(problem.space):
        if corner not in asked and not catalogue.violations(catalogue.pool([corner]))[0]:
            return corner
    pool = catalogue.pool([problem.space.sample(rng) for _ in range(N_DRAWS)])
    pool = catalogue.least_violating(pool)
    if len(known) == 0:
        return pool.candidates[0]
    # What its kin is in the mean says no more of how unlike a candidate is.
    own = np.ones(known.shape[1], dtype=bool)
    for view in catalogue.views(len(own))[1:]:
        own[view] = False
    ours, theirs, kinds = pool.features[:, own], known[:, own], catalogue.kinds(len(own))[own]
    spread = ours.std(axis=0)
    n_of_kind = np.maximum(np.bincount(kinds, spread > 0.0), 1.0)[kinds]
    scale = np.where(spread > 0.0, spread, 1.0) * np.sqrt(n_of_kind)
    ours, theirs = ours / scale, theirs / scale
    nearest = np.full(len(ours), np.inf)
    for row in theirs:  # one by one: there may be thousands, if nothing can be learned from them
        nearest = np.minimum(nearest, ((ours - row) ** 2).sum(axis=1))
    return pool.candidates[int(nearest.argmax())]


def neighbour(
    catalogue: Catalogue, known: Sequence[Candidate], rng: np.random.Generator
) -> Candidate:
    """Return a mutant of known candidates, one that cheap values do not rule out if there is."""
    space = catalogue.problem.space
    drawn = [known[int(rng.integers(len(known)))] for _ in range(N_MUTANTS)]
    pool = catalogue.pool([space.mutate(parent, rng) for parent in drawn])
    return pool.candidates[int(catalogue.violations(pool).argmin())]
