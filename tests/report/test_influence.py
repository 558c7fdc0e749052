"""Which decisions matter: against hand counts and chance."""

import numpy as np
import pytest
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate, Value
from niwaki.report.influence import ABSENT, MAX_OPTIONS, OTHER, explained_variance, influences


def test_explained_variance_matches_the_hand_count() -> None:
    groups, y = np.array([0, 0, 1, 1]), np.array([1.0, 2.0, 5.0, 6.0])
    # within 1.0, total 17.0: 1 - (1 / 2) / (17 / 3)
    assert explained_variance(groups, y) == pytest.approx(1 - 0.5 / (17 / 3))


def test_chance_explains_nothing_on_average() -> None:
    rng = np.random.default_rng(0)
    draws = [explained_variance(rng.integers(0, 4, 400), rng.normal(size=400)) for _ in range(50)]
    assert np.mean(draws) < 0.01


def test_one_group_or_one_value_explains_nothing() -> None:
    assert explained_variance(np.array([0, 0, 0]), np.array([1.0, 2.0, 3.0])) == 0.0
    assert explained_variance(np.array([0, 0, 1]), np.array([2.0, 2.0, 2.0])) == 0.0
    assert explained_variance(np.array([0, 1]), np.array([1.0, 2.0])) == 0.0


def test_the_decision_that_the_front_makes_comes_first() -> None:
    rng = np.random.default_rng(1)
    rows = [{"telling": int(i % 4 == 0), "idle": int(rng.integers(2))} for i in range(200)]
    on_front = np.array([row["telling"] == 1 and i < 100 for i, row in enumerate(rows)])
    costs = np.array([[row["telling"] + rng.normal(0, 0.1)] for row in rows])
    first, second = influences([Candidate.of(row) for row in rows], on_front, costs)
    assert (first.path, second.path) == ("telling", "idle")
    assert first.options == ("0", "1")
    assert first.n_all == (150, 50)
    assert first.n_front == (0, 25)
    assert first.shift == pytest.approx(0.75)
    assert first.explained[0] > 0.9 > 0.05 > second.explained[0]


def test_shift_by_chance_is_what_random_draws_show() -> None:
    rng = np.random.default_rng(2)
    candidates = [Candidate.of({"layer": str(option)}) for option in rng.integers(0, 3, 300)]
    found = []
    for _ in range(200):
        on_front = np.zeros(300, dtype=bool)
        on_front[rng.choice(300, 20, replace=False)] = True
        found.extend(influences(candidates, on_front, np.zeros((300, 1))))
    expected = next(i.shift - i.surprise for i in found if i.surprise > 0)
    assert expected == pytest.approx(np.mean([i.shift for i in found]), rel=0.1)


def test_inactive_decisions_are_an_option_of_their_own() -> None:
    deep = [Candidate.of({"depth": 2, "layer2": "int8", "width": w}) for w in (8, 16)]
    candidates = [Candidate.of({"depth": 1}), *deep]
    found = influences(candidates, np.array([True, False, False]), np.zeros((3, 1)))
    layer = next(i for i in found if i.path == "layer2")
    assert layer.options == ("int8", ABSENT)
    assert layer.n_front == (0, 1)


def test_many_options_are_gathered() -> None:
    rng = np.random.default_rng(3)
    rows: list[dict[str, Value]] = [
        {"rate": float(rng.random()), "name": f"n{int(rng.integers(40))}"} for _ in range(300)
    ]
    found = influences([Candidate.of(r) for r in rows], np.arange(300) < 9, np.zeros((300, 1)))
    by_path = {influence.path: influence for influence in found}
    assert all(len(i.options) <= MAX_OPTIONS and sum(i.n_all) == 300 for i in found)
    assert by_path["name"].options[-1] == OTHER
    assert max(by_path["rate"].n_all) < 60


def test_numbers_too_large_to_be_told_apart_never_vary() -> None:
    candidates = [Candidate.of({"id": 10**18 + i, "bit": i % 2}) for i in range(30)]
    (found,) = influences(candidates, np.arange(30) < 5, np.ones((30, 1)))
    assert found.path == "bit"


@pytest.mark.parametrize("n_others", [2, 30])
def test_whole_numbers_that_no_double_holds_are_options(n_others: int) -> None:
    candidates = [Candidate.of({"hash": 10 ** (400 + i % 2)}) for i in range(4)]
    candidates += [Candidate.of({"hash": number % n_others}) for number in range(2 * n_others)]
    on_front = np.arange(len(candidates)) < 2
    [found] = influences(candidates, on_front, np.zeros((len(candidates), 1)))
    assert sum(found.n_all) == len(candidates)


def test_a_decision_that_never_varies_is_left_out() -> None:
    candidates = [Candidate.of({"depth": 1, "width": w}) for w in (8, 16, 16)]
    found = influences(candidates, np.array([True, False, False]), np.zeros((3, 1)))
    assert [influence.path for influence in found] == ["width"]


@pytest.mark.parametrize("n_models", [MAX_OPTIONS - 1, 3 * MAX_OPTIONS])
def test_trees_of_which_no_two_are_alike_explain_nothing(n_models: int) -> None:
    trees = [("seq", f"linear(d={width})", "relu") for width in range(n_models)]
    candidates = [Candidate.of({"tree": tree}) for tree in trees]
    costs = np.arange(float(n_models))[:, None]
    assert influences(candidates, np.arange(n_models) < 5, costs) == []


def test_what_one_model_alone_decides_is_gathered_with_the_rest() -> None:
    names = ["common"] * 20 + [f"n{number}" for number in range(20)]
    candidates = [Candidate.of({"name": name}) for name in names]
    (found,) = influences(candidates, np.arange(40) < 5, np.zeros((40, 1)))
    assert (found.options, found.n_all) == (("common", OTHER), (20, 20))


@pytest.mark.parametrize("values", [np.linspace(0.9990, 0.9994, 20), np.arange(1000, 1012)])
def test_numbers_that_are_close_are_told_apart(values: NDArray[np.float64]) -> None:
    drawn = values[np.random.default_rng(4).integers(len(values), size=400)]
    candidates = [Candidate.of({"number": value}) for value in drawn.tolist()]
    (found,) = influences(candidates, drawn == values[0], drawn[:, None] - values[0])
    assert len(found.options) == MAX_OPTIONS - 2
    assert found.explained[0] > 0.9


def test_text_is_told_apart_from_what_reads_like_it() -> None:
    decided: list[Value] = ["absent", "other", "1", 1, "plain", None]
    candidates = [Candidate.of({} if v is None else {"op": v}) for v in decided for _ in range(2)]
    (found,) = influences(candidates, np.arange(12) < 3, np.zeros((12, 1)))
    assert found.options == ("1", '"1"', '"absent"', '"other"', "plain", ABSENT)
    assert found.n_all == (2,) * 6
