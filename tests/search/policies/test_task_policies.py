"""Policies against what is known exactly: every network of a space of ten binary decisions."""

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate
from niwaki.core.errors import ConfigError
from niwaki.search.policies import PolicySettings, TaskPolicies
from tests.search.policies.binary import (
    NETWORKS,
    SPACE,
    TASKS,
    costs_of,
    losses_of,
    policies,
    trained,
)

CODES = SPACE.encode(NETWORKS)  # (n, d)


@pytest.fixture(scope="module")
def sharp() -> TaskPolicies:
    """Policies that have learned for a while, so that tasks differ."""
    found = policies()
    trained(found, 150)
    return found


def chances(found: TaskPolicies) -> NDArray[np.float64]:
    """Return how likely each network is under each policy, (T, n)."""
    shares: NDArray[np.float64] = np.exp(np.log(found.probabilities) @ CODES.T)
    return shares


def exact_gradient(found: TaskPolicies) -> NDArray[np.float64]:
    """Return how the expected losses change with the logits, by a sum over all networks."""
    losses = losses_of()
    told = np.array([losses[network] for network in NETWORKS]).T  # (T, n)
    active = np.repeat(CODES.reshape(len(NETWORKS), -1, 2).sum(axis=2), 2, axis=1)
    expected = chances(found) * told
    scores = CODES[None] - active[None] * found.probabilities[:, None]  # (T, n, d)
    gradient: NDArray[np.float64] = np.einsum("tn,tnd->td", expected, scores)
    return gradient


def test_policies_are_distributions_over_the_networks_there_are(sharp: TaskPolicies) -> None:
    assert len(NETWORKS) == SPACE.size
    np.testing.assert_allclose(chances(sharp).sum(axis=1), 1.0)
    drawn = sharp.draw("odd", np.random.default_rng(0))
    assert SPACE.contains(drawn)


def test_weights_are_one_on_average_and_at_most_the_number_of_tasks(sharp: TaskPolicies) -> None:
    drawn_by = chances(sharp).mean(axis=0)  # (n,) of all networks
    weights = np.array([sharp.weights([network]) for network in NETWORKS])  # (n, T)
    np.testing.assert_allclose(drawn_by @ weights, 1.0)
    assert 1.5 < weights.max() <= len(TASKS) + 1e-9


def test_weights_of_pairs_are_bounded_too(sharp: TaskPolicies) -> None:
    rng = np.random.default_rng(1)
    weights = np.array([sharp.weights(sharp.pair(rng)) for _ in range(2000)])
    spread = weights.std(axis=0) / np.sqrt(len(weights))
    assert (np.abs(weights.mean(axis=0) - 1.0) < 4.0 * spread).all()
    assert weights.max() <= len(TASKS) + 1e-9


def test_the_gradient_is_the_exact_one_on_average(sharp: TaskPolicies) -> None:
    losses, rng = losses_of(), np.random.default_rng(2)
    found = []
    for _ in range(4000):
        pair = sharp.pair(rng)
        found.append(sharp.gradient(pair, np.array([losses[each] for each in pair])))
    means, spread = np.mean(found, axis=0), np.std(found, axis=0) / np.sqrt(len(found))
    assert np.abs(exact_gradient(sharp)).max() > 0.1
    assert (np.abs(means - exact_gradient(sharp)) <= 4.0 * spread + 1e-12).all()


def test_what_all_tasks_lose_together_tells_nothing(sharp: TaskPolicies) -> None:
    losses, rng = losses_of(), np.random.default_rng(3)
    pair = sharp.pair(rng)
    told = np.array([losses[each] for each in pair])
    np.testing.assert_allclose(sharp.gradient(pair, told + 100.0), sharp.gradient(pair, told))


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_each_task_finds_its_own_best_network(noise: float) -> None:
    found = policies()
    losses = trained(found, 800, noise=noise)
    best = [min(NETWORKS, key=lambda each, t=task: losses[each][t]) for task in range(3)]  # type: ignore[misc]
    assert len(set(best)) == 3
    assert [found.likeliest(task) for task in TASKS] == best


