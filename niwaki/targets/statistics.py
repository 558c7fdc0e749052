"""Robust statistics of timings: lowest deciles, their ratios, bootstrap intervals."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.float64]

N_RESAMPLES = 300
_TAIL = 2.5  # percent on each side of a 95% interval
_DECILE = 10.0
_NORMAL_QUANTILE = 1.96


class Estimate(NamedTuple):
    """A number and its 95% interval."""

    value: float
    low: float
    high: float

    @property
    def relative_width(self) -> float:
        """Width of the interval over the number."""
        return (self.high - self.low) / self.value

    def widened(self, relative_sd: float) -> "Estimate":
        """Return the same number with one more independent source of doubt.

        Args:
            relative_sd: Its standard deviation over the number.
        """
        more = _NORMAL_QUANTILE * relative_sd * self.value
        low = self.value - math.hypot(self.value - self.low, more)
        return Estimate(self.value, low, self.value + math.hypot(self.high - self.value, more))


def undisturbed(times: Times) -> float:
    """Return what one run takes when nothing disturbs it: the lowest decile of the runs.

    Disturbance only ever adds time, so the lower part of the runs is the honest one. The decile
    leans on a tenth of them; the minimum would lean on one.

    Args:
        times: Of any shape, not empty, finite.
    """
    return float(np.percentile(times, _DECILE))


def ratio_of_runs(candidate: Times, reference: Times, rng: np.random.Generator) -> Estimate:
    """Return how many times longer the candidate takes, with its interval.

    The interval comes from drawing stretches of rounds again, because rounds near in time share
    what disturbed them. It cannot know of disturbances that outlast the session: see
    `protocol.SESSION_SPREAD`.

    Args:
        candidate: (rounds, runs per round of the candidate).
        reference: (rounds, runs per round of the reference), of the same rounds.
        rng: Draws the resamples.

    References:
        Politis and Romano, 1992, "A circular block-resampling procedure for stationary data".
    """
    rows = _resampled_rows(len(candidate), rng)
    ratios = _deciles(candidate, rows) / _deciles(reference, rows)
    low, high = np.percentile(ratios, (_TAIL, 100.0 - _TAIL))
    value = undisturbed(candidate) / undisturbed(reference)
    return Estimate(value, float(low), float(high))


def median_of_runs(times: Times, rng: np.random.Generator) -> Estimate:
    """Return the median of all runs, with its interval, as in `ratio_of_runs`.

    Args:
        times: (rounds, runs per round).
        rng: Draws the resamples.
    """
    rows = _resampled_rows(len(times), rng)
    medians = np.median(times[rows].reshape(N_RESAMPLES, -1), axis=1)
    low, high = np.percentile(medians, (_TAIL, 100.0 - _TAIL))
    return Estimate(float(np.median(times)), float(low), float(high))


def _resampled_rows(n_rounds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return (N_RESAMPLES, about n_rounds) rows, in stretches of sqrt(n_rounds), wrapped around."""
    length = round(n_rounds**0.5)
    starts = rng.integers(n_rounds, size=(N_RESAMPLES, -(-n_rounds // length), 1))
    return ((starts + np.arange(length)) % n_rounds).reshape(N_RESAMPLES, -1)


def _deciles(times: Times, rows: NDArray[np.int64]) -> Times:
    return np.percentile(times[rows].reshape(len(rows), -1), _DECILE, axis=1)
