"""Which rows are learned from where there are too many."""

import numpy as np
from numpy.typing import NDArray


def even_share(n_rows: int, most: int) -> NDArray[np.int64]:
    """Return up to `most` row numbers, rising, spread evenly over all: from 2, both ends too."""
    places = np.linspace(0, n_rows - 1, min(n_rows, most))
    return np.unique(places.round().astype(np.int64))


def share_of_each(present: NDArray[np.bool_], most: int) -> NDArray[np.int64]:
    """Return up to `most` row numbers, rising, spread evenly over all.

    Half of them are shared out between kinds of values: one that few rows have keeps those.

    Args:
        present: (n, m) whether a row has a value of each kind.
        most: At least 2 m.
    """
    taken: set[int] = set()
    for has in present.T:
        rows = np.flatnonzero(has)
        taken.update(rows[even_share(len(rows), most // (2 * present.shape[1]))].tolist())
    rest = np.array([row for row in range(len(present)) if row not in taken], dtype=np.int64)
    taken.update(rest[even_share(len(rest), most - len(taken))].tolist())
    return np.array(sorted(taken), dtype=np.int64)