def test_budgets_are_kept_on_average_and_by_candidates() -> None:
    found = policies(budget=0.3)
    trained(found, 600)
    rng = np.random.default_rng(4)
    means = []
    for task in TASKS:
        costs = [costs_of(found.draw(task, rng))[task] for _ in range(300)]
        means.append(np.mean(costs))
        chosen = found.candidates(task, 4, rng)
        assert 1 <= len(chosen) == len(set(chosen)) <= 4
        assert all(0.15 <= costs_of(each)[task] <= 0.3 for each in chosen)
    assert np.mean(means) < 1.15 * 0.3


def test_without_a_tight_budget_networks_cost_more() -> None:
    means = []
    for budget in (0.3, 1.0):
        found = policies(budget=budget)
        trained(found, 400)
        rng = np.random.default_rng(5)
        means.append([costs_of(found.draw(task, rng))[task] for task in TASKS for _ in range(50)])
    assert np.mean(means[0]) < np.mean(means[1])


def test_the_first_candidate_is_among_the_best_after_few_pairs() -> None:
    found = policies()
    losses = trained(found, 60, noise=0.5)
    for index, task in enumerate(TASKS):
        [first] = found.candidates(task, 1, np.random.default_rng(7), within=0.0)
        better = [each for each in NETWORKS if losses[each][index] < losses[first][index]]
        assert len(better) < 0.05 * len(NETWORKS)


def test_a_decision_of_one_task_is_left_to_it() -> None:
    owned = {"block1": "near", "block2": "far"}
    found = TaskPolicies(
        SPACE,
        TASKS,
        PolicySettings(budget=1.0),
        relative_costs=costs_of,
        matters=lambda task, path: owned.get(path, task) == task,
    )
    losses, rng = losses_of(), np.random.default_rng(6)
    for _ in range(200):
        pair = found.pair(rng)
        found.learn([pair], np.array([[losses[each] for each in pair]]), rng=rng)
    for path, owner in owned.items():
        columns = [found_at for (own, _), found_at in SPACE.columns.items() if own == path]
        odds = found.probabilities[:, columns]
        np.testing.assert_array_equal(odds, odds[[TASKS.index(owner)] * 3])
        assert abs(odds[0, 0] - 0.5) > 0.1
    changed = [_with(NETWORKS[0], "block1", bit) for bit in (0, 1)]
    weights = [found.weights([each]) for each in changed]
    assert weights[0][2] == pytest.approx(weights[1][2])
    chosen = found.candidates("odd", 8, rng, within=0.0)
    assert len({tuple(_without(each, *owned)) for each in chosen}) == len(chosen) == 8


def _with(network: Candidate, path: str, value: int) -> Candidate:
    return SPACE.canonical({**network.decisions, path: value})


def _without(network: Candidate, *paths: str) -> list[object]:
    return [item for item in network.items if item[0] not in paths]


def test_continued_equals_uninterrupted() -> None:
    whole, first = policies(budget=0.4), policies(budget=0.4)
    trained(whole, 40)
    trained(first, 40)
    again = policies(budget=0.4)
    again.restore(json.loads(json.dumps(first.state())))
    trained(whole, 20, seed=7)
    trained(again, 20, seed=7)
    assert whole.state() == again.state()


def test_policies_of_other_tasks_are_refused() -> None:
    fewer = TaskPolicies(SPACE, TASKS[:2], PolicySettings(), relative_costs=costs_of)
    with pytest.raises(ConfigError, match="policies of near, far over 20 options do not fit"):
        policies().restore(fewer.state())


def test_doubts_are_told_and_end() -> None:
    found = policies()
    assert "learned from no step" in found.warning()
    trained(found, 3)
    assert "hardly anything is decided yet for 'near' and 'far' and 'odd'" in found.warning()
    trained(found, 500)
    assert found.warning() == ""


def test_a_budget_that_no_network_keeps_is_told() -> None:
    found = TaskPolicies(
        SPACE,
        TASKS,
        PolicySettings(budget=0.2),
        relative_costs=lambda candidate: {t: 0.5 + 0.5 * costs_of(candidate)[t] for t in TASKS},
    )
    trained(found, 400)
    assert "times the budget" in found.warning()
    assert found.candidates("near", 2, np.random.default_rng(0)) == []


def test_the_share_that_each_task_learns_from_is_no_less_than_its_part() -> None:
    found = policies()
    trained(found, 500)
    assert (found.effective_share > 0.6 / len(TASKS)).all()
    assert (found.effective_share < 0.6).all()
