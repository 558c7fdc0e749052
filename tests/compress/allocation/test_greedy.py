"""Allocation to a budget: near the best, above every floor, honest when it cannot."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from niwaki.compress.allocation import Counts, GreedyAllocator, GreedySettings, Ladder, Verdict
from niwaki.compress.allocation.base import Floats, with_count
from tests.compress.allocation.formulas import (
    LADDER,
    ChainPrice,
    FormulaOracle,
    best_by_trying_all,
    uneven,
)

WHOLE = float(ChainPrice().of(LADDER.whole))


@pytest.mark.parametrize("share", [0.7, 0.5, 0.35])
def test_the_worst_task_is_nearly_as_good_as_it_can_be(share: float) -> None:
    gaps = []
    for seed in range(12):
        oracle = uneven(seed)
        found = GreedyAllocator(oracle, ChainPrice(), LADDER).allocate(share * WHOLE)
        assert found.reached and found.cost <= share * WHOLE
        gaps.append(best_by_trying_all(oracle, share * WHOLE) - found.skills.min())
    assert float(np.mean(gaps)) < 0.03


def test_a_group_that_no_task_needs_goes_first() -> None:
    oracle = FormulaOracle(np.array([[0.5, 0.0, 0.5, 0.5], [0.4, 0.0, 0.4, 0.4]]))
    found = GreedyAllocator(oracle, ChainPrice(), LADDER).allocate(0.75 * WHOLE)
    assert found.counts[1] == 4


def test_a_task_with_little_left_is_spared() -> None:
    # Both groups save the same; one hurts a task that is next to its floor.
    oracle = FormulaOracle(np.array([[0.0, 0.4, 0.0, 0.0], [0.4, 0.0, 0.0, 0.0]]))
    oracle.worth[0, 3] = 0.0
    settings = GreedySettings(least_skill=0.8)
    found = GreedyAllocator(oracle, ChainPrice(), LADDER, settings).allocate(0.5 * WHOLE)
    assert found.skills.min() >= 0.8


def test_an_impossible_budget_says_what_can_be_had() -> None:
    found = GreedyAllocator(uneven(0), ChainPrice(), LADDER).allocate(0.01 * WHOLE)
    assert not found.reached
    assert found.counts.tolist() == LADDER.least.tolist()
    assert f"the smallest network of all costs {found.cost:.4g}" in found.note


def test_floors_come_before_the_budget() -> None:
    oracle = uneven(3)
    settings = GreedySettings(least_skill=0.9)
    found = GreedyAllocator(oracle, ChainPrice(), LADDER, settings).allocate(0.2 * WHOLE)
    assert not found.reached
    assert found.skills.min() >= 0.9
    assert found.cost < WHOLE
    assert "keeps 90% of its skill" in found.note


class _Cliffs(FormulaOracle):
    """All is well while the first groups keep most of their units; the others are of no use."""

    least = np.array([12, 12, 4, 8])

    def judge(self, states: Sequence[Counts]) -> Verdict:
        self.n_judged += len(states)
        skills = np.all(np.array(states) >= self.least, axis=1)[:, None].astype(np.float64)
        return Verdict(skills, 2.0 - skills, 1.0 - skills)


@pytest.mark.parametrize("n_rounds", [1, 2, 4])
def test_no_step_that_costs_nothing_is_left_where_a_budget_is_not_met(n_rounds: int) -> None:
    oracle = _Cliffs(np.zeros((1, 4)))
    possible = float(ChainPrice().of(oracle.least))
    settings = GreedySettings(least_skill=0.9, n_rounds=n_rounds)
    found = GreedyAllocator(oracle, ChainPrice(), LADDER, settings).allocate(possible)
    assert (found.reached, found.counts.tolist()) == (True, oracle.least.tolist())
    found = GreedyAllocator(oracle, ChainPrice(), LADDER, settings).allocate(0.9 * possible)
    assert (found.reached, found.counts.tolist()) == (False, oracle.least.tolist())
    assert "was not met" in found.note and "A lower least_skill goes further" in found.note


def test_floors_make_at_most_four_times_the_rounds() -> None:
    fine = Ladder(tuple(tuple(range(1, 101)) for _ in LADDER.steps))
    oracle, states = _Cliffs(np.zeros((1, 4))), list[list[int]]()
    oracle.least = np.array([1, 99, 99, 99])
    settings = GreedySettings(least_skill=0.9, n_rounds=2)
    allocator = GreedyAllocator(oracle, ChainPrice(), fine, settings)
    found = allocator.allocate(1.0, progress=lambda state: states.append(state.tolist()))
    assert not found.reached and len(states) <= 8
    assert found.n_judged == oracle.n_judged


def test_what_is_said_to_be_judged_was_judged() -> None:
    oracle = uneven(1)
    found = GreedyAllocator(oracle, ChainPrice(), LADDER).allocate(0.5 * WHOLE)
    assert found.n_judged == oracle.n_judged


def test_where_floors_hold_a_round_costs_one_look_more_than_there_are_groups() -> None:
    fine = Ladder(tuple(tuple(range(1, n + 1)) for n in LADDER.whole.tolist()))
    found = GreedyAllocator(uneven(1), ChainPrice(), fine).allocate(0.5 * WHOLE)
    assert found.reached and found.n_judged == 1 + 4 * (4 + 1)


def test_a_budget_above_the_whole_changes_nothing() -> None:
    found = GreedyAllocator(uneven(2), ChainPrice(), LADDER).allocate(2.0 * WHOLE)
    assert found.counts.tolist() == LADDER.whole.tolist()
    assert found.n_judged == 1


@pytest.mark.parametrize("share", [0.9, 0.7, 0.5, 0.35])
def test_nothing_that_fits_the_budget_is_left_out(share: float) -> None:
    budget = share * WHOLE
    for seed in range(12):
        counts = GreedyAllocator(uneven(seed), ChainPrice(), LADDER).allocate(budget).counts
        for group, count in enumerate(counts):
            for more in LADDER.above(group, count)[:1]:
                assert ChainPrice().of(with_count(counts, group, more)) > budget


def test_what_fits_but_does_not_help_is_not_given_back() -> None:
    oracle = FormulaOracle(np.array([[0.5, 0.0, 0.5, 0.5]]))
    allocator = GreedyAllocator(oracle, ChainPrice(), LADDER)
    for share in (0.7, 0.5, 0.35):
        assert allocator.allocate(share * WHOLE).counts[1] == 4


def test_what_is_given_back_leaves_every_task_above_its_floor() -> None:
    settings = GreedySettings(least_skill=0.8)
    for seed in range(12):
        found = GreedyAllocator(uneven(seed), ChainPrice(), LADDER, settings).allocate(0.6 * WHOLE)
        assert found.skills.min() >= 0.8


def test_what_is_saved_beyond_the_budget_counts_for_nothing() -> None:
    # Per saving, the last group is the cheaper one; a step of the first is enough and harms less.
    oracle = FormulaOracle(np.array([[0.4, 1.0, 1.0, 0.5]]))
    step = float(ChainPrice().of(with_count(LADDER.whole, 0, 12)))
    found = GreedyAllocator(oracle, ChainPrice(), LADDER).allocate(step)
    assert found.counts.tolist() == [12, 16, 16, 32]


def test_no_group_loses_more_than_half_in_a_round() -> None:
    oracle = FormulaOracle(np.array([[0.5, 0.0, 0.5, 0.5]]))
    states = [LADDER.whole]
    GreedyAllocator(oracle, ChainPrice(), LADDER).allocate(0.6 * WHOLE, progress=states.append)
    assert len(states) > 2
    for before, after in pairwise(states):
        assert np.all(after >= before // 2)


def test_one_round_is_enough_for_any_budget() -> None:
    settings = GreedySettings(n_rounds=1)
    found = GreedyAllocator(uneven(4), ChainPrice(), LADDER, settings).allocate(0.1 * WHOLE)
    assert found.reached


class _Coarse(FormulaOracle):
    """Too few items for skills to tell anything; answers drift all the same."""

    def judge(self, states: Sequence[Counts]) -> Verdict:
        verdict = super().judge(states)
        return replace(verdict, skills=np.ones_like(verdict.skills))


def test_where_skills_tell_nothing_drift_does() -> None:
    oracle = _Coarse(np.array([[0.5, 0.0, 0.5, 0.5]]))
    found = GreedyAllocator(oracle, ChainPrice(), LADDER).allocate(0.75 * WHOLE)
    assert found.counts[1] == 4


class _CountedPrice(ChainPrice):
    """Counts the states that it is asked about."""

    def __init__(self) -> None:
        self.n_priced = 0

    def of(self, counts: Counts) -> Floats:
        self.n_priced += counts.size // counts.shape[-1]
        return super().of(counts)


def test_a_step_among_many_groups_prices_few_of_them_anew() -> None:
    ladder, price = Ladder((tuple(range(4, 65, 4)),) * 60), _CountedPrice()
    oracle = FormulaOracle(np.random.default_rng(0).uniform(0.01, 0.1, size=(2, 60)))
    oracle.whole = ladder.whole
    found = GreedyAllocator(oracle, price, ladder).allocate(0.35 * float(price.of(ladder.whole)))
    n_steps = int((ladder.whole - found.counts).sum()) // 4
    assert found.reached and n_steps > 300
    assert price.n_priced < 10 * n_steps


class _Unscored(FormulaOracle):
    """The last task has no labels: its answers drift, and that is all that is known of it."""

    def judge(self, states: Sequence[Counts]) -> Verdict:
        found = super().judge(states)
        skills = found.skills.copy()
        skills[:, -1] = np.nan
        return Verdict(skills, found.losses, found.drifts)


@pytest.mark.parametrize("least_skill", [None, 0.5])
def test_a_task_that_cannot_be_scored_is_judged_by_its_drift(least_skill: float | None) -> None:
    # The first group matters to both tasks, the others hardly.
    worth = np.array([[0.9, 0.02, 0.03, 0.01], [0.8, 0.01, 0.02, 0.03]])
    settings = GreedySettings(least_skill=least_skill)
    found = GreedyAllocator(_Unscored(worth), ChainPrice(), LADDER, settings).allocate(0.5 * WHOLE)
    assert found.reached
    assert found.counts[0] == 16
