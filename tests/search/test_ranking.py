"""The ranking against pymoo's own survival and against brute force."""

import numpy as np
import pytest
from numpy.typing import NDArray
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.operators.survival.rank_and_crowding import RankAndCrowding

from niwaki.search.ranking import ranking


def survivors_of_pymoo(
    costs: NDArray[np.float64], violations: NDArray[np.float64], n: int
) -> NDArray[np.int64]:
    problem = Problem(n_var=1, n_obj=costs.shape[1], n_ieq_constr=1)
    individuals = Population.new(
        "F", costs, "G", violations[:, None], "index", np.arange(len(costs))
    )
    rng = np.random.default_rng(0)
    kept = RankAndCrowding().do(problem, individuals, n_survive=n, random_state=rng)
    return np.asarray(kept.get("index"), dtype=np.int64)


@pytest.mark.parametrize("m", [1, 2, 3])
@pytest.mark.parametrize("n_kept", [1, 7, 20, 35])
def test_the_best_are_those_that_pymoo_keeps(m: int, n_kept: int) -> None:
    rng = np.random.default_rng(m)
    costs = rng.random((40, m))
    violations = np.maximum(rng.normal(size=40), 0.0)
    own = ranking(costs, violations)
    best = own.best_first()[:n_kept]
    theirs = survivors_of_pymoo(costs, violations, n_kept)
    # Of equally ranked and equally lonely ones, pymoo keeps any.
    worth = [sorted(zip(own.rank[i], -own.crowding[i], strict=True)) for i in (best, theirs)]
    assert worth[0] == worth[1]


def test_ranks_are_fronts_then_violations_then_failures() -> None:
    costs = np.array([[2.0, 2.0], [1.0, 3.0], [3.0, 3.0], [0.0, 0.0], [np.nan, np.nan], [9.0, 9.0]])
    violations = np.array([0.0, 0.0, 0.0, 0.5, 0.2, np.inf])
    result = ranking(costs, violations)
    assert result.rank.tolist() == [0, 0, 1, 3, 2, 4]
    assert result.best_first().tolist()[2:] == [2, 4, 3, 5]


def test_the_ends_of_a_front_are_lonely() -> None:
    costs = np.array([[0.0, 4.0], [1.9, 2.1], [2.0, 2.0], [4.0, 0.0]])
    result = ranking(costs, np.zeros(4))
    assert np.isinf(result.crowding[[0, 3]]).all()
    assert result.crowding[1] == pytest.approx((2.0 / 4.0 + 2.0 / 4.0) / 2)


def test_of_equals_the_earlier_comes_first() -> None:
    result = ranking(np.ones((5, 2)), np.zeros(5))
    assert result.best_first().tolist()[0] == 0
    assert result.rank.tolist() == [0] * 5


def test_without_candidates_there_is_nothing_to_rank() -> None:
    assert ranking(np.empty((0, 2)), np.empty(0)).best_first().tolist() == []
    assert ranking(np.full((2, 2), np.nan), np.array([1.0, 2.0])).rank.tolist() == [0, 1]
