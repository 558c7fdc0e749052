"""Intervals that hold what they promise, learned from rows that were held out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from niwaki.core.limits import require_at_least, require_share
from niwaki.predictors.base import Prediction, Predictor
from niwaki.predictors.checks import not_fitted, require_examples
from niwaki.predictors.held_out import SelfValidating, held_out_predictions
from niwaki.predictors.state import State, array_of, as_part, part_of

# Of the median spread: a spread below says more than any model knows. Of few rows, each is mostly
# outside of what the others span, and new ones are within what all do: they seem to be known.
_LEAST_SHARE = 0.1
_FEW = 20.0  # rows, of which new ones are taken to be no better known than those held out


@dataclass(frozen=True)
class CalibratedSettings:
    """Settings of `Calibrated`.

    Attributes:
        n_folds: Folds that rows are held out in, if the predictor inside does not do so itself.
        seed: Of the folds.
        narrowing: Where rows that were held out say that spreads are too wide, how far they are
            narrowed, as a share of the way in logarithms. 1 if rows to come are drawn as those that
            were learned; less if not, as after a search, which learns from the good ones.

    Raises:
        ConfigError: On a number out of its range.
    """

    n_folds: int = 10
    seed: int = 0
    narrowing: float = 1.0

    def __post_init__(self) -> None:
        require_at_least(self, {"n_folds": 2, "seed": 0})
        require_share(self, "narrowing")


class Calibrated(SelfValidating):
    """Gives a predictor intervals of the right width.

    Each row's error, held out, is divided by the spread that was promised for it: so where a
    predictor is less sure, its intervals stay wider. The sorted quotients go with every prediction,
    and `Prediction.interval` picks among them; spreads are scaled so that their squares are right
    on average.

    What is promised: for new rows drawn as the learned ones were, an interval of level a holds a
    share of about a, also if errors are not normal. This is no finite-sample guarantee (that needs
    rows that nothing is learned from): most predictors choose their hyper-parameters on the rows
    that are then held out. With about as many rows as features, intervals of 90% hold some 85% on
    average over data, and for one in ten draws of twelve rows hardly more than half. Nothing
    is promised for rows that a search picked because their predictions look good: those are not
    drawn as the learned ones. A copy of a row tells what is held out, and makes intervals of other
    rows too narrow: give each measurement once.

    Args:
        inner: What learns; built unfitted.
        settings: How rows are held out.

    References:
        Papadopoulos, Gammerman and Vovk, 2008, "Normalized nonconformity measures for regression
        conformal prediction"; Vovk, Annals of Mathematics and Artificial Intelligence 2015,
        "Cross-conformal predictors"; Barber, Candes, Ramdas and Tibshirani, Annals of Statistics
        2021, "Predictive inference with the jackknife+", for what can and cannot be guaranteed.
    """

    def __init__(self, inner: Predictor, settings: CalibratedSettings | None = None) -> None:
        self._inner, self._settings = inner, settings or CalibratedSettings()
        self._errors = np.zeros((0, 0))
        self._factor = np.zeros(0)
        self._floor = np.zeros(0)
        self._held_out: Prediction | None = None

    @property
    def inner(self) -> Predictor:
        """What learns."""
        return self._inner

    @property
    def n_least(self) -> int:
        return max(3, self._inner.n_least)

    def fit(self, X: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        X, y = require_examples(X, y, n_least=self.n_least)
        some = np.isfinite(y).any(axis=1)
        found = held_out_predictions(
            self._inner, X[some], y[some], n_folds=self._settings.n_folds, seed=self._settings.seed
        )
        least = np.clip(_FEW / some.sum(), _LEAST_SHARE, 1.0)
        self._floor = least * np.nanmedian(found.std, axis=0)
        spread = np.maximum(found.std, self._floor)
        errors = np.abs(y[some] - found.mean)
        # A predictor that is never wrong, and knows it, is believed.
        quotients = errors / np.where(spread > 0.0, spread, 1.0)
        factor = np.sqrt(np.nanmean(quotients**2, axis=0))
        factor = np.where(factor > 0.0, factor, 1.0)
        self._errors = np.sort(quotients / factor, axis=0)
        narrowed = factor**self._settings.narrowing
        self._factor = np.where(factor < 1.0, narrowed, factor)
        mean, std = np.full(y.shape, np.nan), np.full(y.shape, np.nan)
        mean[some], std[some] = found.mean, self._scaled(found.std)
        self._held_out = Prediction(mean, std, self._errors, limits=found.limits)

    def _scaled(self, std: NDArray[np.float64]) -> NDArray[np.float64]:
        floored = np.maximum(std, self._floor)
        return np.asarray(np.where(floored > 0.0, floored, 1.0) * self._factor)

    def held_out(self) -> Prediction:
        if self._held_out is None:
            raise not_fitted(self)
        return self._held_out

    def predict(self, X: NDArray[np.float64]) -> Prediction:
        found = self._inner.predict(X)
        std = self._scaled(found.std)
        return Prediction(found.mean, std, self._errors, limits=found.limits)

    def state(self) -> State:
        own = {"errors": self._errors, "factor": self._factor, "floor": self._floor}
        return own | as_part(self._inner.state(), "inner")

    def restore(self, state: State) -> None:
        errors = array_of(state, "errors", n_dimensions=2)
        factor = array_of(state, "factor", n_dimensions=1)
        floor = array_of(state, "floor", n_dimensions=1)
        self._inner.restore(part_of(state, "inner"))
        self._errors, self._factor, self._floor = errors, factor, floor
        self._held_out = None
