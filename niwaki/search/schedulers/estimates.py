"""The best guess at what every candidate is worth at full effort."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from niwaki.core.measurement import Trial
from niwaki.search.base import Problem
from niwaki.search.schedulers.learning_curve import Curve, fit_curve

# By fidelity, then by the name of each value that effort changes: from rung to rung up to the top.
Corrections: TypeAlias = Mapping[float, Mapping[str, Sequence[Curve]]]


def at_full(trial: Trial, corrections: Corrections) -> Trial:
    """Return the trial with its values as they are expected at full effort."""
    measurement = trial.measurement
    steps = corrections.get(measurement.fidelity, {})
    if not (measurement.complete and steps):
        return trial
    values = {
        name: float(_climbed(np.array([value]), steps.get(name, ()))[0][0])
        for name, value in measurement.values.items()
    }
    return replace(trial, measurement=replace(measurement, values=values))


@dataclass(frozen=True)
class Expected:
    """What n candidates are expected to be at full effort.

    Attributes:
        costs: (n, m) minimised; NaN where a value of an objective or a bound is missing.
        spreads: (n, m) standard deviations of their errors; 0 for what effort does not change, inf
            where nothing is known yet.
        violations: (n,) summed relative violations of the bounds, 0 where a bound's value is
            missing.
    """

    costs: NDArray[np.float64]
    spreads: NDArray[np.float64]
    violations: NDArray[np.float64]

    def of(self, rows: NDArray[np.int64]) -> "Expected":
        """Return some of the candidates."""
        return Expected(self.costs[rows], self.spreads[rows], self.violations[rows])


class Estimates:
    """Learns from candidates that were measured at two fidelities what more effort does.

    For each value that is wanted, and each step from one fidelity to the next, a curve is fitted to
    the candidates that were measured at both. What was promoted was promising, so that curves hold
    where they are needed; the worst are guessed less well. Fitting takes time in proportion to the
    pairs, and one more of many changes little: from 100 pairs on, a curve is that of the first so
    many as the two leading digits of their number say, whenever it is asked for.

    Args:
        problem: Its objectives and bounds, and those of its goals, say which values are wanted.

    Attributes:
        n_pairs: How many trials were of candidates measured before, at another fidelity.
    """

    def __init__(self, problem: Problem) -> None:
        self._names = problem.wanted
        self._trials: dict[str, dict[float, Trial]] = {}
        self._raw: dict[tuple[str, float], NDArray[np.float64]] = {}
        # Keys by two fidelities, rising, in the order in which both were known.
        self._pairs: dict[tuple[float, float], list[str]] = {}
        self._corrections: Corrections | None = None
        self.n_pairs = 0

    def tell(self, trials: Sequence[Trial]) -> None:
        """Take note of finished evaluations."""
        for trial in trials:
            key, fidelity = trial.candidate.key, trial.measurement.fidelity
            known = self._trials.setdefault(key, {})
            outdated = fidelity in known or fidelity not in (self._corrections or ())
            if fidelity not in known:
                for other in known:
                    both = self._pairs.setdefault((min(other, fidelity), max(other, fidelity)), [])
                    both.append(key)
                    outdated |= len(both) == _n_learned(len(both))
            known[fidelity] = trial
            self._raw[key, fidelity] = self._values(trial)
            self.n_pairs += len(known) > 1
            if outdated:
                self._corrections = None

    def knows(self, key: str) -> bool:
        """Whether anything was told of a candidate."""
        return key in self._trials

    def highest(self, key: str) -> Trial:
        """Return the trial of a candidate with the most effort."""
        known = self._trials[key]
        return known[max(known)]

    def all_at_full(self) -> list[Trial]:
        """Return one trial of each candidate, in the order in which they were first told."""
        return [at_full(self.highest(key), self.corrections) for key in self._trials]

    def expected(self, trials: Sequence[Trial], problem: Problem) -> Expected:
        """Return what candidates are expected to be, as `expected_by` does for one problem."""
        return self.expected_by([problem], trials)[0]

    def expected_by(self, problems: Sequence[Problem], trials: Sequence[Trial]) -> list[Expected]:
        """Return what candidates are expected to be, from trials that were told.

        Args:
            problems: Their objectives and bounds judge: that of all trials, or its goals'.
            trials: Of n candidates.
        """
        keys = [(trial.candidate.key, trial.measurement.fidelity) for trial in trials]
        values = np.array([self._raw[key] for key in keys]).reshape(-1, len(self._names))
        spreads = np.zeros_like(values)
        fidelities = np.array([fidelity for _, fidelity in keys])
        for fidelity, steps in self.corrections.items():
            rows = fidelities == fidelity
            for column, name in enumerate(self._names):
                climbed = _climbed(values[rows, column], steps.get(name, ()))
                values[rows, column], spreads[rows, column] = climbed
        return [self._judged(values, spreads, problem) for problem in problems]

    def _judged(
        self, values: NDArray[np.float64], spreads: NDArray[np.float64], problem: Problem
    ) -> Expected:
        signs = np.array([objective.sign for objective in problem.objectives])
        columns = [self._names.index(objective.name) for objective in problem.objectives]
        costs, violations = signs * values[:, columns], self._violations(values, problem)
        judged = [self._names.index(name) for name in problem.wanted]
        costs[np.isnan(values[:, judged]).any(axis=1)] = np.nan
        return Expected(costs, spreads[:, columns], violations)

    @property
    def corrections(self) -> Corrections:
        """What brings values of each fidelity to the scale of the full effort."""
        if self._corrections is None:
            self._corrections = self._fitted()
        return self._corrections

    def _values(self, trial: Trial) -> NDArray[np.float64]:
        """Return the wanted values in the user's direction; NaN where there is none."""
        values = trial.measurement.values if trial.measurement.complete else {}
        return np.array([values.get(name, np.nan) for name in self._names], dtype=np.float64)

    def _violations(self, values: NDArray[np.float64], problem: Problem) -> NDArray[np.float64]:
        violations = np.zeros(len(values))
        for bound in problem.bounds:
            violations += bound.violations(values[:, self._names.index(bound.name)])
        return violations

    def _fitted(self) -> Corrections:
        levels = sorted({level for known in self._trials.values() for level in known})
        corrections: dict[float, Mapping[str, Sequence[Curve]]] = {
            level: {} for level in levels[-1:]
        }
        for low, high in reversed(list(pairwise(levels))):
            first = self._curves(low, high)
            steps = {n: (*first.get(n, ()), *corrections[high].get(n, ())) for n in self._names}
            corrections[low] = {name: curves for name, curves in steps.items() if curves}
        return corrections

    def _curves(self, low: float, high: float) -> dict[str, tuple[Curve, ...]]:
        """Return the curve from one fidelity to the next, of each value that effort changes."""
        both = self._pairs.get((low, high), [])
        both = both[: _n_learned(len(both))]
        shape = (-1, len(self._names))
        x = np.array([self._raw[key, low] for key in both]).reshape(shape)
        y = np.array([self._raw[key, high] for key in both]).reshape(shape)
        fine = np.isfinite(x) & np.isfinite(y)
        curves = {
            name: fit_curve(x[fine[:, column], column], y[fine[:, column], column])
            for column, name in enumerate(self._names)
        }
        return {name: (curve,) for name, curve in curves.items() if curve is not None}


def _n_learned(n_pairs: int) -> int:
    """Return how many of the first pairs are learned from."""
    step: int = 10 ** max(0, len(str(n_pairs)) - 2)
    return n_pairs // step * step


def _climbed(
    values: NDArray[np.float64], steps: Sequence[Curve]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (n,) values after all steps, and (n,) spreads, errors of steps being independent."""
    spreads = np.zeros_like(values)
    for curve in steps:
        spreads = np.hypot(curve.slope(values) * spreads, curve.spread(values))
        values = curve.mean(values)
    return values, spreads
