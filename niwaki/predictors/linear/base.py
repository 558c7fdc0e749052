"""What the linear predictors share: everything but how strong the ridge is."""

from abc import abstractmethod
from copy import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import ConfigError
from niwaki.predictors.base import Prediction
from niwaki.predictors.checks import not_fitted, require_examples, require_features
from niwaki.predictors.held_out import SelfValidating
from niwaki.predictors.linear.listed_doubt import ListedDoubt
from niwaki.predictors.linear.pairwise import Decomposition, Doubt, Weights, worth_listing
from niwaki.predictors.scaling import Scaling
from niwaki.predictors.state import State, array_of, as_part, part_of

# Ridge strengths that are tried, in units of the mean eigenvalue.
STRENGTHS = np.logspace(-6.0, 3.0, 37)
# Of so few rows, the strength that predicts left-out ones best does so by chance, too: each is left
# out of choosing it as well, where a column has so many values.
_FEW_ROWS, _LEAST_LEFT = 24, 4
_N_DECIDING = 600  # rows that the weight of the pairs is chosen on: each try costs n^3


@dataclass(frozen=True)
class LinearSettings:
    """Settings of the linear predictors.

    Attributes:
        pair_weights: Weights of pairwise products beside the features that are tried, each at least
            0; the best is kept, column by column. 0 leaves the products out.

    Raises:
        ConfigError: If there is none, or one is negative or not finite.
    """

    pair_weights: tuple[float, ...] = (0.0, 0.01, 0.1, 1.0)

    def __post_init__(self) -> None:
        if not self.pair_weights or not all(0.0 <= each < np.inf for each in self.pair_weights):
            raise ConfigError(
                f"'pair_weights' is {list(self.pair_weights)}: give one or more numbers from 0"
            )


@dataclass(frozen=True)
class Strength:
    """How strong the ridge of a column is, and how good that is.

    Attributes:
        strength: Added to the eigenvalues.
        cost: To be made small; compares strengths and pair weights of one column.
        noise: Standard deviation of what no model of this kind explains.
    """

    strength: float
    cost: float
    noise: float


@dataclass(frozen=True)
class _Column:
    """The model of one column."""

    weights: Weights
    doubt: Doubt | ListedDoubt
    noise: float


