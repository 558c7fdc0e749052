"""Transfer: what is known of another device, task or fidelity, corrected with few measurements."""

import numpy as np
from numpy.typing import NDArray

from niwaki.predictors.base import Prediction, Predictor
from niwaki.predictors.checks import not_fitted, require_examples
from niwaki.predictors.held_out import SelfValidating
from niwaki.predictors.linear.bayesian_ridge import BayesianRidge, BayesianRidgeSettings
from niwaki.predictors.state import State, array_of, as_part, part_of

_LINEAR = BayesianRidgeSettings(pair_weights=(0.0,))


class Transferred(SelfValidating):
    """Predicts values from those of a source, plus what the features say about the difference.

    First a line from the source's predictions to the values, then a Bayesian ridge on the features
    for what is left. With few rows that ridge finds little evidence, and shrinks to the line; with
    many it learns whatever the source does not know. Held-out rows are held out of both steps.

    Latencies of one device are nearly a power of another's: learn them as logarithms, by way of
    `Transformed`, with `logarithms=True` here.

    Args:
        source: Fitted on another device, say, where measurements are plenty; with any number of
            columns, all of which are used. It is not fitted again.
        logarithms: Whether to take logarithms of the source's predictions, which are positive then.

    References:
        Lee et al., NeurIPS 2021, "HELP: hardware-adaptive efficient latency prediction", for the
        problem: few samples on a new device. The method is ours: a Gaussian prior around the
        source, as in Kennedy and O'Hagan, Biometrika 2000, for models of two fidelities.
    """

    def __init__(self, source: Predictor, *, logarithms: bool = False) -> None:
        self._source, self._logarithms = source, logarithms
        self._line = BayesianRidge(_LINEAR)
        self._rest = BayesianRidge()
        self._held_out: Prediction | None = None
        self._fitted = False

    def fit(self, X: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        X, y = require_examples(X, y, n_least=3)
        known = self._known(X)
        self._line.fit(known, y)
        on_line = self._line.held_out()
        # What is left on rows that the line did not see: on the others it would be too small.
        self._rest.fit(X, y - on_line.mean)
        rest = self._rest.held_out()
        self._held_out = Prediction(on_line.mean + rest.mean, rest.std)
        self._fitted = True

    def _known(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (n, k) predictions of the source."""
        mean = self._source.predict(X).mean
        return np.log(np.maximum(mean, np.finfo(np.float64).tiny)) if self._logarithms else mean

    def held_out(self) -> Prediction:
        if self._held_out is None:
            raise not_fitted(self)
        return self._held_out

    def predict(self, X: NDArray[np.float64]) -> Prediction:
        if not self._fitted:
            raise not_fitted(self)
        line, rest = self._line.predict(self._known(X)), self._rest.predict(X)
        return Prediction(line.mean + rest.mean, rest.std)

    def state(self) -> State:
        if not self._fitted:
            raise not_fitted(self)
        return (
            {"logarithms": np.array(self._logarithms)}
            | as_part(self._source.state(), "source")
            | as_part(self._line.state(), "line")
            | as_part(self._rest.state(), "rest")
        )

    def restore(self, state: State) -> None:
        logarithms = bool(array_of(state, "logarithms", n_dimensions=0))
        self._source.restore(part_of(state, "source"))
        self._line.restore(part_of(state, "line"))
        self._rest.restore(part_of(state, "rest"))
        self._logarithms, self._held_out, self._fitted = logarithms, None, True
