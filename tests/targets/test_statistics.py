"""Ratios and their intervals, against what is known in closed form."""

import numpy as np
import pytest

from niwaki.targets.statistics import Estimate, median_of_runs, ratio_of_runs, undisturbed


def test_undisturbed_is_the_lowest_decile() -> None:
    assert undisturbed(np.arange(11.0)[::-1]) == 1.0


def test_disturbance_of_half_the_runs_is_not_felt() -> None:
    times = np.ones((10, 4))
    times[::2] = 50.0
    assert undisturbed(times) == 1.0


def test_the_ratio_of_exact_times_is_exact() -> None:
    ratio = ratio_of_runs(np.full((9, 1), 3.0), np.full((9, 6), 0.5), np.random.default_rng(0))
    assert ratio == (6.0, 6.0, 6.0)
    assert ratio.relative_width == 0.0


def test_drift_that_both_share_cancels() -> None:
    drift = np.linspace(1.0, 3.0, 40)[:, None]
    ratio = ratio_of_runs(2.0 * drift, drift, np.random.default_rng(0))
    assert ratio == pytest.approx((2.0, 2.0, 2.0))


def test_more_rounds_narrow_the_interval() -> None:
    rng = np.random.default_rng(0)
    few, many = (
        ratio_of_runs(rng.normal(2, 0.2, (n, 1)), rng.normal(1, 0.1, (n, 2)), rng).relative_width
        for n in (20, 500)
    )
    assert many < few / 2


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        estimate = ratio_of_runs(rng.normal(2, 0.1, (60, 1)), rng.normal(1, 0.05, (60, 2)), rng)
        covered += estimate.low <= 2.0 <= estimate.high
    # The deciles of both are 1.282 standard deviations below the mean: 2 is the truth.
    assert 0.85 <= covered / 200 <= 1.0


@pytest.mark.parametrize("n_rounds", [8, 16])
def test_few_rounds_hold_the_truth_as_often_as_many(n_rounds: int) -> None:
    rng = np.random.default_rng(0)
    ratios, medians = 0, 0
    for _ in range(200):
        candidate = rng.normal(2.0, 0.1, (n_rounds, 1)) + rng.normal(0.0, 0.02, (n_rounds, 4))
        reference = rng.normal(1.0, 0.01, (n_rounds, 8))
        ratio, median = ratio_of_runs(candidate, reference, rng), median_of_runs(candidate, rng)
        ratios += ratio.low <= (2.0 - 1.2816 * 0.102) / (1.0 - 1.2816 * 0.01) <= ratio.high
        medians += median.low <= 2.0 <= median.high
    assert min(ratios, medians) / 200 >= 0.9


def test_two_rounds_know_as_little_as_students_t_of_one_degree_of_freedom_says() -> None:
    found = median_of_runs(np.array([[4.0], [6.0]]), np.random.default_rng(0))
    # The resamples reach 1 to either side; the stretches are half of the rounds.
    assert found.high - 5.0 == pytest.approx(12.7062 / 1.96 * 2**0.5, rel=1e-4)


def test_no_interval_goes_below_zero() -> None:
    times = np.array([[1.0], [1.0], [50.0], [1.0]])
    median = median_of_runs(times, np.random.default_rng(0))
    assert median.low == 0.0
    assert median.widened(0.1).low == 0.0


def test_slow_drift_widens_the_interval() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(1.0, 0.05, (100, 1))
    slow = np.sort(noise, axis=0)  # the same values, but neighbours are alike
    alone = np.ones((100, 1))
    independent, drifting = (ratio_of_runs(times, alone, rng) for times in (noise, slow))
    assert drifting.relative_width > 1.5 * independent.relative_width


def test_the_relative_width_is_a_share_of_the_number() -> None:
    assert Estimate(4.0, 3.0, 6.0).relative_width == 0.75


def test_the_median_is_the_median() -> None:
    times = np.random.default_rng(1).exponential(1.0, (400, 2))
    estimate = median_of_runs(times, np.random.default_rng(0))
    assert estimate.value == np.median(times)
    assert estimate.low < np.log(2.0) < estimate.high


def test_doubts_add_up_in_squares() -> None:
    found = Estimate(2.0, 1.9706, 2.0392).widened(0.01)  # which alone would be 0.0392 either way
    assert found.value == 2.0
    assert found.low == pytest.approx(2.0 - 0.049)
    assert found.high == pytest.approx(2.0 + 0.0392 * 2**0.5)
