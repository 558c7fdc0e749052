"""A Gaussian process for one column of values."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas, cho_solve, cholesky

from niwaki.predictors.gaussian.evidence import JITTER, Evidence
from niwaki.predictors.gaussian.kernels import Covariance
from niwaki.predictors.gaussian.layout import UNKNOWN, Layout
from niwaki.predictors.rows import even_share
from niwaki.predictors.state import State, array_of

Array = NDArray[np.float64]

SHRINKAGE, SHRINKAGE_WITHIN_GROUPS = 0.7, 0.5
_ROWS_AT_ONCE = 512  # as many as a cache holds, with what lies between them and known rows


@dataclass(frozen=True)
class GaussianColumn:
    """What is believed of one value, given rows where it is known.

    Attributes:
        covariance: With its hyper-parameters; of standardised values.
        noise: Variance of what rows do not explain, of standardised values.
        shift, scale: Standardised values times `scale` plus `shift` are the real ones.
        rows: (n, d) features.
        factor: (n, n) lower Cholesky factor of the rows' covariance, noise included.
        weights: (n,) of the rows in a prediction.
        logarithms: Of the hyper-parameters, as in `Evidence`; none if read from disk.
        log_evidence: Log posterior density of the hyper-parameters, of real values.
        n_judged: How many values that density is of; 0 if it is not known any more.
    """

    covariance: Covariance
    noise: float
    shift: float
    scale: float
    rows: Array
    factor: Array
    weights: Array
    logarithms: Array
    log_evidence: float
    n_judged: int

    @property
    def noise_std(self) -> float:
        """Standard deviation of what rows do not explain, in real units."""
        return self.scale * float(np.sqrt(self.noise))

    def predict(self, rows: Array) -> tuple[Array, Array]:
        """Return (k,) means and standard deviations of the noise-free values at (k, d) rows."""
        mean, std = np.empty(len(rows)), np.empty(len(rows))
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            some = slice(start, start + _ROWS_AT_ONCE)
            mean[some], std[some] = self._standardised(rows[some])
        return self.shift + self.scale * mean, self.scale * std

    def _standardised(self, rows: Array) -> tuple[Array, Array]:
        between = self.covariance.between(self.rows, rows)
        # From the right, so that nothing is copied: the transpose lies as BLAS wants it.
        known = blas.dtrsm(1.0, self.factor, between.T, side=1, lower=1, trans_a=1)  # (k, n)
        left = self.covariance.own(rows) - np.einsum("kn,kn->k", known, known)
        return between.T @ self.weights, np.sqrt(np.maximum(left, JITTER))

    def left_out(self) -> tuple[Array, Array]:
        """Return (n,) means and standard deviations of each value, given all others.

        References:
            Rasmussen and Williams, 2006, eq. 5.12.
        """
        identity = np.eye(len(self.weights))
        precision = np.diag(cho_solve((self.factor, True), identity, check_finite=False))
        values = self.covariance.between(self.rows, self.rows) @ self.weights
        values += (self.noise + JITTER) * self.weights
        mean = values - self.weights / precision
        return self.shift + self.scale * mean, self.scale / np.sqrt(precision)

    def state(self) -> dict[str, Array]:
        """Return everything as arrays by name."""
        covariance = self.covariance
        return {
            "numbers": np.array([covariance.amplitude, self.noise, self.shift, self.scale]),
            "relevance": covariance.relevance,
            "slopes": covariance.slopes,
            "centre": covariance.centre,
            "rows": self.rows,
            "factor": self.factor,
            "weights": self.weights,
        }

    @classmethod
    def of_state(cls, state: State) -> "GaussianColumn":
        """Return what `state` gave.

        Raises:
            DataError: If an array is missing or misshapen.
        """
        amplitude, noise, shift, scale = array_of(state, "numbers", n_dimensions=1).tolist()
        relevance, slopes, centre, weights = (
            array_of(state, name, n_dimensions=1)
            for name in ("relevance", "slopes", "centre", "weights")
        )
        return cls(
            covariance=Covariance(amplitude, relevance, slopes, centre),
            noise=noise,
            shift=shift,
            scale=scale,
            rows=array_of(state, "rows", n_dimensions=2),
            factor=array_of(state, "factor", n_dimensions=2),
            weights=weights,
            logarithms=np.empty(0),
            log_evidence=float("nan"),
            n_judged=0,
        )

    def given(self, rows: Array, values: Array) -> "GaussianColumn":
        """Return the belief after other (n, d) rows and (n,) values, same hyper-parameters."""
        total = self.covariance.between(rows, rows)
        total[np.diag_indices_from(total)] += self.noise + JITTER
        factor = cholesky(total, lower=True, check_finite=False)
        standardised = (values - self.shift) / self.scale
        weights = cho_solve((factor, True), standardised, check_finite=False)
        return replace(self, rows=rows, factor=factor, weights=np.asarray(weights))


def fit_column(
    rows: Array,
    values: Array,
    *,
    shrinkage: float | None = None,
    max_rows: int = 120,
    max_steps: int = 30,
    start: Array | None = None,
    layout: Layout = UNKNOWN,
    steep: bool = False,
) -> GaussianColumn:
    """Learn hyper-parameters and values.

    Args:
        rows: (n, d) finite features, n >= 1.
        values: (n,) finite.
        shrinkage: How far columns may differ in relevance; see `Evidence`. None is 0.7, and less
            where groups may differ.
        max_rows: Hyper-parameters are learned on at most so many rows, evenly taken.
        max_steps: Of the optimiser.
        start: Logarithms where the optimiser begins, such as those of similar values on
            the same features; None is the mean of the prior.
        layout: How columns belong together.
        steep: See `Evidence`.
    """
    shift, scale = float(values.mean()), float(values.std()) or 1.0
    taken = even_share(len(rows), max_rows)
    if shrinkage is None:
        shrinkage = SHRINKAGE if layout.groups is None else SHRINKAGE_WITHIN_GROUPS
    standardised = (values[taken] - shift) / scale
    evidence = Evidence(rows[taken], standardised, shrinkage, layout, steep)
    logarithms, log_density = evidence.best(max_steps, start)
    unfitted = GaussianColumn(
        covariance=evidence.covariance(logarithms),
        noise=float(np.exp(logarithms[2])),
        shift=shift,
        scale=scale,
        rows=rows[:0],
        factor=np.empty((0, 0)),
        weights=np.empty(0),
        logarithms=logarithms,
        log_evidence=log_density - len(taken) * float(np.log(scale)),
        n_judged=len(taken),
    )
    return unfitted.given(rows, values)
