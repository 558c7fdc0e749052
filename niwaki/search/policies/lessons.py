"""What pairs of networks told about every task, and a model of it that ranks others."""

from collections import deque
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from niwaki.core.jsonable import JSON
from niwaki.predictors.linear.base import STRENGTHS
from niwaki.predictors.linear.pairwise import (
    Decomposition,
    inner_products,
    listed_products,
    worth_listing,
)

_MOST = 1000  # pairs: older ones were run with weights that are no more
_PRODUCT_WEIGHTS = (0.0, 0.1)


class Lessons:
    """The last pairs, and for each task a ridge regression of what they lost.

    Differences within a pair are learned from, so that neither the batch nor the state of the
    weights matters, and nothing is reweighted: every pair is a lesson for each of T tasks.
    """

    def __init__(self) -> None:
        self._taken: deque[NDArray[np.float64]] = deque(maxlen=_MOST)
        self._losses: deque[NDArray[np.float64]] = deque(maxlen=_MOST)

    def add(self, taken: NDArray[np.float64], losses: NDArray[np.float64]) -> None:
        """Keep a pair: (2, d) what was decided, and (2, T) what was lost."""
        self._taken.append(taken)
        self._losses.append(losses)

    def losses(self, encoded: NDArray[np.float64], task: int) -> NDArray[np.float64]:
        """Return what (n, d) networks are thought to lose, (n,), beside each other.

        All lose the same if fewer than two pairs were told.

        References:
            Allen, Technometrics 1974 (PRESS), for the strength of the ridge and of the products.
        """
        if len(self._taken) < 2:
            return np.zeros(len(encoded))
        taken, losses = np.stack(self._taken), np.stack(self._losses)[..., task]
        first, second = taken[:, 0], taken[:, 1]
        gaps, tried = losses[:, 0] - losses[:, 1], []
        for weight in _PRODUCT_WEIGHTS:
            found = _decomposed(first, second, weight)
            for strength in STRENGTHS * max(found.mean_value, 1e-12):
                errors, _ = found.leave_one_out(gaps, strength)
                tried.append((float((errors**2).mean()), strength, weight, found))
        _, strength, weight, found = min(tried, key=lambda one: one[:3])
        lost = inner_products(encoded, first, weight) - inner_products(encoded, second, weight)
        return np.asarray(lost @ found.coefficients(gaps, strength))

    def state(self) -> dict[str, JSON]:
        """Return what was told."""
        return {
            "taken": [each.astype(int).tolist() for each in self._taken],
            "losses": [each.tolist() for each in self._losses],
        }

    def restore(self, state: Mapping[str, JSON]) -> None:
        """Continue from what `state` returned."""
        for kept, told in ((self._taken, state["taken"]), (self._losses, state["losses"])):
            kept.clear()
            kept.extend(np.array(each, dtype=np.float64) for each in told)  # type: ignore[union-attr]


def _decomposed(
    first: NDArray[np.float64], second: NDArray[np.float64], weight: float
) -> Decomposition:
    """Decompose the differences, products included, of (n, d) rows: products are listed if few."""
    if worth_listing(first, weight):
        rows = listed_products(first, weight) - listed_products(second, weight)
        return Decomposition.of(rows, 0.0)
    products = inner_products(first, first, weight) - inner_products(first, second, weight)
    products += inner_products(second, second, weight) - inner_products(second, first, weight)
    return Decomposition.of_products(products, weight)
