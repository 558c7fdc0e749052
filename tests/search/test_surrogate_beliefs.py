"""Warps and beliefs: what is in closed form agrees with draws."""

import numpy as np
import pytest

from niwaki.core.randomness import stream
from niwaki.predictors.gaussian.layout import Layout
from niwaki.search.surrogate.beliefs import Belief, Learned, Normal, learn
from niwaki.search.surrogate.warps import LogAbove, LogBelow, Straight, Warp, warps_for

WARPS = [Straight(), LogAbove(), LogAbove(-2.5), LogBelow()]


@pytest.mark.parametrize("warp", WARPS, ids=str)
def test_expected_gains_are_those_of_draws(warp: Warp) -> None:
    mean, std = np.array([0.3, -0.2]), np.array([0.5, 0.8])
    draws = warp.unwarped(mean + std * stream(0, "draws").normal(size=(200_000, 2)))
    thresholds = np.array([-3.0, -1.1, -0.4, 0.7, 2.0])
    gains = np.maximum(thresholds - draws[:, :, None], 0.0).mean(axis=0)
    assert warp.expected_gain(thresholds, mean, std) == pytest.approx(gains, abs=0.02)


@pytest.mark.parametrize("warp", WARPS, ids=str)
def test_chances_are_those_of_draws(warp: Warp) -> None:
    mean, std = np.array([0.3, -0.2]), np.array([0.5, 0.8])
    draws = warp.unwarped(mean + std * stream(0, "draws").normal(size=(50_000, 2)))
    for limit in (-3.0, -0.6, 0.0, 0.9):
        chance = (draws <= limit).mean(axis=0)
        assert Normal(warp, mean, std).chance_below(limit) == pytest.approx(chance, abs=0.01)


@pytest.mark.parametrize("warp", WARPS, ids=str)
def test_a_warp_can_be_undone_and_knows_its_slope(warp: Warp) -> None:
    costs = np.array([-2.0, -1.0, -0.1]) if warp == LogBelow() else np.array([0.1, 1.0, 7.0])
    assert warp.unwarped(warp.warped(costs)) == pytest.approx(costs)
    slope = (warp.warped(costs + 1e-6) - warp.warped(costs - 1e-6)) / 2e-6
    assert np.exp(warp.log_slope(costs)) == pytest.approx(slope, rel=1e-4)


@pytest.mark.parametrize("warp", WARPS, ids=str)
def test_a_warp_rises_beyond_what_it_is_made_for(warp: Warp) -> None:
    warped = warp.warped(np.array([-9.0, -2.5, -1.0, 0.0, 1.0, 9.0]))
    assert not np.isnan(warped).any()
    assert (warped[1:] >= warped[:-1]).all()
    assert warped.tolist() == [warp.edge(limit) for limit in (-9.0, -2.5, -1.0, 0.0, 1.0, 9.0)]


def test_a_gain_that_turned_into_a_loss_is_believed_the_worst() -> None:
    features = np.linspace(0.0, 1.0, 12)[:, None]
    costs = -np.exp(3.0 * features[:, 0])  # a throughput, maximised
    [part] = (part for part in learn(features, costs).parts if part.warp == LogBelow())
    told = part.given(np.append(features, [[2.0]], axis=0), np.append(costs, 0.5))
    believed = told.belief(np.append(features, [[2.0]], axis=0)).quantile(0.0)
    assert believed.argmax() == 12


def test_what_multiplies_is_learned_on_a_logarithmic_scale() -> None:
    features = stream(0, "features").integers(2, size=(40, 6)).astype(float)
    costs = np.exp(features @ np.array([0.2, 0.5, 1.0, 1.5, 0.1, 0.7]))
    assert learn(features, costs).parts[-1].warp == LogAbove()
    assert learn(features, np.log(costs)).parts[0].warp == Straight()
    assert learn(features, -1.0 / costs).parts[-1].warp == LogBelow()


def test_where_few_decisions_matter_slopes_are_believed_to_differ() -> None:
    codes = stream(0, "decisions").integers(3, size=(30, 10))
    features, layout = np.eye(3)[codes].reshape(30, 30), Layout(groups=np.repeat(np.arange(10), 3))
    steep = learn(features, codes[:, :2] @ np.array([1.0, 2.0]), layout)
    assert steepness(steep) > 0.9
    assert steepness(learn(features, codes[:, :2] @ np.array([1.0, 2.0]))) == 0.0


def steepness(learned: Learned) -> float:
    """Return how likely it is that slopes of columns differ."""
    pairs = zip(learned.weights, learned.parts, strict=True)
    return sum(w for w, part in pairs if np.ptp(part.column.covariance.slopes) > 0.0)


def test_with_few_rows_no_scale_is_believed_alone() -> None:
    learned = learn(np.eye(6)[:, :3], np.array([1.0, 1.2, 1.5, 2.0, 1.1, 1.6]))
    assert len(learned.parts) > 1
    assert sum(learned.weights) == pytest.approx(1.0)


def test_a_mixture_is_the_weighted_mean_of_its_parts() -> None:
    mean, std, at = np.array([1.0]), np.array([0.5]), np.array([2.0, 4.0])
    parts = (Normal(Straight(), mean, std), Normal(LogAbove(), mean, std))
    gains = [Belief((part,)).expected_gain(at) for part in parts]
    mixed = Belief(parts, (0.25, 0.75)).expected_gain(at)
    assert mixed == pytest.approx(0.25 * gains[0] + 0.75 * gains[1])


def test_alike_in_certainty_the_better_mean_gains_more() -> None:
    belief = Belief((Normal(Straight(), np.array([1.0, 1.5, 2.0]), np.array([0.1, 0.5, 2.0])),))
    limit = np.array([1.0])
    assert belief.expected_gain(limit)[:, 0].argmax() == 2
    levelled = belief.levelled()
    assert levelled.expected_gain(limit)[:, 0].argmax() == 0
    assert levelled.parts[0].std == pytest.approx(np.full(3, 0.5))


def test_a_constant_is_learned() -> None:
    learned = learn(np.eye(5), np.full(5, 3.0))
    assert learned.belief(np.eye(5)).quantile() == pytest.approx(np.full(5, 3.0))


def test_an_enormous_cost_leaves_the_others_certain() -> None:
    known = Belief.certain(np.array([-1e100, 0.0, 1.0, 3.0, 1e100]))
    gains = known.expected_gain(np.array([2.5]))[:, 0]
    assert gains == pytest.approx([1e100, 2.5, 1.5, 0.0, 0.0])
    assert known.chance_below(2.5).tolist() == [1.0, 1.0, 1.0, 0.0, 0.0]


def test_certainty_gains_what_there_is_to_gain() -> None:
    gains = Belief.certain(np.array([1.0, 3.0])).expected_gain(np.array([2.0]))
    assert gains == pytest.approx(np.array([[1.0], [0.0]]), abs=1e-6)


def test_warps_suit_the_signs_of_costs() -> None:
    assert LogBelow() in warps_for(np.array([-3.0, -2.0, -1.0]))
    assert LogAbove() in warps_for(np.array([1.0, 2.0]))
    assert warps_for(np.zeros(4)) == [Straight()]


def test_costs_that_differ_by_rounding_alone_are_one() -> None:
    nearly = np.nextafter(-1.0, 0.0)
    costs = np.array([-1.0, nearly, nearly, nearly, -0.98, -0.97])
    assert warps_for(costs) == [Straight(), LogBelow()]
