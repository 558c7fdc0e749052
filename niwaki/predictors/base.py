"""What every predictor can do: arrays in, means and standard deviations out."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Prediction:
    """What a predictor believes.

    Attributes:
        mean: (n, m) float64, in the units of the `y` that it was fitted on.
        std: (n, m) float64, one standard deviation of that belief.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]


class Predictor(ABC):
    """Learns m values from d features. Built unfitted; the constructor takes the settings."""

    @abstractmethod
    def fit(self, X: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        """Fit anew.

        Args:
            X: (n, d) features, as `Space.encode` gives them.
            y: (n, m) values; a row with NaN is left out for that column.
        """

    @abstractmethod
    def predict(self, X: NDArray[np.float64]) -> Prediction:
        """Predict m values for each of n rows. Needs an earlier `fit`."""
