"""AGE-MOEA: the geometry that it finds, and who survives."""

import numpy as np
import pytest

from niwaki.core.randomness import stream
from niwaki.search.age_moea import curvature, survival_scores
from niwaki.search.ranking import front_numbers


@pytest.mark.parametrize("m", [2, 3, 5])
@pytest.mark.parametrize("power", [0.5, 1.0, 2.0, 4.0])
def test_the_curvature_of_a_front_is_found(m: int, power: float) -> None:
    shares = stream(m, "shares").dirichlet(np.full(m, 8.0), size=400)
    front = np.vstack([np.eye(m), shares ** (1.0 / power)])
    assert curvature(front, np.arange(m)) == pytest.approx(power, rel=0.1)


def test_a_front_of_corners_alone_is_taken_to_be_flat() -> None:
    assert curvature(np.eye(3), np.arange(3)) == 1.0
    assert curvature(np.array([[0.0], [1.0]]), np.array([0])) == 1.0


def test_corners_are_worth_most_and_twins_least() -> None:
    angles = np.deg2rad([0.0, 90.0, 45.0, 46.0, 20.0])
    costs = 1.0 - np.stack([np.cos(angles), np.sin(angles)], axis=1)  # hollow
    scores = survival_scores(costs, np.zeros(5, dtype=np.int64))
    assert np.isinf(scores[:2]).all()
    assert int(np.argmin(scores)) in (2, 3)
    assert scores[4] > min(scores[2], scores[3])


def test_behind_the_first_front_the_nearer_is_worth_more() -> None:
    costs = np.array([[0.0, 1.0], [1.0, 0.0], [0.9, 1.1], [2.0, 0.9]])
    fronts = front_numbers(costs)
    assert fronts.tolist() == [0, 0, 1, 1]
    assert survival_scores(costs, fronts)[2] > survival_scores(costs, fronts)[3]


@pytest.mark.parametrize(
    "costs",
    [np.zeros((4, 3)), np.ones((1, 2)), np.array([[3.0], [1.0], [1.0]]), -np.eye(4)],
)
def test_degenerate_fronts_have_scores(costs: np.ndarray) -> None:
    scores = survival_scores(costs, front_numbers(costs))
    assert scores.shape == (len(costs),)
    assert not np.isnan(scores).any()


def test_scale_and_offset_of_an_objective_do_not_matter() -> None:
    costs = stream(0, "costs").random((20, 3))
    fronts = front_numbers(costs)
    stretched = costs * [1.0, 100.0, 0.01] + [0.0, -7.0, 3.0]
    np.testing.assert_allclose(
        survival_scores(costs, fronts), survival_scores(stretched, fronts), rtol=1e-6
    )


def test_scale_does_not_matter_behind_a_front_of_one_point() -> None:
    costs = np.array([[0.0, 0.0], [3.0, 1.0], [1.0, 2.0], [2.0, 1.5]])
    fronts = front_numbers(costs)
    assert fronts.tolist() == [0, 1, 1, 1]
    small = survival_scores(costs * [1e-12, 1.0], fronts)
    np.testing.assert_allclose(small, survival_scores(costs, fronts), rtol=1e-6)
