"""How well hyper-parameters explain one column of values, and the ones that do so best.

References:
    Rasmussen and Williams, "Gaussian processes for machine learning", 2006, eq. 5.8 and 5.9 (the
    marginal likelihood and its gradient). Hvarfner, Hellsten and Nardi, ICML 2024, "Vanilla
    Bayesian optimization performs great in high dimensions", for length scales that grow with the
    number of columns; here they grow with how far apart the rows really are, and each column's own
    relevance is shrunk towards one that its decision shares, its view, or all.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, lapack
from scipy.optimize import minimize

from niwaki.predictors.gaussian.kernels import Covariance, matern, squared_distances
from niwaki.predictors.gaussian.layout import UNKNOWN, Layout

Array = NDArray[np.float64]

JITTER = 1e-6
ROUNDING = 1e-12  # of its largest number, by which a column may differ that is taken for constant
N_SHARED = 4  # logarithms of amplitude, linear variance, noise variance and relevance
PRIOR_MEAN = np.array([0.0, -1.0, np.log(1e-2), 0.0])
PRIOR_STD = np.array([1.0, 1.5, 1.5, 1.5])
REFUSED = 1e10  # in place of the evidence where the covariance is not positive definite
OTHER_VIEWS = 2.0  # total variance of each view after the first, of that of the first
VIEW_STD = 1.5  # of the log relevance that the columns of a view have in common, a priori
GROUP_STD = 1.0  # of the log relevance that the columns of a group have in common, a priori
FURTHEST = 12.0  # of a logarithm from 0: keeps line searches finite


@dataclass(frozen=True)
class Evidence:
    """The log posterior density of hyper-parameters, given rows and standardised values.

    Attributes:
        rows: (n, d) features.
        values: (n,) of mean 0 and variance 1.
        shrinkage: How far a column's log relevance strays from the shared one: its prior's
            standard deviation.
        layout: How columns belong together.
        steep: Whether a relevant column also has a large slope; else slopes differ by chance alone.
    """

    rows: Array
    values: Array
    shrinkage: float
    layout: Layout = UNKNOWN
    steep: bool = False

    @cached_property
    def _centre(self) -> Array:
        return np.asarray(self.rows.mean(axis=0))

    @cached_property
    def _centred(self) -> Array:
        return self.rows - self._centre

    @cached_property
    def units(self) -> Array:
        """(d,) inverse squared scales: 1 for columns of 0 and 1 or of one value, else by spread.

        Views after the first have a total variance that is a multiple of the first's.
        """
        binary = np.isin(self.rows, (0.0, 1.0)).all(axis=0)
        # Of equal numbers the mean may be another one, by the last digit.
        constant = np.abs(self._centred).max(axis=0) <= ROUNDING * np.abs(self.rows).max(axis=0)
        variance = np.maximum(self._centred.var(axis=0), 1e-300)
        units = np.where(binary | constant, 1.0, 1.0 / variance)
        totals = [float((variance * units)[view] @ ~constant[view]) for view in self.layout.views]
        for view, total in zip(self.layout.views[1:], totals[1:], strict=True):
            units[view] *= OTHER_VIEWS * totals[0] / total if totals[0] and total else 1.0
        return units

    @cached_property
    def spread(self) -> float:
        """Total variance of the columns, each in its unit: half the mean squared distance."""
        return float(self._centred.var(axis=0) @ self.units) or 1.0

    def covariance(self, logarithms: Array) -> Covariance:
        """Return the covariance that hyper-parameters stand for."""
        amplitude, linear, _, relevance = np.exp(logarithms[:N_SHARED])
        each = np.exp(logarithms[N_SHARED:])
        return Covariance(
            amplitude=float(amplitude),
            relevance=relevance * each * self.units / (2.0 * self.spread),
            slopes=linear * (each if self.steep else 1.0) * self.units / self.spread,
            centre=self._centre,
        )

    def best(self, max_steps: int, start: Array | None = None) -> tuple[Array, float]:
        """Return the most plausible logarithms, (4 + d,), and their log density.

        Args:
            max_steps: Of the optimiser.
            start: (4 + d,) where it begins; None is the mean of the prior.
        """
        if start is None:
            start = np.concatenate([PRIOR_MEAN, np.zeros(self.rows.shape[1])])
        found = minimize(
            self.cost_and_gradient,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=[(-FURTHEST, FURTHEST)] * len(start),
            options={"maxiter": max_steps},
        )
        return np.asarray(found.x), -float(found.fun)

    def cost_and_gradient(self, logarithms: Array) -> tuple[float, Array]:
        """Return the negative log density at (4 + d,) logarithms, and its gradient."""
        covariance = self.covariance(logarithms)
        near, slope = matern(squared_distances(self._centred, self._centred, covariance.relevance))
        amplitude, noise = np.exp(logarithms[[0, 2]])
        linear = (self._centred * covariance.slopes) @ self._centred.T
        total = amplitude * near + linear
        total[np.diag_indices_from(total)] += noise + JITTER
        factor, failed = lapack.dpotrf(total, lower=1, clean=1)
        if failed:
            return REFUSED, np.zeros_like(logarithms)
        weights = cho_solve((factor, True), self.values, check_finite=False)
        inverse = lapack.dpotri(factor, lower=1)[0]
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        pull = 0.5 * (inverse - np.outer(weights, weights))
        cost = 0.5 * float(self.values @ weights) + float(np.log(np.diag(factor)).sum())
        cost += 0.5 * len(self.values) * np.log(2.0 * np.pi)
        gradient = np.empty_like(logarithms)
        gradient[0] = amplitude * (pull * near).sum()
        gradient[1] = (pull * linear).sum()
        gradient[2] = noise * np.trace(pull)
        gradient[N_SHARED:] = self._relevance_gradient(
            amplitude * pull * slope, covariance.relevance
        )
        gradient[3] = gradient[N_SHARED:].sum()
        if self.steep:
            along = (self._centred * (pull @ self._centred)).sum(axis=0)
            gradient[N_SHARED:] += covariance.slopes * along
        return self._with_prior(cost, gradient, logarithms)

    def _relevance_gradient(self, pull: Array, relevance: Array) -> Array:
        """Return (d,) sums over pairs of `pull` times the squared difference in each column."""
        rows = self._centred
        own = 2.0 * (pull.sum(axis=1) @ rows**2)
        return np.asarray(relevance * (own - 2.0 * (rows * (pull @ rows)).sum(axis=0)))

    def _with_prior(self, cost: float, gradient: Array, at: Array) -> tuple[float, Array]:
        shared = (at[:N_SHARED] - PRIOR_MEAN) / PRIOR_STD
        each = at[N_SHARED:]
        pull = self._pull(each)
        gradient[:N_SHARED] += shared / PRIOR_STD
        gradient[N_SHARED:] += pull
        return cost + 0.5 * float(shared @ shared + each @ pull), gradient

    def _pull(self, each: Array) -> Array:
        """Return (d,) columns' log relevances times the inverse of their prior's covariance."""
        pull = each / self.shrinkage**2
        if self.layout.groups is not None:
            pull -= (self._discount * np.bincount(self.layout.groups, each))[self.layout.groups]
        for view in self.layout.views:
            # What all of them have in common is cheap.
            lone = self._lone[view]
            common = float(lone @ each[view]) / (1.0 / VIEW_STD**2 + float(lone.sum()))
            pull[view] -= common * lone
        return pull

    @cached_property
    def _discount(self) -> Array:
        """(groups,): what the prior's inverse has off its diagonal, for columns of one group."""
        assert self.layout.groups is not None
        own, common = self.shrinkage**2, GROUP_STD**2
        return np.asarray(common / (own * (own + np.bincount(self.layout.groups) * common)))

    @cached_property
    def _lone(self) -> Array:
        """(d,) sums over the rows of the prior's inverse, views apart."""
        if self.layout.groups is None:
            return np.full(self.rows.shape[1], self.shrinkage**-2)
        sizes = np.bincount(self.layout.groups)[self.layout.groups]
        return np.asarray(1.0 / (self.shrinkage**2 + sizes * GROUP_STD**2))
