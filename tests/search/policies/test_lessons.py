"""What pairs told: networks are ranked by it, whatever the batches were like."""

import json

import numpy as np
from numpy.typing import NDArray

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


def test_without_lessons_all_are_alike() -> None:
    assert not lessons(1).losses(CODES, 0).any()


def test_what_is_long_ago_is_forgotten_and_the_rest_kept() -> None:
    found, again = lessons(1100), Lessons()
    again.restore(json.loads(json.dumps(found.state())))
    again.add(CODES[:2], TOLD[:2])
    assert len(found._taken) == len(again._taken) == 1000
    found.add(CODES[:2], TOLD[:2])
    assert again.state() == found.state()
