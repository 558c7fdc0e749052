"""The candidates that promise most, by guesses that cost little.

Zero-cost proxies say which networks will learn nothing, and little about which of the others learns
best. So they choose among many candidates which few are worth a measurement, and no more.

References:
    Abdelfattah, Mehrotra, Dudziak and Lane, ICLR 2021, "Zero-cost proxies for lightweight NAS",
    section 4: warm-up and moves by proxies; here by the mean rank of several.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.search.base import Problem


def most_promising(
    problem: Problem, candidates: Sequence[Candidate], most: int
) -> NDArray[np.int64]:
    """Return the rows of at most so many candidates, the most promising first.

    Each guess ranks them, and what it could not judge comes last; the mean of the ranks counts.
    Without guesses the order stays.
    """
    if problem.promises is None:
        return np.arange(min(most, len(candidates)))
    guesses = [problem.promises(candidate) for candidate in candidates]
    names = dict.fromkeys(name for each in guesses for name in each)
    places = np.zeros(len(candidates))
    for name in names:
        values = np.array([each.get(name, np.nan) for each in guesses], dtype=np.float64)
        values = np.nan_to_num(values, nan=-np.inf, posinf=-np.inf, neginf=-np.inf)
        _, rank, sizes = np.unique(-values, return_inverse=True, return_counts=True)
        places += (np.cumsum(sizes) - 0.5 * sizes)[rank]
    return np.argsort(places, kind="stable")[:most]
