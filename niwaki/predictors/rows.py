"""Which rows are learned from where there are too many."""

import numpy as np
from numpy.typing import NDArray


def even_share(n_rows: int, most: int) -> NDArray[np.int64]:
    """Return up to `most` row numbers, rising, spread evenly over all: the first and last too."""
    places = np.linspace(0, n_rows - 1, min(n_rows, most))
    return np.unique(places.round().astype(np.int64))
