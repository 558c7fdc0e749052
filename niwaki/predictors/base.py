"""What every predictor can do: arrays in, means and standard deviations out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import DataError
from niwaki.core.jsonable import JSON
from niwaki.predictors.state import State, read_state, write_state


@dataclass(frozen=True)
class Prediction:
    """What a predictor believes.

    Attributes:
        mean: (n, m) float64, in the units of the `y` that it was fitted on.
        std: (n, m) float64, one standard deviation of that belief, never negative.
        errors: (k, m) float64, absolute errors on held-out rows in units of their `std`, each
            column sorted, NaN after its last; None if there are none: then errors are taken to be
            normal.
        exact: (m,) whether a column was computed: its intervals have no width at any level. None if
            all were predicted.
        limits: (2, m) least and most that the values can be: no interval goes beyond. None if
            nothing is known.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    errors: NDArray[np.float64] | None = None
    exact: NDArray[np.bool_] | None = None
    limits: NDArray[np.float64] | None = None

    def interval(self, level: float = 0.9) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return (n, m) lower and upper ends of intervals that hold a share `level` of the truth.

        With `errors` of k held-out rows the half-width is their ceil((k + 1) level)-th smallest, in
        units of `std`; it is infinite where k is too small to promise so much.

        Raises:
            DataError: If `level` is not strictly between 0 and 1.

        References:
            Lei, G'Sell, Rinaldo, Tibshirani and Wasserman, JASA 2018, "Distribution-free predictive
            inference for regression", section 5.2 (locally weighted conformal prediction).
        """
        if not 0.0 < level < 1.0:
            raise DataError(f"the level of an interval is {level}: give a share between 0 and 1")
        half_width = self._half_width(level)
        if self.exact is not None:
            half_width = np.where(self.exact, 0.0, half_width)
        # Certainty (a spread of 0) times an infinite half-width stays no promise at all.
        finite = np.where(np.isfinite(half_width), half_width, 1.0)
        widths = np.where(np.isfinite(half_width), self.std * finite, np.inf)
        low, high = self.mean - widths, self.mean + widths
        if self.limits is None:
            return low, high
        # No truth lies beyond the limits: what is cut off held none.
        return np.maximum(low, self.limits[0]), np.minimum(high, self.limits[1])

    def _half_width(self, level: float) -> NDArray[np.float64]:
        """Return (m,) half-widths in standard deviations."""
        n_columns = self.mean.shape[1]
        if self.errors is None:
            return np.full(n_columns, NormalDist().inv_cdf(0.5 + level / 2.0))
        widths = np.full(n_columns, np.inf)
        counts = np.isfinite(self.errors).sum(axis=0)
        for column, n_errors in enumerate(counts):
            # A rounding error must not push (9 + 1) * 0.9 up to the next rank.
            rank = max(1, int(np.ceil((n_errors + 1) * level - 1e-9)))
            if rank <= n_errors:
                widths[column] = self.errors[rank - 1, column]
        return widths

    def __len__(self) -> int:
        return len(self.mean)


class Predictor(ABC):
    """Learns m values from d features. Built unfitted; the constructor takes the settings.

    Laws, checked by `niwaki.testing.predictor_contract`:
        * fitting anew forgets what was learned before, so data may arrive in any portions;
        * the same rows and settings give the same predictions, in every process;
        * a saved state predicts the same bits after loading, and needs no pickle.
    """

    @property
    def n_least(self) -> int:
        """How many values each column needs, as far as that is known before fitting."""
        return 1

    @abstractmethod
    def fit(self, X: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        """Fit anew.

        Args:
            X: (n, d) finite features, as `Space.encode` gives them; n >= 1, d >= 0.
            y: (n, m) values; a row with NaN is left out for that column.

        Raises:
            DataError: If the shapes do not agree, or a column has too few values to learn from.
        """

    @abstractmethod
    def predict(self, X: NDArray[np.float64]) -> Prediction:
        """Predict m values for each of n rows.

        Args:
            X: (n, d) features, with the d that it was fitted on.

        Raises:
            DataError: If it was not fitted, or on another number of features.
        """

    @abstractmethod
    def state(self) -> State:
        """Return what was learned, as arrays by name.

        Raises:
            DataError: If it was not fitted.
        """

    @abstractmethod
    def restore(self, state: State) -> None:
        """Take over what a predictor of the same kind, built with the same settings, learned.

        Raises:
            DataError: If an array is missing or misshapen.
        """

    def save(self, path: Path, about: Mapping[str, JSON] | None = None) -> None:
        """Write what was learned to one file, whole or not at all.

        Args:
            path: An `.npz` file of plain arrays; its folder must exist.
            about: Anything to keep beside it, such as what it was fitted on.

        Raises:
            DataError: If it was not fitted.
            RunFolderError: If the file cannot be written.
        """
        write_state(path, self.state(), kind=type(self).__qualname__, about=about or {})

    def load(self, path: Path) -> Mapping[str, JSON]:
        """Take over what `save` wrote, and return what was kept beside it.

        Raises:
            DataError: If the file is missing or damaged, holds anything but plain arrays, or was
                written by a predictor of another kind.
        """
        state, about = read_state(path, kind=type(self).__qualname__)
        self.restore(state)
        return about
