"""Expected gains: against volumes that are known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from niwaki.core.pareto import hypervolume
from niwaki.core.randomness import stream
from niwaki.search.schedulers.promise import BEYOND, expected_gains

FRONT = np.array([[0.0, 1.0], [0.4, 0.4], [1.0, 0.0]])


def exact_gains(means: NDArray[np.float64], known: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what each candidate adds to the hypervolume, its values being certain."""
    corner = np.full(known.shape[1], BEYOND)
    before = hypervolume(known, corner)
    return np.array([hypervolume(np.vstack([known, row]), corner) - before for row in means])


def test_certain_candidates_add_their_exact_share_of_the_box() -> None:
    means = np.array([[0.2, 0.5], [0.5, 0.5], [0.1, 0.9], [0.39, 0.39]])
    gains = expected_gains(means, np.zeros_like(means), FRONT)
    exact = exact_gains(means, FRONT) / BEYOND**2
    np.testing.assert_allclose(gains, exact, atol=0.004)
    assert gains[1] == 0.0


def test_units_and_zeros_of_the_costs_do_not_matter() -> None:
    means, spreads = np.array([[0.2, 0.5], [0.5, 0.5]]), np.array([[0.0, 0.1], [0.3, 0.0]])
    unit, zero = np.array([1000.0, 0.25]), np.array([-7.0, 300.0])
    plain = expected_gains(means, spreads, FRONT)
    moved = expected_gains(means * unit + zero, spreads * unit, FRONT * unit + zero)
    np.testing.assert_allclose(moved, plain, atol=0.002)


@pytest.mark.parametrize("n_objectives", [1, 3, 5])
def test_any_number_of_objectives_will_do(n_objectives: int) -> None:
    rng = stream(1, "test")
    known = np.vstack([rng.random((6, n_objectives)), np.zeros(n_objectives) + 0.4])
    means = np.full((1, n_objectives), 0.3)
    assert expected_gains(means, np.zeros_like(means), known)[0] > 0.0


def test_a_dominated_candidate_promises_something_if_it_is_not_sure() -> None:
    means = np.array([[0.5, 0.5], [0.5, 0.5]])
    gains = expected_gains(means, np.array([[0.0, 0.0], [0.3, 0.0]]), FRONT)
    assert gains[0] == 0.0 < gains[1]


def test_expected_gains_are_the_mean_over_errors() -> None:
    mean, spread = np.array([0.3, 0.42]), np.array([0.1, 0.0])
    gain = expected_gains(mean[None], spread[None], FRONT)[0]
    draws = mean + spread * stream(2, "test").normal(size=(4000, 2))
    # Errors may lead beyond the ideal, where the box ends.
    exact = exact_gains(np.maximum(draws, 0.0), FRONT) / BEYOND**2
    assert gain == pytest.approx(exact.mean(), rel=0.1)


def test_what_is_not_known_at_all_is_taken_as_expected() -> None:
    means = np.array([[0.2, 0.5]])
    unknown = expected_gains(means, np.full((1, 2), np.inf), FRONT)
    np.testing.assert_array_equal(unknown, expected_gains(means, np.zeros((1, 2)), FRONT))


def test_without_a_front_the_whole_volume_counts() -> None:
    means = np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]])
    gains = expected_gains(means, np.zeros((3, 2)), np.empty((0, 2)))
    assert gains.argmax() == 2
