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
        # What rounding leaves of a constant column is not a signal.
        varies = spread > 1e-9 * np.maximum(np.abs(center), 1e-300)
        return cls(center, np.where(varies, spread, np.inf))

    def to_unit(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (n, d) scaled values."""
        scaled: NDArray[np.float64] = (values - self.center) / self.spread
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