class LinearPredictor(SelfValidating):
    """Ridge regression on scaled features and their pairwise products, column by column.

    Subclasses say how strong the ridge should be. The spread of a prediction is the noise plus what
    the rows leave open there. Fitting n rows takes about n p^2 operations with p features and
    products, or n^3 where that is less, so n may be a few thousands; predicting takes p^2 a row, or
    n^2.

    Args:
        settings: Which pair weights are tried.
    """

    def __init__(self, settings: LinearSettings | None = None) -> None:
        self._settings = settings or LinearSettings()
        self._scaling: Scaling | None = None
        self._unseen = 0.0
        self._columns: list[_Column] = []
        self._held_out: Prediction | None = None

    @abstractmethod
    def strength(self, decomposition: Decomposition, y: NDArray[np.float64]) -> Strength:
        """Return the best ridge strength for (n,) values."""

    def fit(self, X: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        X, y = require_examples(X, y, n_least=2)
        self._held_out = self._learn(X, y)
        if len(X) <= _FEW_ROWS and np.isfinite(y).sum(axis=0).min() >= _LEAST_LEFT:
            self._held_out = self._without_each(X, y)

    def _without_each(self, X: NDArray[np.float64], y: NDArray[np.float64]) -> Prediction:
        """Return predictions of every row by what is learned without it, strength included."""
        other = copy(self)
        mean, std = np.full(y.shape, np.nan), np.full(y.shape, np.nan)
        for row in range(len(X)):
            other._learn(np.delete(X, row, axis=0), np.delete(y, row, axis=0))
            there = other.predict(X[[row]])
            known = np.isfinite(y[row])
            mean[row, known], std[row, known] = there.mean[0, known], there.std[0, known]
        return Prediction(mean, std)

    def _learn(self, X: NDArray[np.float64], y: NDArray[np.float64]) -> Prediction:
        """Learn all rows; return predictions of each without it, by the strength that all chose."""
        self._scaling = Scaling.of(X)
        rows, known = self._scaling.to_unit(X), np.isfinite(y)
        self._unseen = _reach(rows)
        mean, std = np.full(y.shape, np.nan), np.full(y.shape, np.nan)
        fitted: dict[int, _Column] = {}
        # Columns that miss the same rows share their decompositions.
        for mask in np.unique(known, axis=1).T:
            columns = [c for c in range(y.shape[1]) if np.array_equal(known[:, c], mask)]
            some, values = rows[mask], y[np.ix_(mask, columns)]
            wanted = self._pair_weights(some, values)
            shared = {weight: Decomposition.of(some, weight) for weight in set(wanted)}
            for column, weight, own in zip(columns, wanted, values.T, strict=True):
                found = self.strength(shared[weight], own)
                fitted[column] = _column(some, own, shared[weight], found)
                errors, leverage = shared[weight].leave_one_out(own, found.strength)
                mean[mask, column] = own - errors
                std[mask, column] = found.noise / np.sqrt(1.0 - leverage)
        self._columns = [fitted[column] for column in range(y.shape[1])]
        return Prediction(mean, std)

    def held_out(self) -> Prediction:
        if self._held_out is None:
            raise not_fitted(self)
        return self._held_out

    def _pair_weights(self, rows: NDArray[np.float64], y: NDArray[np.float64]) -> list[float]:
        """Return the best pair weight of each column, judged on some of the rows if many."""
        tried = self._settings.pair_weights
        if len(tried) == 1:
            return [tried[0]] * y.shape[1]
        n_deciding = min(len(rows), _N_DECIDING)
        some = np.unique(np.linspace(0, len(rows) - 1, n_deciding).astype(np.int64))
        costs = np.empty((len(tried), y.shape[1]))
        for index, weight in enumerate(tried):
            decomposition = Decomposition.of(rows[some], weight)
            costs[index] = [self.strength(decomposition, own).cost for own in y[some].T]
        return [tried[best] for best in costs.argmin(axis=0)]

    def predict(self, X: NDArray[np.float64]) -> Prediction:
        if self._scaling is None:
            raise not_fitted(self)
        X = require_features(X, len(self._scaling.center))
        # An option that no row had is as far away as those that rows had: of few options each is
        # in many rows, and of thousands each in a single one, which is far from the others.
        rows = self._scaling.to_unit(X, unseen=self._unseen)
        mean = np.empty((len(rows), len(self._columns)))
        std = np.empty_like(mean)
        for index, column in enumerate(self._columns):
            mean[:, index] = column.weights.at(rows)
            std[:, index] = column.noise * np.sqrt(1.0 + column.doubt.at(rows))
        return Prediction(mean, std)

    def state(self) -> State:
        if self._scaling is None:
            raise not_fitted(self)
        arrays = as_part(self._scaling.state(), "scaling")
        for index, column in enumerate(self._columns):
            arrays |= as_part(_column_state(column), str(index))
        return {
            **arrays,
            "n_columns": np.array(len(self._columns)),
            "unseen": np.array(self._unseen),
        }

    def restore(self, state: State) -> None:
        n_columns = int(array_of(state, "n_columns", n_dimensions=0))
        scaling = Scaling.from_state(part_of(state, "scaling"))
        unseen = float(array_of(state, "unseen", n_dimensions=0))
        columns = [_column_from_state(part_of(state, str(c))) for c in range(n_columns)]
        self._scaling, self._unseen, self._columns = scaling, unseen, columns
        self._held_out = None


def _reach(rows: NDArray[np.float64]) -> float:
    """Return how far the farthest row is from the mean in one column, in quadratic mean over them.

    Columns that never vary say nothing; if none varies it is as in a column that one row varies.
    """
    farthest = np.abs(rows).max(axis=0)
    varies = farthest > 0.0
    return float(np.sqrt((farthest[varies] ** 2).mean() if varies.any() else len(rows)))


def _column(
    rows: NDArray[np.float64],
    y: NDArray[np.float64],
    decomposition: Decomposition,
    found: Strength,
) -> _Column:
    weights = Weights.of_rows(
        rows,
        decomposition.coefficients(y, found.strength),
        pair_weight=decomposition.pair_weight,
    )
    kind = ListedDoubt if worth_listing(rows, decomposition.pair_weight) else Doubt
    return _Column(
        weights.moved(y.mean() - weights.at(rows).mean()),
        kind.left_by(rows, decomposition, found.strength),
        found.noise,
    )


def _column_state(column: _Column) -> State:
    weights, doubt = column.weights, column.doubt
    arrays = {
        "scalars": np.array([weights.constant, column.noise, doubt.strength, doubt.pair_weight]),
        "single": weights.single,
        "pairs": weights.pairs,
        "directions": doubt.directions,
    }
    if isinstance(doubt, ListedDoubt):
        return arrays | {"center": doubt.center, "n_rows": np.array(doubt.n_rows)}
    return arrays | {"rows": doubt.rows, "means": doubt.means}


def _column_from_state(state: State) -> _Column:
    constant, noise, strength, pair_weight = array_of(state, "scalars", n_dimensions=1).tolist()
    weights = Weights(
        constant,
        array_of(state, "single", n_dimensions=1),
        array_of(state, "pairs", n_dimensions=2),
    )
    directions = array_of(state, "directions", n_dimensions=2)
    if "n_rows" in state:
        center, n_rows = (
            array_of(state, "center", n_dimensions=1),
            array_of(state, "n_rows", n_dimensions=0),
        )
        listed = ListedDoubt(center, directions, strength, pair_weight, int(n_rows))
        return _Column(weights, listed, noise)
    rows = array_of(state, "rows", n_dimensions=2)
    means = array_of(state, "means", n_dimensions=1)
    return _Column(weights, Doubt(rows, means, directions, strength, pair_weight), noise)
