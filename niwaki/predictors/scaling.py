"""Features and values on a common scale."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from niwaki.predictors.state import State, array_of


@dataclass(frozen=True)
class Scaling:
    """Moves and scales columns; those that never vary become zeros.

    Attributes:
        center: (d,) means.
        spread: (d,) standard deviations; infinite where a column never varies.
    """

    center: NDArray[np.float64]
    spread: NDArray[np.float64]

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> "Scaling":
        """Return the scaling of (n, d) values that gives means of 0 and deviations of 1."""
        center = values.mean(axis=0)
        spread = values.std(axis=0)
        return cls(center, np.where(spread > _tolerance(center), spread, np.inf))

    def to_unit(self, values: NDArray[np.float64], *, unseen: float = 0.0) -> NDArray[np.float64]:
        """Return (n, d) scaled values.

        Args:
            values: To be scaled.
            unseen: What stands where a column that never varied has another value now.
        """
        away = values - self.center
        scaled: NDArray[np.float64] = away / self.spread
        if unseen:
            constant = np.flatnonzero(np.isinf(self.spread))
            new = np.abs(away[:, constant]) > _tolerance(self.center[constant])
            scaled[:, constant] = np.where(new, unseen, 0.0)
        return scaled

    def state(self) -> State:
        """Return the arrays."""
        return {"center": self.center, "spread": self.spread}

    @classmethod
    def from_state(cls, state: State) -> "Scaling":
        """Read what `state` gave."""
        return cls(
            array_of(state, "center", n_dimensions=1), array_of(state, "spread", n_dimensions=1)
        )


def _tolerance(center: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what rounding may leave of a constant column, which is not a signal."""
    return 1e-9 * np.maximum(np.abs(center), 1e-300)
