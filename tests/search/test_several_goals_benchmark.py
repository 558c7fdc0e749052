"""The benchmark of goals: what is counted of one search, and of a search for each goal."""

import itertools
from math import inf, isnan
from pathlib import Path

import numpy as np
import pytest

from benchmarks.efficiency.cache import Cache
from benchmarks.efficiency.goal_searches import LEAST_OF_ONE, alone, one_front, with_goals
from benchmarks.efficiency.goals import (
    AFTER,
    ENOUGH,
    TableWithGoals,
    by_all_rows,
    by_one_each,
    by_one_each_paid_once,
    by_one_search,
    in_turn,
)
from benchmarks.efficiency.scenario import Meter, Scenario
from benchmarks.several_goals import Runs, cell, lines
from niwaki.core.randomness import stream
from niwaki.evaluation.table import TableEvaluator, TableSettings, ValueColumn


@pytest.fixture
def table(tmp_path: Path) -> TableWithGoals:
    """A grid of 14 x 14: quality against what it costs on two devices."""
    rng = stream(0, "goals")
    texts = ["a,b,quality,phone,server"]
    for a, b in itertools.product(range(14), range(14)):
        quality, phone, server = a + 2 * b + rng.random(), a + b + rng.random(), 14 - a + b
        texts.append(f"{a},{b},{quality},{phone},{server}")
    path = tmp_path / "table.csv"
    path.write_text("\n".join(texts) + "\n")
    values = {name: ValueColumn("minimize") for name in ("phone", "server")}
    values["quality"] = ValueColumn("maximize")
    evaluator = TableEvaluator(TableSettings(file=str(path), decisions=("a", "b"), values=values))
    whole = Scenario("test", "test", evaluator, ("quality", "phone", "server"))
    return TableWithGoals.of(whole, [("quality", "phone"), ("quality", "server")])


def orders(table: TableWithGoals) -> list[list[int]]:
    """Return all rows in two orders."""
    n_rows = len(table.whole.grid)
    return [stream(seed, "order").permutation(n_rows).tolist() for seed in (0, 1)]


def first(goal: Scenario, rows: list[int], wanted: float) -> int:
    """Return by going through all after how many rows a goal has a share."""
    return next(n for n in range(1, len(rows) + 1) if goal.share(rows[:n]) >= wanted)


def test_goals_are_fronts_of_the_same_rows(table: TableWithGoals) -> None:
    for goal, columns in zip(table.goals, ([0, 1], [0, 2]), strict=True):
        np.testing.assert_array_equal(goal.truth, table.whole.truth[:, columns])
    assert [goal.name for goal in table.goals] == ["test/quality+phone", "test/quality+server"]


def test_one_search_is_done_when_its_last_goal_is(table: TableWithGoals) -> None:
    rows, _ = orders(table)
    reached = by_one_search(table.goals, rows)
    by_hand = [max(first(goal, rows, share) for goal in table.goals) for share in (0.9, 0.95)]
    assert list(reached.needed) == by_hand
    shares = [goal.share(rows[:40]) for goal in table.goals]
    assert reached.shares[0] == pytest.approx(sum(shares) / 2)


def test_fewer_rows_tell_nothing_of_more(table: TableWithGoals) -> None:
    reached = by_one_search(table.goals, orders(table)[0][:50])
    assert [isnan(share) for share in reached.shares] == [False, True, True]
    assert by_one_search(table.goals, [0]).needed == (inf, inf)


def test_searches_of_each_goal_are_added_up(table: TableWithGoals) -> None:
    searches = orders(table)
    pairs = list(zip(table.goals, searches, strict=True))
    counts = [first(goal, rows, 0.9) for goal, rows in pairs]
    reached = by_one_each(table.goals, searches)
    assert reached.needed[0] == sum(counts)
    assert reached.shares[0] == pytest.approx(np.mean([g.share(rows[:20]) for g, rows in pairs]))
    assert by_one_each(table.goals, [searches[0], [0]]).needed[0] == inf


def test_what_two_searches_evaluate_is_paid_once(table: TableWithGoals) -> None:
    rows, _ = orders(table)
    counts = [first(goal, rows, 0.9) for goal in table.goals]
    reached = by_one_each_paid_once(table.goals, [rows, rows])
    assert reached.needed[0] == max(counts) < sum(counts)
    assert reached.shares[0] == pytest.approx(np.mean([g.share(rows[:40]) for g in table.goals]))
    assert by_one_each_paid_once(table.goals, [rows, [0]]).needed == (inf, inf)


def test_searches_take_turns_and_repeats_are_free() -> None:
    searches = [[1, 2, 3, 4], [1, 5], [2, 6, 7]]
    assert in_turn(searches, 4) == [[1, 2], [1, 5], [2, 6]]
    assert in_turn(searches, 100) == searches


def test_all_rows_count_for_all_goals(table: TableWithGoals) -> None:
    searches = orders(table)
    mixed = list(dict.fromkeys(itertools.chain(*zip(*searches, strict=True))))
    assert by_all_rows(table.goals, searches) == by_one_search(table.goals, mixed)
    apart = by_one_each_paid_once(table.goals, searches)
    assert (np.array(by_all_rows(table.goals, searches).shares) >= apart.shares).all()


def test_a_search_ends_when_its_goals_have_enough(table: TableWithGoals) -> None:
    goal = table.goals[0]
    meter = Meter(goal, len(goal.grid))
    alone("random", goal).load()(meter, 0)
    assert LEAST_OF_ONE <= len(meter.rows) < len(goal.grid)
    assert goal.share(meter.rows) >= ENOUGH
    assert len(meter.rows) == LEAST_OF_ONE or goal.share(meter.rows[:-1]) < ENOUGH


@pytest.mark.parametrize("way", [with_goals, one_front])
def test_a_search_of_all_goals_waits_for_the_last(way: type, table: TableWithGoals) -> None:
    meter = Meter(table.whole, len(table.whole.grid))
    way("nsga2", table).load()(meter, 0)
    assert AFTER[-1] <= len(meter.rows)
    assert all(goal.share(meter.rows) >= ENOUGH for goal in table.goals)


def test_every_way_has_a_line_and_is_found_again(tmp_path: Path, table: TableWithGoals) -> None:
    cache = Cache(tmp_path / "runs")
    made = list(lines(Runs(cache, 130, makes=True), table, ["nsga2", "random"], range(2)))
    ways = ["goals", "each", "each, paid once", "each, all rows", "one front"]
    assert [text.split(" | ")[1] for text in made] == [*(f"nsga2, {w}" for w in ways), "random"]
    found = lines(Runs(cache, 130, makes=False), table, ["nsga2", "random"], range(2))
    assert list(found) == made
    assert list(lines(Runs(cache, 130, makes=False), table, ["linas"], range(2))) == []


def test_quartiles_are_those_of_runs() -> None:
    assert cell([3.0, 5.0, inf, 9.0, 1.0], "g") == "5 (1, 9)"
    assert cell([3.0, inf, inf], "g") == "- (3, -)"
