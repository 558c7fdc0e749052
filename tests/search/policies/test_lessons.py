"""What pairs told: networks are ranked by it, whatever the batches were like."""

import json
import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from niwaki.predictors.linear.base import STRENGTHS
from niwaki.predictors.linear.pairwise import Decomposition, listed_products
from niwaki.search.policies.lessons import Lessons
from tests.search.policies.binary import NETWORKS, SPACE, losses_of

CODES = SPACE.encode(NETWORKS)  # (n, d)
TOLD = np.array([losses_of()[network] for network in NETWORKS])  # (n, T)


def lessons(n: int, *, batches: float = 0.0, noise: float = 0.0) -> Lessons:
    """Return what `n` pairs at random told, on batches that are easy or hard."""
    found = Lessons()
    drawn, hard, errors = (np.random.default_rng(seed) for seed in range(3))
    for _ in range(n):
        pair = drawn.integers(len(NETWORKS), size=2)
        told = TOLD[pair] + batches * hard.normal() + noise * errors.normal(size=(2, 3))
        found.add(CODES[pair], told)
    return found


def likeness(found: Lessons, task: int) -> float:
    """Return how predictions correlate with the truth over all networks."""
    predicted: NDArray[np.float64] = found.losses(CODES, task)
    return float(np.corrcoef(predicted, TOLD[:, task])[0, 1])


def test_networks_that_were_never_run_are_ranked() -> None:
    found = lessons(120, noise=0.5)
    assert min(likeness(found, task) for task in range(3)) > 0.9


def test_how_hard_a_batch_is_does_not_matter() -> None:
    easy, hard = lessons(60), lessons(60, batches=100.0)
    np.testing.assert_allclose(easy.losses(CODES, 0), hard.losses(CODES, 0), atol=1e-6)


def test_what_is_restored_takes_the_place_of_what_was_told_before() -> None:
    state, other = lessons(20).state(), lessons(9, noise=1.0)
    other.restore(json.loads(json.dumps(state)))
    assert other.state() == state


def told(n: int, n_options: int) -> tuple[Lessons, NDArray[np.float64], NDArray[np.float64]]:
    """Return what `n` pairs told, the pairs, (n, 2, d), and their losses, (n, 2)."""
    rng, found = np.random.default_rng(0), Lessons()
    pairs = (rng.random((n, 2, n_options)) < 0.3).astype(np.float64)
    losses = 2.0 * pairs[..., 0] - pairs[..., 1] + pairs[..., 0] * pairs[..., 2]
    losses += 0.1 * rng.normal(size=losses.shape)
    for pair, lost in zip(pairs, losses, strict=True):
        found.add(pair, lost[:, None])
    return found, pairs, losses


@pytest.mark.parametrize("n_options", [4, 40])  # of few options, products are listed
def test_products_count_as_if_they_were_listed(n_options: int) -> None:
    found, pairs, losses = told(30, n_options)
    gaps, tried = losses[:, 0] - losses[:, 1], []
    for weight in (0.0, 0.1):
        rows = listed_products(pairs[:, 0], weight) - listed_products(pairs[:, 1], weight)
        for strength in STRENGTHS * Decomposition.of(rows, 0.0).mean_value:
            errors, _ = Decomposition.of(rows, 0.0).leave_one_out(gaps, strength)
            tried.append(((errors**2).mean(), strength, weight))
    _, strength, weight = min(tried)
    rows, firsts = (listed_products(pairs[:, side], weight) for side in (1, 0))
    centred = (firsts - rows) - (firsts - rows).mean(axis=0)
    ridge = centred.T @ centred + strength * np.eye(centred.shape[1])
    slopes = np.linalg.solve(ridge, centred.T @ (gaps - gaps.mean()))
    assert found.losses(pairs[:, 0], 0) == pytest.approx(firsts @ slopes, abs=1e-8)


def test_of_many_options_no_products_are_listed() -> None:
    found, pairs, _ = told(20, 1000)  # 500,000 products: of each 20 networks 80 MB
    tracemalloc.start()
    found.losses(pairs[:, 0], 0)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 10e6


def test_without_lessons_all_are_alike() -> None:
    assert not lessons(1).losses(CODES, 0).any()


def test_what_is_long_ago_is_forgotten_and_the_rest_kept() -> None:
    found, again = lessons(1100), Lessons()
    again.restore(json.loads(json.dumps(found.state())))
    again.add(CODES[:2], TOLD[:2])
    assert len(found._taken) == len(again._taken) == 1000
    found.add(CODES[:2], TOLD[:2])
    assert again.state() == found.state()
