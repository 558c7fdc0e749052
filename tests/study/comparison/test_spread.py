"""Medians and quartiles of numbers, and of curves at every place."""

from math import inf, nan

import numpy as np
import pytest

from niwaki.study.comparison.spread import MAX_STEPS, Band, Spread, Steps


def test_quartiles_are_values_of_runs() -> None:
    assert Spread.of([5.0, 1.0, 3.0, 2.0, 4.0]) == Spread(3.0, 2.0, 4.0)
    assert Spread.of([4.0, 1.0, 3.0, 2.0]) == Spread(2.5, 1.0, 4.0)
    assert Spread.of([7.0]) == Spread(7.0, 7.0, 7.0)


@pytest.mark.parametrize(
    ("values", "median"), [([1.0, 2.0, inf], 2.0), ([1.0, inf], inf), ([1.0, inf, inf], inf)]
)
def test_what_half_of_the_runs_never_reached_has_no_median(
    values: list[float], median: float
) -> None:
    assert Spread.of(values).median == median


@pytest.mark.parametrize("n", range(1, 14))
def test_quartiles_are_as_far_from_the_median_below_as_above(n: int) -> None:
    found = Spread.of(list(range(n)))
    assert found.median - found.low == found.high - found.median
    mirrored = Spread.of([-float(value) for value in range(n)])
    assert (mirrored.low, mirrored.high) == (-found.high, -found.low)


def test_a_quartile_that_was_not_reached_is_infinite() -> None:
    assert Spread.of([1.0, 2.0, inf]) == Spread(2.0, 1.0, inf)
    assert Spread.of([1.0, inf, inf]) == Spread(inf, 1.0, inf)
    assert Spread.of([inf, inf]) == Spread(inf, inf, inf)


def test_runs_that_have_no_number_are_left_out() -> None:
    assert Spread.of([nan, 2.0]) == Spread(2.0, 2.0, 2.0)
    assert np.isnan(Spread.of([nan]).median)


def steps(seed: int, n: int) -> Steps:
    rng = np.random.default_rng(seed)
    at = np.sort(rng.integers(1, 4 * n, n)).astype(np.float64)
    return Steps(at, np.sort(rng.random(n)).round(1), float(at[-1] + rng.integers(0, 3)))


def seen_by_hand(run: Steps, place: float) -> float:
    had = [value for at, value in zip(run.at, run.values, strict=True) if at <= place]
    return float(had[-1]) if had else 0.0


def test_a_band_is_right_at_every_place() -> None:
    runs = [steps(seed, 12) for seed in range(5)]
    band = Band.of(runs)
    end = max(run.end for run in runs)
    assert (band.at[0], band.at[-1]) == (0.0, end)
    for place in np.arange(0.0, end + 0.5, 0.5):
        expected = Spread.of([seen_by_hand(run, place) for run in runs])
        row = int(np.searchsorted(band.at, place, side="right")) - 1
        found = Spread(*(float(line[row]) for line in (band.median, band.low, band.high)))
        assert found == expected, place


def test_a_band_of_one_run_is_its_line() -> None:
    band = Band.of([steps(0, 9)])
    assert (band.median == band.low).all() and (band.median == band.high).all()


def test_a_run_that_has_nothing_is_a_line_at_zero() -> None:
    empty = np.zeros(0)
    band = Band.of([Steps(empty, empty, 0.0)])
    assert (band.at.tolist(), band.median.tolist()) == ([0.0], [0.0])


def test_long_bands_keep_their_ends_and_no_more_steps_than_can_be_seen() -> None:
    at = np.arange(1.0, 5001.0)
    band = Band.of([Steps(at, at / 5000, 5000.0)])
    assert len(band.at) == MAX_STEPS
    assert (band.at[0], band.at[-1], band.median[-1]) == (0.0, 5000.0, 1.0)
    assert (np.diff(band.at) > 0).all()
