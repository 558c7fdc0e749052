"""Observers, against numpy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from niwaki.compress.quantization.observers import (
    OBSERVERS,
    Histogram,
    MinMaxObserver,
    MseObserver,
    PercentileObserver,
    new_observer,
)
from niwaki.core.errors import ConfigError, DataError

RNG = np.random.default_rng(0)
values = st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=30)


@given(st.lists(values, min_size=1, max_size=6))
@settings(max_examples=60)
def test_a_histogram_counts_the_same_in_any_number_of_batches(batches: list[list[float]]) -> None:
    in_batches, at_once = Histogram(64), Histogram(64)
    for batch in batches:
        in_batches.add(np.array(batch, np.float32))
    at_once.add(np.concatenate(batches).astype(np.float32))
    # The width never shrinks, and both have seen the same range in the end.
    assert in_batches.width == at_once.width
    np.testing.assert_array_equal(in_batches.counts, at_once.counts)
    np.testing.assert_array_equal(in_batches.edges, at_once.edges)


def test_a_histogram_counts_as_numpy_does() -> None:
    histogram = Histogram(256)
    sample = RNG.normal(0.0, 1.0, 10_000).astype(np.float32)
    histogram.add(sample)
    expected, _ = np.histogram(sample.astype(np.float64), bins=histogram.edges)
    # numpy's last bin holds its right end as well.
    np.testing.assert_array_equal(histogram.counts, expected)


def test_a_histogram_stays_small_while_the_range_grows() -> None:
    histogram = Histogram(128)
    for magnitude in (1e-6, 1.0, 1e6, 1e-3):
        histogram.add(RNG.normal(0.0, magnitude, 100).astype(np.float32))
        assert len(histogram.counts) <= 128
    assert histogram.counts.sum() == 400


@pytest.mark.parametrize("name", list(OBSERVERS))
def test_every_observer_finds_the_range_of_uniform_values(name: str) -> None:
    observer = new_observer(name)
    for _ in range(4):
        observer.update(RNG.uniform(-1.0, 2.0, (8, 3, 50, 50)).astype(np.float32))
    assert observer.range() == pytest.approx((-1.0, 2.0), abs=0.01)


@pytest.mark.parametrize("name", list(OBSERVERS))
def test_zeros_have_a_range(name: str) -> None:
    observer = new_observer(name)
    observer.update(np.zeros((2, 3), np.float32))
    assert observer.range() == pytest.approx((0.0, 0.0), abs=1e-9)


@pytest.mark.parametrize("name", list(OBSERVERS))
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(name: str, value: float) -> None:
    with pytest.raises(DataError, match="NaN or infinite"):
        new_observer(name).update(np.array([0.0, value], np.float32))


@pytest.mark.parametrize("name", list(OBSERVERS))
def test_nothing_observed_is_an_error(name: str) -> None:
    with pytest.raises(DataError, match="nothing was observed"):
        new_observer(name).range()


@pytest.mark.parametrize("name", list(OBSERVERS))
def test_a_batch_without_values_says_nothing(name: str) -> None:
    observer, empty = new_observer(name), np.zeros((0, 4), np.float32)
    observer.update(empty)
    with pytest.raises(DataError, match="nothing was observed"):
        observer.range()
    observer.update(np.array([-1.0, 2.0], np.float32))
    before = observer.range()
    observer.update(empty)
    assert observer.range() == before


@pytest.mark.parametrize("name", ["minmax", "percentile"])
@pytest.mark.parametrize("value", [4.0, -4.0])
def test_a_constant_is_its_own_range(name: str, value: float) -> None:
    observer = new_observer(name)
    observer.update(np.full(3, value, np.float32))
    assert observer.range() == (value, value)


def test_an_unknown_observer_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'percentile'"):
        new_observer("percentil")


def test_min_max_keeps_the_extremes_of_all_batches() -> None:
    observer = MinMaxObserver()
    for batch in ([1.0, 2.0], [-3.0, 0.0], [0.5, 0.5]):
        observer.update(np.array(batch, np.float32))
    assert observer.range() == (-3.0, 2.0)


def test_a_percentile_is_numpys() -> None:
    sample = RNG.exponential(1.0, 200_000).astype(np.float32)
    observer = PercentileObserver(99.9)
    for part in np.split(sample, 10):
        observer.update(part)
    low, high = observer.range()
    assert high == pytest.approx(float(np.percentile(sample, 99.9)), rel=0.01)
    assert low == pytest.approx(float(np.percentile(sample, 0.1)), abs=0.01)


def test_a_percentile_must_be_one() -> None:
    with pytest.raises(ConfigError, match="between 50 and 100"):
        PercentileObserver(0.9999)


def _mean_squared_error(sample: NDArray[np.float32], low: float, high: float) -> float:
    step = (high - low) / 255
    zero = np.rint(-low / step)
    return float(((np.clip(np.rint(sample / step), -zero, 255 - zero) * step - sample) ** 2).mean())


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_mse_range_is_as_good_as_the_best_of_a_fine_scan(sign: float) -> None:
    sample = np.maximum(RNG.normal(0.0, 1.0, 100_000), 0.0).astype(np.float32)
    sample[:3] = 20.0
    observer = MseObserver()
    observer.update(np.float32(sign) * sample)
    low, high = sorted(sign * end for end in observer.range())
    best = min(_mean_squared_error(sample, 0.0, h) for h in np.linspace(1.0, 20.0, 400))
    assert low == 0.0
    assert _mean_squared_error(sample, low, high) <= 1.05 * best


def test_the_mse_range_leaves_out_what_is_rare_at_either_end() -> None:
    sample = RNG.normal(0.0, 1.0, 100_000).astype(np.float32)
    sample[0], sample[1] = -12.0, 16.0
    observer = MseObserver()
    observer.update(sample)
    ends = np.linspace(3.0, 16.0, 27)
    best = min(_mean_squared_error(sample, -low, high) for low in ends for high in ends)
    found = _mean_squared_error(sample, *observer.range())
    assert found <= 1.05 * best < 0.9 * _mean_squared_error(sample, -12.0, 16.0)


def test_the_bin_that_begins_at_zero_stands_for_zero() -> None:
    histogram = Histogram(16)
    histogram.add(np.array([-3.0, 0.0, 0.0, 4.0], np.float32))
    at = int(np.flatnonzero(histogram.edges == 0.0)[0])
    middles = (histogram.edges[1:] + histogram.edges[:-1]) / 2
    assert histogram.centres[at] == 0.0 and histogram.counts[at] == 2
    np.testing.assert_array_equal(np.delete(histogram.centres, at), np.delete(middles, at))
    positive = Histogram(16)
    positive.add(np.array([3.0, 4.0], np.float32))
    assert (positive.centres > positive.edges[:-1]).all()
