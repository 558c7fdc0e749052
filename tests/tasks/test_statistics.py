"""Statistics of targets against numpy on the whole."""

from typing import Any

import numpy as np
import pytest

from niwaki.core.errors import DataError
from niwaki.tasks.metrics import MAE, RMSE
from niwaki.tasks.statistics import class_statistics, value_statistics


def test_moments_of_batches_are_those_of_the_whole() -> None:
    values = np.random.default_rng(0).normal((1e4, 0.0), (0.1, 5.0), (1000, 2)).astype(np.float32)
    found = value_statistics([values[:1], values[1:400], values[400:]])
    assert found.mean == pytest.approx(values.astype(np.float64).mean(axis=0), rel=1e-9)
    assert found.std == pytest.approx(values.astype(np.float64).std(axis=0), rel=1e-6)


def test_dense_targets_are_summed_up_by_channel() -> None:
    values = np.random.default_rng(1).random((6, 2, 4, 5)).astype(np.float32)
    found = value_statistics([values[:2], values[2:]])
    assert found.mean == pytest.approx(values.mean(axis=(0, 2, 3)), rel=1e-6)
    assert found.n_known.tolist() == [6 * 4 * 5] * 2


def test_a_large_batch_is_sampled_for_its_median() -> None:
    values = np.random.default_rng(2).gamma(2.0, size=(200_000, 1)).astype(np.float32)
    deviation = np.abs(values - np.median(values)).mean()
    assert value_statistics([values]).deviation == pytest.approx(deviation, rel=1e-3)


def test_rare_values_count_though_no_sample_may_hold_them() -> None:
    values = np.zeros((20, 1, 300, 300), np.float32)
    values[3, 0, 5, 5] = 1.0
    found = value_statistics([values[:10], values[10:]])
    assert MAE().chance(found) == pytest.approx(values.mean(dtype=np.float64))
    std = float(values.std(dtype=np.float64))
    assert found.smooth_deviation == pytest.approx((1 / std - 0.25) / values.size)


@pytest.mark.parametrize("size", [1e30, 1e-30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_moments_of_very_large_and_very_small_numbers_stay_exact(
    size: float, dtype: type[np.floating[Any]]
) -> None:
    values = (size * np.random.default_rng(0).normal(2.0, 1.0, (200, 2))).astype(dtype)
    found = value_statistics([values[:90], values[90:]])
    assert found.std == pytest.approx(values.astype(np.float64).std(axis=0), rel=1e-9)


def test_ignored_labels_are_not_counted() -> None:
    labels = np.array([0, 1, 1, 255, 255, 2])
    assert class_statistics([labels], 4, ignore_index=255).counts.tolist() == [1, 2, 1, 0]


@pytest.mark.parametrize(("labels", "constant"), [([0, 0, 0, 1], False), ([2, 2], True)])
def test_one_item_of_another_class_is_something_to_learn(labels: list[int], constant: bool) -> None:
    assert class_statistics([np.array(labels)], 3).constant is constant


def test_entropy_is_that_of_the_best_constant_prediction() -> None:
    statistics = class_statistics([np.array([0, 0, 0, 1])], 3)
    assert statistics.entropy == pytest.approx(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))


def test_no_label_that_counts_is_an_error() -> None:
    with pytest.raises(DataError, match="no labels to count"):
        class_statistics([np.full((2, 3), 255)], 4, ignore_index=255)


def test_no_targets_is_an_error() -> None:
    with pytest.raises(DataError, match="no targets"):
        value_statistics([])


def test_what_is_missing_counts_for_nothing() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(3.0, 2.0, (60, 2)).astype(np.float32)
    values[rng.random((60, 2)) < 0.3] = np.nan
    values[:20, 1] = np.nan  # a whole batch without
    found = value_statistics([values[:20], values[20:]])
    np.testing.assert_allclose(found.mean, np.nanmean(values, axis=0), rtol=1e-6)
    np.testing.assert_allclose(found.std, np.nanstd(values, axis=0), rtol=1e-6)
    chance = np.nanmean(np.abs(values - np.nanmedian(values, axis=0)))
    assert MAE().chance(found) == pytest.approx(chance, rel=1e-6)
    chance = np.sqrt(np.nanmean((values - np.nanmean(values, axis=0)) ** 2))
    assert RMSE().chance(found) == pytest.approx(chance, rel=1e-6)


@pytest.mark.parametrize("level", [0.3, 7e-20, -1e5])
def test_what_changes_by_rounding_alone_is_constant(level: float) -> None:
    rng = np.random.default_rng(0)
    rounded = level * (1.0 + 1e-7 * rng.integers(-1, 2, (50, 1)))
    found = value_statistics([np.hstack([rounded, rng.normal(size=(50, 1))]).astype(np.float32)])
    assert found.std[0] == 0.0 < found.std[1]
    assert value_statistics([rounded]).constant
    assert not value_statistics([level * (1.0 + 1e-5 * rng.normal(size=(50, 1)))]).constant


def test_an_output_without_any_number_counts_for_nothing() -> None:
    known = np.random.default_rng(0).normal(size=(60, 1))
    found = value_statistics([np.hstack([known, np.full((60, 1), np.nan)])])
    assert found.n_known.tolist() == [60, 0] and found.std[1] == 0.0
    for metric in (MAE(), RMSE()):
        assert metric.chance(found) == pytest.approx(metric.chance(value_statistics([known])))


def test_of_maps_with_few_numbers_the_numbers_are_sampled() -> None:
    values = np.full((2, 2, 200, 200), np.nan)
    values[:, 0, :2, 0] = [[1.0, 2.0], [3.0, 4.0]]
    assert MAE().chance(value_statistics([values])) == 1.0
