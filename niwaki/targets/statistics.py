"""Robust statistics of timings: lowest deciles, their ratios, bootstrap intervals."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

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
        """Return the same number, of a time, with one more independent source of doubt.

        Args:
            relative_sd: Its standard deviation over the number.
        """
        more = _NORMAL_QUANTILE * relative_sd * self.value
        low = max(0.0, self.value - math.hypot(self.value - self.low, more))
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
        candidate: (rounds, runs per round of the candidate), at least 2 rounds.
        reference: (rounds, runs per round of the reference), of the same rounds.
        rng: Draws the resamples.

    References:
        Politis and Romano, 1992, "A circular block-resampling procedure for stationary data"; the
        percentiles of the resamples are widened, see `_estimate`.
    """
    rows = _resampled_rows(len(candidate), rng)
    ratios = _deciles(candidate, rows) / _deciles(reference, rows)
    return _estimate(undisturbed(candidate) / undisturbed(reference), ratios, len(candidate))


def median_of_runs(times: Times, rng: np.random.Generator) -> Estimate:
    """Return the median of all runs, with its interval, as in `ratio_of_runs`.

    Args:
        times: (rounds, runs per round), at least 2 rounds.
        rng: Draws the resamples.
    """
    rows = _resampled_rows(len(times), rng)
    medians = np.median(times[rows].reshape(N_RESAMPLES, -1), axis=1)
    return _estimate(float(np.median(times)), medians, len(times))


def _estimate(value: float, resampled: Times, n_rounds: int) -> Estimate:
    """Return a number with an interval as wide on both sides as the resamples are on the wider.

    Percentiles alone hold too little: no resample is faster than the fastest run, stretches of
    rounds spread less than rounds do, by 1 - length / rounds, and few rounds know little of how far
    they spread, which Student's t allows for. On recorded runs of three models, 4 to 8 rounds of
    which were drawn, percentiles held the truth in 51 to 87% of the cases, and this in 89 to 99%.
    """
    low, high = np.percentile(resampled, (_TAIL, 100.0 - _TAIL))
    lost = 1.0 - _length_of_stretches(n_rounds) / n_rounds
    few = float(stdtrit(n_rounds - 1, 1.0 - _TAIL / 100.0)) / _NORMAL_QUANTILE
    reach = max(value - float(low), float(high) - value) * few / lost**0.5
    return Estimate(value, max(0.0, value - reach), value + reach)


def _length_of_stretches(n_rounds: int) -> int:
    return round(math.sqrt(n_rounds))


def _resampled_rows(n_rounds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return (N_RESAMPLES, about n_rounds) rows, in stretches, wrapped around."""
    length = _length_of_stretches(n_rounds)
    starts = rng.integers(n_rounds, size=(N_RESAMPLES, -(-n_rounds // length), 1))
    return ((starts + np.arange(length)) % n_rounds).reshape(N_RESAMPLES, -1)


def _deciles(times: Times, rows: NDArray[np.int64]) -> Times:
    return np.percentile(times[rows].reshape(len(rows), -1), _DECILE, axis=1)
