"""Averages in which what is long ago fades."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from niwaki.core.jsonable import JSON

_MEMORY = 100.0  # how many additions count, about


class Fading:
    """Exponentially fading, weighted averages of several numbers.

    Args:
        n: How many numbers.
    """

    def __init__(self, n: int) -> None:
        self._sums, self._weights = np.zeros(n), np.zeros(n)

    def add(self, values: NDArray[np.float64], weights: NDArray[np.float64] | float = 1.0) -> None:
        """Take in (n,) values, each with its weight, from 0 on."""
        kept = 1.0 - 1.0 / _MEMORY
        self._sums = kept * self._sums + weights * values
        self._weights = kept * self._weights + weights

    @property
    def means(self) -> NDArray[np.float64]:
        """The averages, (n,); NaN where nothing was told."""
        known = self._weights > 0.0
        return np.where(known, self._sums / np.where(known, self._weights, 1.0), np.nan)

    def state(self) -> dict[str, JSON]:
        """Return what the next averages depend on."""
        return {"sums": self._sums.tolist(), "weights": self._weights.tolist()}

    def restore(self, state: Mapping[str, JSON]) -> None:
        """Continue from what `state` returned."""
        self._sums, self._weights = np.array(state["sums"]), np.array(state["weights"])
