"""The growth of a front: it never falls, and it is what it says."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from niwaki.core.constraints import Bound
from niwaki.core.measurement import Measurement, Status
from niwaki.core.pareto import hypervolume, non_dominated, reference_point, scale_of
from niwaki.study.results.growth import N_FIRST, Growth, counts, growth_text
from niwaki.study.results.run import hypervolume_curve

COSTS = arrays(np.float64, (30, 2), elements=st.floats(-100, 100, width=32))


@given(COSTS)
def test_it_begins_at_one_and_never_falls(costs: np.ndarray) -> None:
    growth, factors = Growth(2), []
    for row in costs:
        growth.add(row)
        factors.append(growth.factor)
    assert factors[: N_FIRST - 1] == [None] * (N_FIRST - 1)
    known = [factor for factor in factors if factor is not None]
    assert known[0] == 1.0
    assert all(after >= before * (1 - 1e-9) for before, after in pairwise(known))
    assert len(growth) == len(np.unique(costs[non_dominated(costs)], axis=0))


def test_it_is_the_ratio_of_two_areas() -> None:
    growth = Growth(2)
    for x in range(N_FIRST):
        growth.add(np.array([float(x), 9.0 - x]))  # the worst corner is at 9.9
    before = sum(9.9 - (9.0 - x) if x == 0 else 1.0 * (9.9 - (9.0 - x)) for x in range(9))
    before += 0.9 * 9.9
    growth.add(np.array([0.0, 0.0]))
    assert growth.factor == pytest.approx(9.9**2 / before)
    assert (
        str(growth)
        == f"1 point, hypervolume {9.9**2 / before:.2f} times that of the first 10 models"
    )


@given(arrays(np.float64, (30, 3), elements=st.integers(0, 6)))
def test_point_by_point_it_is_what_it_is_of_all_at_once(costs: np.ndarray) -> None:
    growth, first = Growth(3), costs[:N_FIRST]
    corner = reference_point(first)
    for n, row in enumerate(costs, 1):
        growth.add(row)
        if n >= N_FIRST:
            plain = hypervolume(costs[:n], corner) / hypervolume(first, corner)
            assert growth.factor == pytest.approx(plain)
    assert len(growth) == len(np.unique(costs[non_dominated(costs)], axis=0))


@given(arrays(np.float64, (20, 3), elements=st.integers(0, 6)))
def test_the_curve_is_the_volume_of_all_that_came_before(costs: np.ndarray) -> None:
    curve = hypervolume_curve(costs, np.ones(len(costs), dtype=bool))
    final = costs[non_dominated(costs)]
    scaled = (costs - final.min(axis=0)) / scale_of(final, costs)
    plain = [hypervolume(scaled[: n + 1], np.full(3, 1.1)) for n in range(len(costs))]
    assert curve == pytest.approx(plain)


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_the_curve_of_one_objective_rises_in_any_unit(unit: float) -> None:
    costs = unit * np.array([[9.0], [5.0], [7.0], [np.nan], [1.0]])
    usable = np.array([True, True, True, True, True])
    assert hypervolume_curve(costs, usable) == pytest.approx([0.1, 0.6, 0.6, 0.6, 1.1])


def test_first_models_that_differ_by_rounding_have_a_volume() -> None:
    growth = Growth(2)
    for n in range(N_FIRST):
        growth.add(np.array([1.0, 1.0 - 2**-53])[:: 1 if n % 2 else -1])
    assert growth.factor == 1.0
    huge = Growth(4)
    for row in 1e80 * np.random.default_rng(0).random((N_FIRST + 1, 4)):
        huge.add(row)
    assert huge.factor is not None and np.isfinite(huge.factor)


def test_a_model_without_a_value_does_not_count() -> None:
    growth = Growth(2)
    growth.add(np.array([np.nan, 0.0]))
    assert len(growth) == 0 and str(growth) == "0 points"


def test_what_counts_is_complete_at_full_effort_and_within_all_bounds() -> None:
    bounds = (Bound("ms", 1.0, 2.0), Bound("acc", -1.0, 0.5))
    values = {"ms": 2.0, "acc": 0.5}
    assert counts(Measurement("k", values), bounds)
    assert not counts(Measurement("k", values, fidelity=0.5), bounds)
    assert not counts(Measurement("k", values, Status.FAILED), bounds)
    assert not counts(Measurement("k", {**values, "acc": 0.4}), bounds)
    assert not counts(Measurement("k", {"ms": 1.0}), bounds)


def test_growths_are_told_by_goal() -> None:
    none, one = Growth(1), Growth(1)
    one.add(np.zeros(1))
    assert growth_text({"": one}) == "1 point"
    assert growth_text({"near": one, "far": none}) == "near: 1 point; far: 0 points"
