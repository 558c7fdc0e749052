"""The best guess at what every candidate is worth at full effort."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from niwaki.core.measurement import Measurement, Trial
from niwaki.search.base import Problem
from niwaki.search.schedulers.line_fit import SAME, Line, fit_line


@dataclass(frozen=True)
class Correction:
    """Brings values of one fidelity to the scale of the full effort.

    Attributes:
        lines: By name of the value; a value without one needs no correction.
    """

    lines: Mapping[str, Line]

    def of(self, measurement: Measurement) -> Measurement:
        """Return the measurement with its values as they are expected at full effort."""
        changed = {
            name: line(measurement.values[name])
            for name, line in self.lines.items()
            if name in measurement.values
        }
        return replace(measurement, values={**measurement.values, **changed})

    def spread(self, name: str) -> float:
        """Return the standard deviation of a value's error; inf if nothing is known of it."""
        return self.lines[name].spread if name in self.lines else 0.0


Corrections: TypeAlias = Mapping[float, Correction]


def at_full(trial: Trial, corrections: Corrections) -> Trial:
    """Return the trial with its values as they are expected at full effort."""
    measurement = trial.measurement
    if not measurement.complete or measurement.fidelity not in corrections:
        return trial
    return replace(trial, measurement=corrections[measurement.fidelity].of(measurement))


class Estimates:
    """Learns from candidates that were measured at two fidelities what more effort does.

    For each value that is wanted, and each step from one fidelity to the next, a line is fitted to
    the candidates that were measured at both. What was promoted was promising, so that lines hold
    where they are needed; the worst are guessed less well.

    Args:
        problem: Its objectives and bounds say which values are wanted.
    """

    def __init__(self, problem: Problem) -> None:
        self._names = tuple(
            dict.fromkeys([o.name for o in problem.objectives] + [b.name for b in problem.bounds])
        )
        self._trials: dict[str, dict[float, Trial]] = {}
        self._corrections: Corrections | None = None
        self.n_pairs = 0

    def tell(self, trials: Sequence[Trial]) -> None:
        """Take note of finished evaluations."""
        for trial in trials:
            known = self._trials.setdefault(trial.candidate.key, {})
            known[trial.measurement.fidelity] = trial
            self.n_pairs += len(known) > 1
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

    @property
    def corrections(self) -> Corrections:
        """What brings values of each fidelity to the scale of the full effort."""
        if self._corrections is None:
            self._corrections = self._fitted()
        return self._corrections

    def _fitted(self) -> Corrections:
        levels = sorted({level for known in self._trials.values() for level in known})
        corrections = {level: Correction({}) for level in levels[-1:]}
        for low, high in reversed(list(pairwise(levels))):
            steps = {name: self._line(name, low, high) for name in self._names}
            further = corrections[high].lines
            lines = {n: _chained(line, further.get(n, SAME)) for n, line in steps.items()}
            corrections[low] = Correction({n: line for n, line in lines.items() if line != SAME})
        return corrections

    def _line(self, name: str, low: float, high: float) -> Line:
        pairs = [
            (known[low].measurement.values[name], known[high].measurement.values[name])
            for known in self._trials.values()
            if low in known and high in known and _have(name, known[low], known[high])
        ]
        x, y = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
        return fit_line(x, y)


def _have(name: str, *trials: Trial) -> bool:
    return all(
        trial.measurement.complete and np.isfinite(trial.measurement.values.get(name, np.nan))
        for trial in trials
    )


def _chained(first: Line, second: Line) -> Line:
    """Return one line for two steps, their errors independent."""
    spread = float(np.hypot(second.slope * first.spread, second.spread))
    intercept = second.intercept + second.slope * first.intercept
    return Line(intercept, second.slope * first.slope, spread)
