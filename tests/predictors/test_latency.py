"""Latency predictors on devices that are made up: time is limited by work, memory, or starting."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from niwaki.core.randomness import stream
from niwaki.predictors.costs import LayerCosts, cost_features
from niwaki.predictors.latency import latency_predictor, transferred_latency_predictor
from niwaki.predictors.quality import quality

N_LAYERS = 12
WIDTHS = np.array([16.0, 32.0, 64.0])


def networks(n: int) -> tuple[NDArray[np.float64], LayerCosts]:
    """Return one-hot decisions of n networks, zeros for absent layers, and their costs."""
    rng = stream(0, "networks")
    chosen = rng.integers(3, size=(n, N_LAYERS))
    there = np.arange(N_LAYERS) < rng.integers(6, N_LAYERS + 1, size=(n, 1))
    widths = WIDTHS[chosen] * there
    before = np.concatenate([np.full((n, 1), 16.0), widths[:, :-1]], axis=1)
    decisions = (np.eye(3)[chosen] * there[:, :, None]).reshape(n, -1)
    weights = 9.0 * before * widths
    return decisions, LayerCosts(weights * 196.0, 196.0 * (before + widths) * there, weights)


def times(
    costs: LayerCosts, *, macs: float, elements: float, seed: int, oddity: float = 0.0
) -> NDArray[np.float64]:
    """Return (n, 1) milliseconds: the slower of work and memory, layer by layer, and a start.

    With an oddity some layers are slow at some widths, as where a runtime lacks a kernel: no count
    tells, but devices have it in common.
    """
    slower = np.maximum(costs.macs / macs, costs.elements / elements)
    odd = (costs.weights // 9.0 % 512 == 0.0) & (np.arange(N_LAYERS) % 3 != 1)
    slower = slower * (1.0 + oddity * odd)
    milliseconds = (slower + 0.05 * (costs.macs > 0.0)).sum(axis=1)
    return np.asarray(milliseconds * np.exp(0.01 * stream(seed).normal(size=len(slower))))[:, None]


@pytest.fixture(scope="module")
def costs() -> tuple[NDArray[np.float64], NDArray[np.float64], LayerCosts]:
    decisions, layers = networks(900)
    return decisions, cost_features(layers, {"all": np.ones(N_LAYERS, dtype=bool)}), layers


def test_a_hundred_measurements_are_enough(
    costs: tuple[NDArray[np.float64], NDArray[np.float64], LayerCosts],
) -> None:
    decisions, counted, layers = costs
    X = np.concatenate([decisions, counted], axis=1)
    y = times(layers, macs=4e7, elements=4e5, seed=1)
    predictor = latency_predictor(decisions.shape[1], counted.shape[1])
    predictor.fit(X[:100], y[:100])
    prediction = predictor.predict(X[100:])
    assert (np.abs(prediction.mean / y[100:] - 1.0) < 0.1).mean() > 0.95
    [found] = quality(prediction, y[100:])
    assert found.kendall_tau > 0.9
    assert 0.8 < found.coverage < 0.98


def test_known_devices_help_a_new_one(
    costs: tuple[NDArray[np.float64], NDArray[np.float64], LayerCosts],
) -> None:
    decisions, counted, layers = costs
    X = np.concatenate([decisions, counted], axis=1)
    source = latency_predictor(decisions.shape[1], counted.shape[1])
    source.fit(X[:400], times(layers, macs=4e7, elements=4e5, seed=1, oddity=2.0)[:400])
    y = times(layers, macs=2e7, elements=3e5, seed=2, oddity=2.0)
    few, there = slice(400, 430), slice(430, 900)
    alone = latency_predictor(decisions.shape[1], counted.shape[1])
    moved = transferred_latency_predictor(source)
    errors = []
    for predictor in (alone, moved):
        predictor.fit(X[few], y[few])
        errors.append(float(np.median(np.abs(predictor.predict(X[there]).mean / y[there] - 1.0))))
    assert errors[1] < 0.8 * errors[0]


def test_a_source_unlike_the_new_device_does_no_harm(
    costs: tuple[NDArray[np.float64], NDArray[np.float64], LayerCosts], tmp_path: Path
) -> None:
    decisions, counted, layers = costs
    X = np.concatenate([decisions, counted], axis=1)
    n_decisions, n_costs = decisions.shape[1], counted.shape[1]
    columns = range(n_decisions, n_decisions + n_costs)
    source = latency_predictor(n_decisions, n_costs)
    source.fit(X[:400], times(layers, macs=9e9, elements=1e5, seed=1, oddity=9.0)[:400])
    y = times(layers, macs=2e7, elements=9e9, seed=2)
    few, there = slice(400, 430), slice(430, 900)
    weighed = transferred_latency_predictor(source, costs=columns)
    errors = []
    for predictor in (
        latency_predictor(n_decisions, n_costs),
        transferred_latency_predictor(source),
        weighed,
    ):
        predictor.fit(X[few], y[few])
        errors.append(float(np.median(np.abs(predictor.predict(X[there]).mean / y[there] - 1.0))))
    alone, moved, best = errors
    assert moved > 1.5 * alone
    assert best < 1.1 * alone
    weighed.save(tmp_path / "weighed.npz", {})
    loaded = transferred_latency_predictor(latency_predictor(n_decisions, n_costs), costs=columns)
    loaded.load(tmp_path / "weighed.npz")
    np.testing.assert_array_equal(loaded.predict(X[there]).mean, weighed.predict(X[there]).mean)
