"""The published loop: bounds that hold, tolerances that multiply, faults that are gone."""

import numpy as np
import pytest

from niwaki.compress.allocation import Ladder, Pagcp, PagcpSettings, Verdict, local_tolerances
from niwaki.core.errors import ConfigError
from tests.compress.allocation.formulas import LADDER, ChainPrice, FormulaOracle, uneven


def test_tolerances_multiply_to_the_global_one() -> None:
    tolerances = local_tolerances(0.06, 6.0, 51)
    assert np.prod(1.0 + tolerances) == pytest.approx(6.0)
    assert tolerances[0] == pytest.approx(0.06)
    np.testing.assert_allclose(tolerances[1:] / tolerances[:-1], 0.977, atol=5e-4)
    assert tolerances[-1] == pytest.approx(0.019, abs=5e-4)


def test_a_loose_global_tolerance_widens_them() -> None:
    tolerances = local_tolerances(0.05, 30.0, 51)
    np.testing.assert_allclose(tolerances[1:] / tolerances[:-1], 1.012, atol=5e-4)
    assert tolerances[-1] == pytest.approx(0.092, abs=1e-3)


def test_tolerances_that_cannot_meet_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"cannot lead to 1\.01"):
        local_tolerances(0.06, 1.01, 5)
    with pytest.raises(ConfigError, match=r"cannot lead to 0\.9"):
        local_tolerances(0.06, 0.9, 1)


@pytest.mark.parametrize("seed", range(5))
def test_no_task_ends_above_the_global_tolerance(seed: int) -> None:
    oracle = uneven(seed, n_tasks=3)
    oracle.chance_loss = 4.0
    settings = PagcpSettings(first_tolerance=0.1, global_tolerance=1.6, kept_groups=1.0)
    found = Pagcp(oracle, ChainPrice(), LADDER, settings).allocate()
    losses = oracle.judge([found.counts]).losses[0]
    assert found.cost < ChainPrice().of(LADDER.whole)
    assert losses.max() <= 1.6 + 1e-9


def test_a_group_that_never_breaks_its_bound_is_pruned_to_the_end() -> None:
    oracle = FormulaOracle(np.array([[0.9, 0.0, 0.9, 0.9]]), chance_loss=50.0)
    found = Pagcp(oracle, ChainPrice(), LADDER, PagcpSettings(kept_groups=1.0)).allocate()
    assert found.counts[1] == 4


@pytest.mark.parametrize(("global_tolerance", "order"), [(1.4, [2, 1, 3, 0]), (6.0, [0, 3, 1, 2])])
def test_groups_that_save_most_have_the_widest_tolerance(
    global_tolerance: float, order: list[int]
) -> None:
    oracle = FormulaOracle(np.full((1, 4), 0.1))
    seen: list[list[int]] = []
    settings = PagcpSettings(first_tolerance=0.1, global_tolerance=global_tolerance)
    Pagcp(oracle, ChainPrice(), LADDER, settings).allocate(
        progress=lambda c: seen.append(c.tolist())
    )
    steps = np.diff([LADDER.whole.tolist(), *seen], axis=0)
    assert [int(np.flatnonzero(step)[0]) for step in steps] == order
    tolerances = local_tolerances(0.1, global_tolerance, 4)
    # The third group's width meets the widest neighbour.
    assert tolerances[order.index(2)] == tolerances.max()


def test_only_the_cheapest_groups_are_kept() -> None:
    oracle = uneven(1)
    oracle.chance_loss = 1.3
    whole = Pagcp(oracle, ChainPrice(), LADDER, PagcpSettings(kept_groups=1.0)).allocate()
    half = Pagcp(oracle, ChainPrice(), LADDER, PagcpSettings(kept_groups=0.5)).allocate()
    assert np.sum(half.counts < LADDER.whole) == np.ceil(np.sum(whole.counts < LADDER.whole) / 2)
    assert half.cost > whole.cost


def test_what_costs_more_but_saves_far_more_is_kept() -> None:
    # A channel of the third group saves 16 + 32 MACs, one of the first 3 + 16.
    oracle = FormulaOracle(np.array([[0.015, 9.0, 0.03, 9.0]]), chance_loss=5.0)
    found = Pagcp(oracle, ChainPrice(), LADDER, PagcpSettings(kept_groups=0.5)).allocate()
    assert found.counts.tolist() == [16, 16, 4, 32]


def test_losses_that_are_not_finite_break_every_bound() -> None:
    class Breaking(FormulaOracle):
        def judge(self, states):  # type: ignore[no-untyped-def]
            verdict = super().judge(states)
            verdict.losses[np.array(states)[:, 0] < 16] = np.nan
            return verdict

    oracle = Breaking(np.full((1, 4), 0.01))
    found = Pagcp(oracle, ChainPrice(), LADDER, PagcpSettings(kept_groups=1.0)).allocate()
    assert found.counts[0] == 16


def test_groups_lose_whole_twentieths() -> None:
    seen: list[int] = []

    class Tolerant(FormulaOracle):
        def judge(self, states):  # type: ignore[no-untyped-def]
            seen.extend(int(state[0]) for state in states)
            return Verdict(*(np.ones((len(states), 1)) for _ in range(3)))

    ladder = Ladder((tuple(range(1, 101)),))
    Pagcp(Tolerant(np.zeros((1, 1))), ChainPrice(), ladder).allocate()
    assert seen == [100, 1, *range(95, 0, -5), 5]


def test_a_loss_of_zero_has_no_bound_and_is_refused() -> None:
    class Own(FormulaOracle):
        def judge(self, states):  # type: ignore[no-untyped-def]
            verdict = super().judge(states)
            verdict.losses[:, 1] -= 1.0
            return verdict

    with pytest.raises(ConfigError, match=r"that of 'task1' is zero.* such as greedy"):
        Pagcp(Own(uneven(0).worth), ChainPrice(), LADDER).allocate()
    harmless = Own(uneven(0).worth * [[1.0], [0.0]])
    assert Pagcp(harmless, ChainPrice(), LADDER).allocate().cost < ChainPrice().of(LADDER.whole)


def test_it_is_said_where_nothing_is_pruned() -> None:
    oracle = FormulaOracle(np.full((1, 4), 0.9), chance_loss=50.0)
    found = Pagcp(oracle, ChainPrice(), LADDER).allocate()
    assert found.counts.tolist() == LADDER.whole.tolist()
    assert "nothing is pruned" in found.note and "0.06 for the first group" in found.note
    assert found.n_judged == oracle.n_judged
