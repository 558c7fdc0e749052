"""Metrics against scikit-learn, numpy and counts by hand."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, jaccard_score

from niwaki.tasks.metrics import MAE, RMSE, Accuracy, MeanIoU, Metric
from niwaki.tasks.statistics import class_statistics, value_statistics


def value_of(metric: Metric[Any], *batches: tuple[NDArray[Any], NDArray[Any]]) -> float:
    accumulator = metric.accumulator()
    for outputs, targets in batches:
        accumulator.update(outputs, targets)
    return accumulator.value()


def one_hot(labels: NDArray[Any], n_classes: int) -> NDArray[np.float32]:
    return np.moveaxis(np.eye(n_classes, dtype=np.float32)[labels], -1, 1)


@pytest.fixture
def masks() -> tuple[NDArray[Any], NDArray[Any]]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(12, 5, 6, 7)), rng.integers(5, size=(12, 6, 7))


def test_accuracy_is_that_of_scikit_learn(masks: tuple[NDArray[Any], NDArray[Any]]) -> None:
    outputs, targets = masks
    expected = accuracy_score(targets.ravel(), outputs.argmax(axis=1).ravel())
    assert value_of(Accuracy(), masks) == pytest.approx(expected)


def test_miou_is_that_of_scikit_learn(masks: tuple[NDArray[Any], NDArray[Any]]) -> None:
    outputs, targets = masks
    predicted = outputs.argmax(axis=1).ravel()
    expected = jaccard_score(targets.ravel(), predicted, average="macro")
    assert value_of(MeanIoU(), masks) == pytest.approx(expected)


def test_miou_leaves_out_classes_that_are_nowhere() -> None:
    truth = np.array([[[0, 0], [1, 1]]])
    predicted = one_hot(np.array([[[0, 1], [1, 1]]]), 9)
    assert value_of(MeanIoU(), (predicted, truth)) == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_miou_counts_a_class_that_is_predicted_but_not_there() -> None:
    truth = np.array([[[0, 0], [0, 0]]])
    predicted = one_hot(np.array([[[0, 0], [0, 2]]]), 3)
    assert value_of(MeanIoU(), (predicted, truth)) == pytest.approx((3 / 4 + 0) / 2)


@pytest.mark.parametrize("metric", [MeanIoU(ignore_index=255), Accuracy(ignore_index=255)])
def test_ignored_pixels_change_nothing(
    metric: Metric[Any], masks: tuple[NDArray[Any], NDArray[Any]]
) -> None:
    outputs, targets = masks
    ignored = np.array(targets)
    ignored[:, :, 3:] = 255
    left = value_of(metric, (outputs[:, :, :, :3], targets[:, :, :3]))
    assert value_of(metric, (outputs, ignored)) == pytest.approx(left)


def test_class_255_of_a_large_classification_is_not_ignored() -> None:
    outputs = np.zeros((2, 300))
    assert value_of(Accuracy(), (outputs, np.array([0, 255]))) == 0.5


@pytest.mark.parametrize("metric", [RMSE(), MAE()])
def test_errors_are_those_of_numpy(metric: Metric[Any]) -> None:
    rng = np.random.default_rng(1)
    outputs, targets = rng.normal(size=(2, 9, 1, 4, 4)).astype(np.float32)
    difference = outputs.astype(np.float64) - targets
    expected = {"rmse": np.sqrt((difference**2).mean()), "mae": np.abs(difference).mean()}
    assert value_of(metric, (outputs, targets)) == pytest.approx(expected[metric.name])


@pytest.mark.parametrize("metric", [Accuracy(), MeanIoU()])
def test_batches_of_any_size_give_the_value_of_the_whole_for_classes(
    metric: Metric[Any], masks: tuple[NDArray[Any], NDArray[Any]]
) -> None:
    outputs, targets = masks
    pieces = [(outputs[:1], targets[:1]), (outputs[1:8], targets[1:8]), (outputs[8:], targets[8:])]
    assert value_of(metric, *pieces) == pytest.approx(value_of(metric, masks), abs=1e-12)


def test_batches_of_any_size_give_the_value_of_the_whole_for_numbers() -> None:
    outputs, targets = np.random.default_rng(2).normal(size=(2, 10, 3))
    pieces = [(outputs[:3], targets[:3]), (outputs[3:], targets[3:])]
    assert value_of(RMSE(), *pieces) == pytest.approx(value_of(RMSE(), (outputs, targets)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("metric", [Accuracy(), MeanIoU(), RMSE(), MAE()])
def test_one_output_that_is_not_finite_makes_the_value_nan(metric: Metric[Any], bad: float) -> None:
    outputs = np.zeros((4, 3), dtype=np.float32)
    targets = np.zeros(4, int) if metric.direction == "maximize" else np.zeros((4, 3))
    sound = outputs.copy()
    outputs[2, 1] = bad
    assert math.isnan(value_of(metric, (outputs, targets), (sound, targets)))


@pytest.mark.parametrize("metric", [Accuracy(), MeanIoU(), RMSE(), MAE()])
def test_nothing_seen_is_nan(metric: Metric[Any]) -> None:
    assert math.isnan(metric.accumulator().value())


def test_errors_refuse_outputs_that_would_broadcast() -> None:
    with pytest.raises(ValueError, match=r"\(4,\) must have the targets' shape \(4, 1\)"):
        value_of(RMSE(), (np.zeros(4), np.zeros((4, 1))))


@pytest.mark.parametrize("metric", [Accuracy(), MeanIoU()])
def test_chance_is_the_best_of_all_constant_labels(metric: Metric[Any]) -> None:
    labels = np.random.default_rng(3).choice(5, p=[0.1, 0.5, 0.0, 0.3, 0.1], size=(8, 10, 10))
    constants = [value_of(metric, (one_hot(np.full_like(labels, c), 5), labels)) for c in range(5)]
    assert metric.chance(class_statistics([labels], 5)) == pytest.approx(max(constants))


@pytest.mark.parametrize("metric", [RMSE(), MAE()])
def test_chance_is_the_best_of_all_constant_numbers(metric: Metric[Any]) -> None:
    targets = np.random.default_rng(4).gamma(1.0, 3.0, size=(500, 1)).astype(np.float32)
    constants = [
        value_of(metric, (np.full_like(targets, constant), targets))
        for constant in np.linspace(0.0, 10.0, 2001)
    ]
    assert metric.chance(value_statistics([targets])) == pytest.approx(min(constants), rel=1e-3)


@pytest.mark.parametrize("metric", [Accuracy(), MeanIoU(), RMSE(), MAE()])
def test_a_perfect_prediction_has_the_value_that_is_called_perfect(metric: Metric[Any]) -> None:
    labels = np.array([0, 2, 1, 2])
    outputs = one_hot(labels, 3)
    targets: NDArray[Any] = labels if metric.direction == "maximize" else outputs
    assert value_of(metric, (outputs, targets)) == metric.perfect


@pytest.mark.parametrize("metric", [Accuracy(), MeanIoU()])
def test_nothing_right_has_the_value_that_is_called_the_worst(metric: Metric[Any]) -> None:
    labels = np.array([0, 2, 1, 2])
    assert value_of(metric, (one_hot((labels + 1) % 3, 3), labels)) == metric.worst


@pytest.mark.parametrize(("metric", "chance"), [(Accuracy(), 0.1), (RMSE(), 0.4)])
def test_skill_is_one_if_perfect_and_zero_at_chance(metric: Metric[Any], chance: float) -> None:
    assert metric.skill(metric.perfect, chance) == 1.0
    assert metric.skill(chance, chance) == 0.0
    halfway = (metric.perfect + chance) / 2
    assert metric.skill(halfway, chance) == pytest.approx(0.5)


@pytest.mark.parametrize("metric", [RMSE(), MAE()])
def test_what_has_no_number_is_not_scored(metric: Metric[Any]) -> None:
    rng = np.random.default_rng(0)
    outputs, targets = rng.normal(size=(2, 8, 1, 3, 3))
    expected, found = metric.accumulator(), metric.accumulator()
    expected.update(outputs[:5], targets[:5])
    targets[5:] = np.nan
    found.update(outputs, targets)
    assert found.value() == pytest.approx(expected.value())
    nothing = metric.accumulator()
    nothing.update(outputs[5:], targets[5:])
    assert math.isnan(nothing.value())
