"""Median and quartiles over seeds: of numbers, and of curves."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_STEPS = 400  # of a curve that is drawn


def _quartiles(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lower and the upper quartile of (n, ...) values, along the first axis.

    Each is the value of a run, and as far from the median as the other is: where a quartile lies
    between two runs, it is the outer one. Nothing can be interpolated with what was not reached.
    """
    return (
        np.asarray(np.quantile(values, 0.25, axis=0, method="lower")),
        np.asarray(np.quantile(values, 0.75, axis=0, method="higher")),
    )


@dataclass(frozen=True)
class Spread:
    """A number over several runs.

    Attributes:
        median: Of those runs that have it; inf if half of them or more never came to it.
        low: Lower quartile, a value of one of the runs.
        high: Upper quartile, likewise.
    """

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Return the spread of at least one number; NaN for runs that have none."""
        known = [value for value in values if not math.isnan(value)]
        if not known:
            return cls(math.nan, math.nan, math.nan)
        low, high = _quartiles(np.array(known))
        return cls(float(np.median(known)), float(low), float(high))


@dataclass(frozen=True)
class Steps:
    """What a run had: `values[i]` from `at[i]` on, and 0 before the first.

    Attributes:
        at: (n,) never falling.
        values: (n,)
        end: Where the run is, or ended.
    """

    at: NDArray[np.float64]
    values: NDArray[np.float64]
    end: float

    def seen(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (k,) values at (k,) places; a run that ended keeps what it had."""
        padded = np.concatenate(([0.0], self.values))
        return np.asarray(padded[np.searchsorted(self.at, places, side="right")])


@dataclass(frozen=True)
class Band:
    """Median and quartiles of runs along what they spent, as steps.

    Attributes:
        at: (k,) rising from 0; the last is where the longest run is, or ended.
        median, low, high: (k,) from each place on.
    """

    at: NDArray[np.float64]
    median: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @classmethod
    def of(cls, runs: Sequence[Steps]) -> "Band":
        """Return the band of at least one run, with `MAX_STEPS` steps at most."""
        end = max(run.end for run in runs)
        places = np.unique(np.concatenate([[0.0, end], *(run.at for run in runs)]))
        seen = np.array([run.seen(places) for run in runs])
        lines = np.array([np.median(seen, axis=0), *_quartiles(seen)])
        # A step that changes nothing is none, but for the last place, where the lines end.
        kept = np.ones(len(places), dtype=bool)
        kept[1:-1] = (lines[:, 1:-1] != lines[:, :-2]).any(axis=0)
        rows = np.flatnonzero(kept)
        if len(rows) > MAX_STEPS:
            rows = rows[np.linspace(0, len(rows) - 1, MAX_STEPS).round().astype(np.int64)]
        return cls(places[rows], *lines[:, rows])
