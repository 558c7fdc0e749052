"""Adam on numpy arrays."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from niwaki.core.jsonable import JSON

_FADING = (0.9, 0.999)  # of the mean gradient, and of its mean square
_LEAST = 1e-8


class Adam:
    """Turns gradients into steps downhill.

    Args:
        shape: Of the parameters.
        learning_rate: Largest step of a parameter, about.

    References:
        Kingma and Ba, ICLR 2015, algorithm 1.
    """

    def __init__(self, shape: tuple[int, ...], learning_rate: float) -> None:
        self._learning_rate, self._n_steps = learning_rate, 0
        self._mean, self._square = np.zeros(shape), np.zeros(shape)

    def step(self, gradient: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what to add to the parameters, whose gradient this is: both of one shape."""
        self._n_steps += 1
        slow, slower = _FADING
        self._mean = slow * self._mean + (1.0 - slow) * gradient
        self._square = slower * self._square + (1.0 - slower) * gradient**2
        mean = self._mean / (1.0 - slow**self._n_steps)
        square = self._square / (1.0 - slower**self._n_steps)
        return -self._learning_rate * mean / (np.sqrt(square) + _LEAST)

    def state(self) -> dict[str, JSON]:
        """Return what the next steps depend on."""
        return {
            "n_steps": self._n_steps,
            "mean": self._mean.tolist(),
            "square": self._square.tolist(),
        }

    def restore(self, state: Mapping[str, JSON]) -> None:
        """Continue from what `state` returned."""
        self._n_steps = int(state["n_steps"])  # type: ignore[arg-type]
        self._mean, self._square = np.array(state["mean"]), np.array(state["square"])
