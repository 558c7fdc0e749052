"""Stacking: several predictors, weighted by how well they predict what they did not see."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import ConfigError, DataError
from niwaki.core.limits import require_at_least
from niwaki.predictors.base import Prediction, Predictor
from niwaki.predictors.checks import not_fitted, require_examples
from niwaki.predictors.held_out import SelfValidating, folds, held_out_predictions
from niwaki.predictors.registry import PREDICTORS
from niwaki.predictors.state import State, array_of, as_part, part_of

_TOGETHER = 1e3  # how much the weights' sum of 1 counts beside one row of errors


@dataclass(frozen=True)
class StackingSettings:
    """Settings of `Stacking`.

    Attributes:
        members: Names of predictors, with their default settings.
        n_folds: Folds that rows are held out in, for members that do not do so themselves.
        seed: Of the folds.

    Raises:
        ConfigError: If there is no member, an unknown one, or a number is out of its range.
    """

    members: tuple[str, ...] = ("bayesian_ridge", "gaussian_process", "tree_ensemble")
    n_folds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        require_at_least(self, {"n_folds": 2, "seed": 0})
        if not self.members:
            raise ConfigError("'members' is empty: name one predictor or more")
        for name in self.members:
            PREDICTORS.find(name)


class Stacking(SelfValidating):
    """A weighted mean of predictors, column by column.

    The weights are not negative, add up to 1, and give the smallest squared error on held-out rows.
    Rows are held out of the weights, too, where the result is judged. Spreads have no weights: all
    members' beliefs, and how far they are apart, count alike.

    Args:
        settings: Which predictors, if `members` are not given.
        members: The predictors, built unfitted.

    References:
        Wolpert, Neural Networks 1992, "Stacked generalization"; Breiman, Machine Learning 1996,
        "Stacked regressions", for weights that are not negative; adding up to 1 is our choice.
    """

    def __init__(
        self,
        settings: StackingSettings | None = None,
        members: Sequence[Predictor] | None = None,
    ) -> None:
        self._settings = settings or StackingSettings()
        if members is None:
            members = [PREDICTORS.find(name).load()(None) for name in self._settings.members]
        if not members:
            raise ConfigError("a stack has no members: give one predictor or more")
        self._members = list(members)
        self._weights = np.zeros((0, 0))
        self._held_out: Prediction | None = None

    @property
    def weights(self) -> NDArray[np.float64]:
        """(n_members, m) weights; every column adds up to 1."""
        return self._weights

    @property
    def n_least(self) -> int:
        return max(4, *(member.n_least for member in self._members))

    def fit(self, X: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        X, y = require_examples(X, y, n_least=self.n_least)
        some = np.isfinite(y).any(axis=1)
        n_folds, seed = self._settings.n_folds, self._settings.seed
        unseen = [
            held_out_predictions(member, X[some], y[some], n_folds=n_folds, seed=seed)
            for member in self._members
        ]
        mean, std = np.full(y.shape, np.nan), np.full(y.shape, np.nan)
        fold_of = folds(int(some.sum()), n_folds, seed=seed)
        means, stds = (np.stack([getattr(p, n) for p in unseen]) for n in ("mean", "std"))
        mean[some], std[some] = self._judged(means, stds, y[some], fold_of)
        self._weights = _best_weights(means, y[some])
        self._held_out = Prediction(mean, std)

    def _judged(
        self,
        means: NDArray[np.float64],
        stds: NDArray[np.float64],
        y: NDArray[np.float64],
        fold_of: NDArray[np.int64],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what stacks weighted without each fold predict of it: (n, m) means and stds."""
        mean, std = np.empty(y.shape), np.empty(y.shape)
        for fold in np.unique(fold_of):
            held = fold_of == fold
            weights = _best_weights(means[:, ~held], y[~held])
            mean[held], std[held] = _mixed(means[:, held], stds[:, held], weights)
        return mean, std

    def held_out(self) -> Prediction:
        if self._held_out is None:
            raise not_fitted(self)
        return self._held_out

    def predict(self, X: NDArray[np.float64]) -> Prediction:
        if not self._weights.size:
            raise not_fitted(self)
        found = [member.predict(X) for member in self._members]
        means, stds = np.stack([f.mean for f in found]), np.stack([f.std for f in found])
        return Prediction(*_mixed(means, stds, self._weights))

    def state(self) -> State:
        if not self._weights.size:
            raise not_fitted(self)
        arrays = {"weights": self._weights}
        for index, member in enumerate(self._members):
            arrays |= as_part(member.state(), f"member{index}")
        return arrays

    def restore(self, state: State) -> None:
        weights = array_of(state, "weights", n_dimensions=2)
        if len(weights) != len(self._members):
            raise DataError(
                f"the saved stack has {len(weights)} members, this one {len(self._members)}: "
                "build it with those that it was saved with"
            )
        for index, member in enumerate(self._members):
            member.restore(part_of(state, f"member{index}"))
        self._weights, self._held_out = weights, None


def _best_weights(means: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (k, m) weights for (k, n, m) predictions of (n, m) values."""
    from scipy.optimize import nnls

    weights = np.full((len(means), y.shape[1]), 1.0 / len(means))
    for column in range(y.shape[1]):
        # Not every row is held out by every member: few trees may all have drawn one.
        known = np.isfinite(y[:, column]) & np.isfinite(means[:, :, column]).all(axis=0)
        # With weights that add up to 1, errors of the mean are the mean of errors.
        errors = (means[:, known, column] - y[known, column]).T  # (n, k)
        scale = float(np.sqrt((errors**2).mean())) if known.any() else 0.0
        if scale > 0.0:
            together = np.full((1, len(means)), _TOGETHER * np.sqrt(len(errors)))
            system = np.concatenate([errors / scale, together])
            target = np.zeros(len(system))
            target[-1] = together[0, 0]
            found, _ = nnls(system, target)
            weights[:, column] = found / found.sum()
    return weights


def _mixed(
    means: NDArray[np.float64], stds: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (n, m) weighted means of (k, n, m) beliefs, and how far beliefs are from these.

    All count alike for how far: far from what was learned, a member that predicts worse may be the
    one that is right, or the only one that knows that it does not know.
    """
    mean = np.einsum("knm,km->nm", means, weights)
    return mean, np.sqrt((stds**2 + (means - mean) ** 2).mean(axis=0))
