"""Boxes of a dominated region: their volumes add up to the hypervolume."""

import numpy as np
import pytest

from niwaki.core.pareto import hypervolume
from niwaki.core.randomness import stream
from niwaki.search.surrogate.boxes import Decomposition


def decomposed(points: np.ndarray) -> Decomposition:
    parts = Decomposition.empty(points.shape[1])
    for point in points:
        parts = parts.with_point(point)
    return parts


@pytest.mark.parametrize("n_objectives", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("grid", [0, 4])
def test_volumes_add_up_to_the_hypervolume(n_objectives: int, grid: int) -> None:
    for seed in range(5):
        points = stream(seed, "points").random((25, n_objectives))
        points = np.ceil(points * grid) / grid if grid else points  # a grid has ties
        reference = np.full(n_objectives, 0.9)
        lower, upper = decomposed(points).boxes(reference)
        volume = float(np.prod(upper - np.maximum(lower, 0.0), axis=1).sum())
        assert volume == pytest.approx(hypervolume(points, reference))


def test_boxes_do_not_overlap() -> None:
    rng = stream(0, "overlap")
    lower, upper = decomposed(rng.random((20, 3))).boxes(np.ones(3))
    looked_at = rng.random((500, 1, 3))
    assert ((lower < looked_at) & (looked_at < upper)).all(axis=2).sum(axis=1).max() == 1


def test_a_dominated_point_changes_nothing() -> None:
    parts = decomposed(np.array([[0.2, 0.3], [0.5, 0.1]]))
    assert parts.with_point(np.array([0.6, 0.4])) is parts


def test_no_point_dominates_nothing() -> None:
    lower, _ = Decomposition.empty(3).boxes(np.ones(3))
    assert len(lower) == 0
