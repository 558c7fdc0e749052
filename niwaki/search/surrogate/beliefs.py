"""What is believed of one value of candidates that were not measured."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from niwaki.predictors.gaussian.column import GaussianColumn, fit_column
from niwaki.predictors.gaussian.layout import UNKNOWN, Layout
from niwaki.search.surrogate.censored import imputed, plateau
from niwaki.search.surrogate.warps import Straight, Warp, warps_for

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
Fit: TypeAlias = Callable[..., GaussianColumn]

LEAST_LIKELY = 0.05  # of a scale, relative to the likeliest one, to be looked at
FEW_STEPS = 10  # of the optimiser, from hyper-parameters of another scale
_CERTAIN = 1e-9  # standard deviation of what is known, relative to its size


@dataclass(frozen=True)
class Normal:
    """A normal belief about the warped cost of each of n candidates.

    Attributes:
        warp: From the cost.
        mean: (n,) of the warped cost.
        std: (n,) of the warped cost, above 0.
    """

    warp: Warp
    mean: Array
    std: Array

    def levelled(self) -> "Normal":
        """Return the belief with one standard deviation for all: what is typical of them."""
        return replace(self, std=np.full_like(self.std, np.median(self.std)))

    def quantile(self, n_std: float) -> Array:
        """Return (n,) costs so many standard deviations above the median."""
        return self.warp.unwarped(self.mean + n_std * self.std)

    def chance_below(self, limit: float) -> Array:
        """Return (n,) probabilities that the cost is at most `limit`."""
        return np.asarray(ndtr((self.warp.edge(limit) - self.mean) / self.std))


@dataclass(frozen=True)
class Belief:
    """A belief about the cost of each of n candidates: a mixture.

    Attributes:
        parts: One or more.
        weights: Of the parts; their sum is 1.
    """

    parts: tuple[Normal, ...]
    weights: tuple[float, ...] = (1.0,)

    @classmethod
    def certain(cls, costs: Array) -> "Belief":
        """Return the belief about (n,) costs that are known."""
        std = _CERTAIN * np.maximum(np.abs(costs), 1e-30)
        return cls((Normal(Straight(), costs, std),))

    def __len__(self) -> int:
        return len(self.parts[0].mean)

    def levelled(self) -> "Belief":
        """Return the belief with one uncertainty for all candidates."""
        return replace(self, parts=tuple(part.levelled() for part in self.parts))

    def at(self, rows: Rows) -> "Belief":
        """Return the belief about some of the candidates."""
        parts = (replace(part, mean=part.mean[rows], std=part.std[rows]) for part in self.parts)
        return replace(self, parts=tuple(parts))

    def quantile(self, n_std: float = 0.0) -> Array:
        """Return (n,) costs so many standard deviations above the median, by the mean part."""
        return self._mixed([part.quantile(n_std) for part in self.parts])

    def expected_gain(self, thresholds: Array) -> Array:
        """Return (n, k): by how much the cost is expected below each of (k,) thresholds."""
        gains = [part.warp.expected_gain(thresholds, part.mean, part.std) for part in self.parts]
        return self._mixed(gains)

    def chance_below(self, limit: float) -> Array:
        """Return (n,) probabilities that the cost is at most `limit`."""
        return self._mixed([part.chance_below(limit) for part in self.parts])

    def _mixed(self, parts: list[Array]) -> Array:
        pairs = zip(self.weights, parts, strict=True)
        return np.asarray(sum(weight * part for weight, part in pairs))


@dataclass(frozen=True)
class Warped:
    """A warp, and a Gaussian process of the warped costs.

    Attributes:
        warp: From the cost.
        column: Of the warped costs.
        edge: Warped costs from here on are only known to be beyond it.
    """

    warp: Warp
    column: GaussianColumn
    edge: float = np.inf

    def given(self, features: Array, costs: Array) -> "Warped":
        """Return the same, after other (n, d) features and (n,) costs."""
        # A cost may lie beyond what the warp was made for: it counts as just within, on its side.
        warped = self.warp.warped(costs)
        least = self.column.shift - 6.0 * self.column.scale
        most = self.column.shift + 6.0 * self.column.scale
        bounded = costs if self.warp == Straight() else np.clip(warped, least, most)
        taken = imputed(self.column, features, bounded, self.edge)
        return replace(self, column=self.column.given(features, taken))

    def belief(self, features: Array) -> Normal:
        """Return what is believed about the costs of (n, d) rows.

        The spread of what features do not explain is part of it: the next measurement has its
        share of that too, and a table of deterministic costs consists of it in places.
        """
        mean, std = self.column.predict(features)
        return Normal(self.warp, mean, np.hypot(std, self.column.noise_std))

    def evidence(self, costs: Array) -> float:
        """Return the log density of the (n,) costs that it was learned from."""
        slope = float(self.warp.log_slope(costs).mean())
        return self.column.log_evidence + self.column.n_judged * slope


@dataclass(frozen=True)
class Learned:
    """What was learned of one value, on one or more scales.

    Attributes:
        parts: One or more.
        weights: How likely each of them is; their sum is 1.
    """

    parts: tuple[Warped, ...]
    weights: tuple[float, ...] = (1.0,)

    def given(self, features: Array, costs: Array) -> "Learned":
        """Return the same, after other (n, d) features and (n,) costs."""
        return replace(self, parts=tuple(part.given(features, costs) for part in self.parts))

    def belief(self, features: Array) -> Belief:
        """Return what is believed about the costs of (n, d) rows."""
        return Belief(tuple(part.belief(features) for part in self.parts), self.weights)


def learn(
    features: Array,
    costs: Array,
    layout: Layout = UNKNOWN,
    *,
    has_plateaus: bool = True,
) -> Learned:
    """Learn (n,) costs from (n, d) features under each transform, weighed by its evidence.

    With few rows several are likely; a transform that squeezes the good end, and so leaves little
    room beyond the best, is not believed alone before the rows say so. Where it is known which
    features are of one decision, each transform is tried twice: with slopes that are alike, and
    with steeper ones of the decisions that matter, as latencies have.

    Args:
        features: (n, d) of what was measured.
        costs: (n,) finite.
        layout: That of `Catalogue.layout`.
        has_plateaus: Whether costs at a plateau may lie anywhere beyond its edge.

    References:
        Hoeting, Madigan, Raftery and Volinsky, Statistical Science 1999, "Bayesian model averaging:
        a tutorial", eq. 1 to 3.
    """
    warps = warps_for(costs)
    kinds = (False,) if layout.groups is None else (False, True)
    fits = [partial(fit_column, features, layout=layout, steep=steep) for steep in kinds]
    tried = [(fit, part) for fit in fits for part in _on_each_scale(fit, costs, warps)]
    evidence = np.array([part.evidence(costs) for _, part in tried])
    likely = np.exp(evidence - evidence.max())
    likely = np.where(likely >= LEAST_LIKELY, likely, 0.0)
    kept = np.flatnonzero(likely)
    edge = plateau(costs, warps) if has_plateaus else np.inf

    def censored(fit: Fit, part: Warped) -> Warped:
        if np.isinf(edge):
            return part
        beyond = part.warp.edge(edge)
        values = imputed(part.column, features, part.warp.warped(costs), beyond)
        column = fit(values, max_steps=FEW_STEPS, start=part.column.logarithms)
        return Warped(part.warp, column, beyond)

    weights = likely[kept] / likely.sum()
    return Learned(tuple(censored(*tried[row]) for row in kept), tuple(weights.tolist()))


def _on_each_scale(fit: Fit, costs: Array, warps: Sequence[Warp]) -> list[Warped]:
    straight, *bent = warps
    first = Warped(straight, fit(straight.warped(costs)))
    # What matters on one scale mostly matters on another: a few steps lead from there.
    start = first.column.logarithms
    others = [fit(warp.warped(costs), max_steps=FEW_STEPS, start=start) for warp in bent]
    return [first, *(Warped(warp, column) for warp, column in zip(bent, others, strict=True))]
