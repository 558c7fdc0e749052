"""Fronts and hypervolumes against brute force, closed forms and pymoo."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from pymoo.indicators.hv import HV

from niwaki.core.pareto import (
    LARGEST_GRID,
    covered,
    first_fronts,
    fronts,
    growing_volume,
    hypervolume,
    knee,
    non_dominated,
    own_volume,
    reference_point,
)
from niwaki.search.ranking import front_numbers

# Few distinct values make ties and duplicates common.
COSTS = st.integers(1, 5).flatmap(
    lambda m: arrays(
        np.float64,
        st.tuples(st.integers(1, 12), st.just(m)),
        elements=st.sampled_from([0.0, 1.0, 2.0, 2.5, 4.0]),
    )
)


def brute_force(costs: NDArray[np.float64]) -> NDArray[np.bool_]:
    dominates = (costs[:, None] <= costs).all(axis=2) & (costs[:, None] < costs).any(axis=2)
    return np.logical_not(dominates.any(axis=0), dtype=np.bool_)


@given(COSTS)
def test_the_front_is_what_nothing_dominates(costs: NDArray[np.float64]) -> None:
    np.testing.assert_array_equal(non_dominated(costs), brute_force(costs))


@pytest.mark.parametrize("m", [1, 2, 3, 4, 5])
def test_the_front_of_many_rows(m: int) -> None:
    costs = np.random.default_rng(m).random((300, m)).round(2)
    np.testing.assert_array_equal(non_dominated(costs), brute_force(costs))


@pytest.mark.parametrize("m", [1, 2, 5])
def test_points_are_covered_by_rows_that_are_nowhere_worse(m: int) -> None:
    rng = np.random.default_rng(0)
    points = rng.integers(0, 5, (300, m)).astype(np.float64)
    front = rng.integers(1, 7, (150, m)).astype(np.float64)
    some = (front[:, None] <= points).all(axis=2).any(axis=0)
    np.testing.assert_array_equal(covered(points, front), some)
    assert not covered(points, front[:0]).any()


def test_a_row_with_nan_is_not_on_the_front_and_dominates_nothing() -> None:
    costs = np.array([[np.nan, 0.0], [1.0, 1.0], [0.0, np.nan]])
    assert non_dominated(costs).tolist() == [False, True, False]
    assert non_dominated(costs[:1]).tolist() == [False]
    assert non_dominated(np.empty((0, 2))).tolist() == []


@given(COSTS)
def test_fronts_come_in_their_order_and_hold_every_row_once(costs: NDArray[np.float64]) -> None:
    numbers = front_numbers(costs)
    for number, front in enumerate(fronts(costs)):
        np.testing.assert_array_equal(front, np.flatnonzero(numbers == number))
    assert sum(map(len, fronts(costs))) == len(costs)


def test_fronts_of_many_rows_are_what_nothing_left_dominates() -> None:
    costs = np.random.default_rng(0).random((400, 4)).round(1)
    left = np.arange(400)
    for front in fronts(costs):
        np.testing.assert_array_equal(front, left[brute_force(costs[left])])
        left = np.setdiff1d(left, front)
    assert len(left) == 0


def test_whole_fronts_make_up_so_many_rows_and_nan_is_on_none() -> None:
    costs = np.array([[3.0, 3.0], [0.0, 1.0], [1.0, 0.0], [np.nan, 0.0], [2.0, 2.0]])
    assert first_fronts(costs, 1).tolist() == [1, 2]
    assert first_fronts(costs, 3).tolist() == [1, 2, 4]
    assert first_fronts(costs, 9).tolist() == [1, 2, 4, 0]
    assert first_fronts(np.empty((0, 2)), 1).tolist() == []


def test_equal_costs_of_one_objective_are_on_one_front_also_infinite_ones() -> None:
    costs = np.array([[np.inf], [1.0], [np.inf], [0.0], [np.nan]])
    assert [front.tolist() for front in fronts(costs)] == [[3], [1], [0, 2]]
    assert list(fronts(costs[4:])) == []


def test_infinite_costs_are_only_bad() -> None:
    costs = np.array([[np.inf, np.inf], [np.inf, 0.0], [1.0, np.inf]])
    assert non_dominated(costs).tolist() == [False, True, True]


def test_the_volume_of_one_point_is_its_box() -> None:
    assert hypervolume(np.array([[1.0, 2.0, 3.0]]), np.array([2.0, 4.0, 6.0])) == 6.0


def test_the_volume_of_a_staircase() -> None:
    costs = np.array([[0.0, 2.0], [1.0, 1.0], [2.0, 0.0], [2.0, 2.0]])
    assert hypervolume(costs, np.array([3.0, 3.0])) == 6.0


@pytest.mark.parametrize("m", [2, 3, 4, 5])
@pytest.mark.parametrize("seed", range(4))
def test_the_volume_is_that_of_pymoo(m: int, seed: int) -> None:
    costs = np.random.default_rng(seed).random((25, m)) ** 2
    expected = HV(ref_point=np.full(m, 0.8))(costs)
    assert hypervolume(costs, np.full(m, 0.8)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("m", "n"), [(2, 300), (3, 300), (4, 100), (5, 40), (6, 20)])
def test_the_volume_of_more_rows_than_a_grid_holds_is_that_of_pymoo(m: int, n: int) -> None:
    costs = np.random.default_rng(m).dirichlet(np.ones(m), n)
    assert m == 2 or n ** (m - 1) > LARGEST_GRID
    expected = HV(ref_point=np.full(m, 1.1))(costs)
    assert hypervolume(costs, np.full(m, 1.1)) == pytest.approx(expected, rel=1e-12)


@given(COSTS)
def test_the_volume_with_ties_and_duplicates(costs: NDArray[np.float64]) -> None:
    # Counted on the grid of the values: each cell is dominated or not.
    corners = np.array([0.0, 1.0, 2.0, 2.5, 4.0, 5.0])
    m = costs.shape[1]
    low = np.stack(np.meshgrid(*[corners[:-1]] * m, indexing="ij"), axis=-1).reshape(-1, m)
    sides = np.stack(np.meshgrid(*[np.diff(corners)] * m, indexing="ij"), axis=-1).reshape(-1, m)
    dominated = (costs[:, None] <= low).all(axis=2).any(axis=0)
    expected = sides.prod(axis=1)[dominated].sum()
    assert hypervolume(costs, np.full(m, 5.0)) == pytest.approx(expected)


def test_what_lies_beyond_the_reference_adds_nothing() -> None:
    inside = np.array([[0.5, 0.5]])
    beyond = np.array([[0.5, 0.5], [0.1, 1.0], [2.0, 0.0], [np.nan, 0.0]])
    assert hypervolume(beyond, np.ones(2)) == hypervolume(inside, np.ones(2)) == 0.25
    assert hypervolume(beyond[1:], np.ones(2)) == 0.0
    assert hypervolume(np.empty((0, 2)), np.ones(2)) == 0.0


def test_a_point_beyond_the_reference_has_no_volume_of_its_own() -> None:
    others = np.array([[0.5, 0.5]])
    assert own_volume(np.array([0.2, 0.8]), others, np.ones(2)) == pytest.approx(0.06)
    for point in ([0.0, 1.5], [2.0, 2.0], [1.0, 0.0]):  # two sides below 0 would be an area above
        assert own_volume(np.array(point), others, np.ones(2)) == 0.0


@given(COSTS)
def test_a_volume_grows_to_that_of_all_rows_so_far(costs: NDArray[np.float64]) -> None:
    reference = np.full(costs.shape[1], 2.2)
    so_far = [hypervolume(costs[: n + 1], reference) for n in range(len(costs))]
    assert growing_volume(costs, reference) == pytest.approx(np.array(so_far))


def test_a_row_with_nan_adds_no_volume() -> None:
    costs = np.array([[np.nan, 0.0], [0.5, 0.5]])
    assert growing_volume(costs, np.ones(2)).tolist() == [0.0, 0.25]
    assert len(growing_volume(costs[:0], np.ones(2))) == 0


def test_one_objective_is_a_length() -> None:
    assert hypervolume(np.array([[0.7], [0.2], [0.2]]), np.ones(1)) == pytest.approx(0.8)


def test_the_knee_is_nearest_to_the_ideal_after_scaling() -> None:
    costs = np.array([[0.0, 1000.0], [0.2, 300.0], [1.0, 0.0]])
    assert knee(costs) == 1
    assert knee(np.array([[3.0, 4.0]])) == 0


def test_the_knee_follows_what_matters() -> None:
    costs = np.array([[0.0, 1000.0], [0.2, 300.0], [1.0, 0.0]])
    assert knee(costs, [10.0, 1.0]) == 0
    assert knee(costs, np.array([1.0, 10.0])) == 2
    assert knee(costs, [0.0, 1.0]) == 2


def test_the_reference_lies_a_margin_beyond_the_worst() -> None:
    costs = np.array([[0.0, 5.0], [10.0, 5.0], [np.nan, 5.0]])
    assert reference_point(costs, margin=0.1) == pytest.approx([11.0, 5.5])
