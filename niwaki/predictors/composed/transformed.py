"""A predictor that learns on another scale."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import ConfigError, DataError
from niwaki.core.limits import require_at_least
from niwaki.core.registry import nearest
from niwaki.predictors.base import Prediction, Predictor
from niwaki.predictors.checks import not_fitted, require_examples
from niwaki.predictors.composed.likeliest_scale import likeliest_scale
from niwaki.predictors.composed.transforms import KINDS, TRANSFORMS, Transform, named
from niwaki.predictors.held_out import SelfValidating, held_out_predictions
from niwaki.predictors.state import State, array_of, as_part, part_of

AUTO = "auto"


@dataclass(frozen=True)
class TransformedSettings:
    """Settings of `Transformed`.

    Attributes:
        transforms: `none`, `log`, `log_odds` or `auto`: one for all columns, or one for each.
        n_folds: Folds that rows are held out in, if the predictor inside does not do so itself.
        seed: Of the folds.

    Raises:
        ConfigError: On an unknown transform, or a number out of its range.
    """

    transforms: tuple[str, ...] = (AUTO,)
    n_folds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        require_at_least(self, {"n_folds": 2, "seed": 0})
        known = [AUTO, *TRANSFORMS]
        for name in self.transforms or ("",):
            if name not in known:
                raise ConfigError(
                    f"there is no transform '{name}'{nearest(name, known)} "
                    f"Known: {', '.join(known)}"
                )


class Transformed(SelfValidating):
    """Learns logarithms of latencies and sizes, say, and answers in their own units.

    `auto` takes the scale on which a column is predicted best (`likeliest_scale`): as it is, the
    logarithm, or the logarithm of the distance from a point below, or above, all values. What has
    no place on a column's scale is in none of its intervals: no latency below 0 where logarithms
    are learned.

    Args:
        inner: What learns; built unfitted.
        settings: Which transforms.
    """

    def __init__(self, inner: Predictor, settings: TransformedSettings | None = None) -> None:
        self._inner, self._settings = inner, settings or TransformedSettings()
        self._chosen: list[Transform] = []
        self._held_out: Prediction | None = None

    @property
    def chosen(self) -> tuple[Transform, ...]:
        """The transform of each column, once fitted."""
        return tuple(self._chosen)

    @property
    def n_least(self) -> int:
        return self._inner.n_least

    def fit(self, X: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        X, y = require_examples(X, y, n_least=self.n_least)
        names = self._settings.transforms * (
            y.shape[1] if len(self._settings.transforms) == 1 else 1
        )
        if len(names) != y.shape[1]:
            raise DataError(
                f"{len(names)} transforms are set for {y.shape[1]} columns: give one each"
            )
        self._chosen = [
            _transform(name, X, values, column)
            for column, (name, values) in enumerate(zip(names, y.T, strict=True))
        ]
        scaled = [chosen.forward(values) for chosen, values in zip(self._chosen, y.T, strict=True)]
        found = held_out_predictions(
            self._inner,
            X,
            np.stack(scaled, axis=1) if scaled else y,
            n_folds=self._settings.n_folds,
            seed=self._settings.seed,
        )
        self._held_out = self._back(found)

    def _back(self, found: Prediction) -> Prediction:
        mean, std = np.empty_like(found.mean), np.empty_like(found.std)
        for column, chosen in enumerate(self._chosen):
            mean[:, column], std[:, column] = chosen.back(
                found.mean[:, column], found.std[:, column]
            )
        limits = np.array([chosen.limits for chosen in self._chosen]).reshape(-1, 2).T
        return Prediction(mean, std, limits=limits)

    def held_out(self) -> Prediction:
        if self._held_out is None:
            raise not_fitted(self)
        return self._held_out

    def predict(self, X: NDArray[np.float64]) -> Prediction:
        return self._back(self._inner.predict(X))

    def state(self) -> State:
        names = np.array([chosen.name for chosen in self._chosen])
        origins = np.array([chosen.origin for chosen in self._chosen], dtype=np.float64)
        return {
            "transforms": names,
            "origins": origins,
            **as_part(self._inner.state(), "inner"),
        }

    def restore(self, state: State) -> None:
        names = array_of(state, "transforms", n_dimensions=1).tolist()
        origins = array_of(state, "origins", n_dimensions=1).tolist()
        if unknown := set(names) - set(KINDS):
            raise DataError(f"the saved predictor has a transform '{unknown.pop()}': fit it again")
        if len(names) != len(origins):
            raise DataError("the saved predictor has transforms without origins: fit it again")
        self._inner.restore(part_of(state, "inner"))
        self._chosen = [KINDS[name](origin) for name, origin in zip(names, origins, strict=True)]
        self._held_out = None


def _transform(name: str, X: NDArray[np.float64], y: NDArray[np.float64], column: int) -> Transform:
    known = np.isfinite(y)
    if name == AUTO:
        return likeliest_scale(X[known], y[known])
    return named(name, y[known], column)
