"""pymoo's survivals as functions of costs."""

import warnings

import numpy as np
import pytest

from niwaki.core.pareto import hypervolume
from niwaki.core.randomness import stream
from niwaki.search.pymoo_survival import PymooSurvival, reference_directions


@pytest.mark.parametrize(("m", "k"), [(1, 1), (2, 20), (3, 15), (4, 20), (5, 15), (9, 9), (30, 30)])
def test_there_are_as_many_directions_as_fit(m: int, k: int) -> None:
    directions = reference_directions(m, 20)
    assert directions.shape == (k, m)
    np.testing.assert_allclose(directions.sum(axis=1), 1.0)


@pytest.mark.parametrize("m", [2, 3, 5])
def test_whoever_adds_least_to_the_volume_leaves(m: int) -> None:
    costs = stream(m, "costs").dirichlet(np.ones(m), size=9)  # all on one front
    kept = PymooSurvival.by_hypervolume(m).keep(costs, 8)
    scaled = (costs - costs.min(axis=0)) / np.ptp(costs, axis=0)
    without = [hypervolume(np.delete(scaled, i, axis=0), np.full(m, 11.0)) for i in range(9)]
    assert set(range(9)) - set(kept.tolist()) == {int(np.argmax(without))}


def test_a_dominated_one_leaves_first() -> None:
    costs = np.array([[0.0, 1.0], [1.0, 0.0], [0.6, 0.6], [0.7, 0.7]])
    for survival in (PymooSurvival.by_hypervolume(2), PymooSurvival.by_reference_directions(2, 3)):
        assert survival.keep(costs, 3, stream(0)).tolist() == [0, 1, 2]


def test_survivors_spread_along_the_directions() -> None:
    # Three directions: both axes and the diagonal. Of those near the diagonal the nearest stays.
    costs = np.array([[0.0, 1.0], [1.0, 0.0], [0.3, 0.7], [0.5, 0.5], [0.7, 0.3]])
    survival = PymooSurvival.by_reference_directions(2, 3)
    assert survival.keep(costs, 3, stream(0)).tolist() == [0, 1, 3]


def test_units_do_not_matter() -> None:
    costs = stream(4, "costs").random((15, 3))
    stretched = costs * [1e-6, 1.0, 1e6] + [0.0, -5.0, 2.0]
    for survival in (
        PymooSurvival.by_hypervolume(3),
        PymooSurvival.by_reference_directions(3, 10),
    ):
        kept, again = (survival.keep(c, 10, stream(0)).tolist() for c in (costs, stretched))
        assert kept == again


def test_pymoo_does_not_silence_the_warnings_of_others() -> None:
    before = list(warnings.filters)
    survival = PymooSurvival.by_reference_directions(3, 10)
    survival.keep(stream(0).random((12, 3)), 10, stream(0))
    assert warnings.filters == before
