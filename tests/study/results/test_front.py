"""What a front hands out, also when nothing is on it."""

import csv
from math import inf, nan
from pathlib import Path

import pytest

from niwaki.core.candidate import Candidate
from niwaki.core.constraints import Bound, Constraint
from niwaki.core.errors import ConfigError
from niwaki.core.measurement import Measurement
from niwaki.core.objectives import Direction, Objective
from niwaki.study.record.events import Asked, Told
from niwaki.study.record.history import History
from niwaki.study.results.front import Front, FrontModel, front_of, weights_of
from niwaki.study.results.misses import nearest_miss

OBJECTIVES = (Objective("gain", Direction.MAXIMIZE), Objective("price", Direction.MINIMIZE))


def model(number: int, gain: float, price: float) -> FrontModel:
    candidate = Candidate.of({"number": number})
    measured = Measurement(candidate.key, {"gain": gain, "price": price})
    return FrontModel(number, candidate, measured, None)


MODELS = (model(0, 9.0, 90.0), model(1, 8.0, 30.0), model(2, 1.0, 10.0))


def test_an_empty_front_names_its_columns_all_the_same() -> None:
    assert Front(OBJECTIVES, (), Path("run")).to_csv() == "key,number,gain,price,role\n"


def test_no_two_columns_have_one_name() -> None:
    objectives = tuple(Objective(name, Direction.MINIMIZE) for name in ("number", "role", "at"))
    header = "key,number,number (value),role (value),at,role\n"
    assert Front(objectives, (), Path("run")).to_csv() == header


def test_no_name_in_a_csv_is_a_formula() -> None:
    objectives = (Objective("=1+1", Direction.MINIMIZE), Objective("a-b", Direction.MINIMIZE))
    header = Front(objectives, (), Path("run")).to_csv()
    assert header == "key,number,'=1+1,a-b,role\n"


def test_decisions_have_columns_of_their_own() -> None:
    decided = Candidate.of({"number": 7, "kernel": (3, 5), "bias": True})
    other = Candidate.of({"gain": "high"})
    found = [
        FrontModel(row, each, Measurement(each.key, {"gain": 1.0, "price": 2.0}), None)
        for row, each in enumerate((decided, other))
    ]
    head, *rows = csv.reader(Front(OBJECTIVES, tuple(found), Path("run")).to_csv().splitlines())
    names = ["bias", "kernel", "number (decision)", "gain (decision)"]
    assert head == ["key", "number", "gain", "price", *names, "role"]
    assert [row[4:-1] for row in rows] == [["true", "[3,5]", "7", ""], ["", "", "", "high"]]


def test_a_front_is_one_line_in_a_notebook() -> None:
    shown = repr(Front(OBJECTIVES, MODELS, Path("run")))
    assert shown == "<Front of 3 models in 'run': gain maximize, price minimize>"


def told(*values: dict[str, float]) -> History:
    """Return the history of candidates that measured these values."""
    history = History()
    for number, each in enumerate(values):
        candidate = Candidate.of({"number": number})
        history.add(Asked(number, candidate))
        history.add(Told(number, Measurement(candidate.key, each)))
    return history


def test_a_model_that_lacks_what_is_bounded_is_not_within() -> None:
    history = told(
        {"gain": 1.0, "price": 1.0, "watts": 3.0},
        {"gain": 2.0, "price": 2.0, "watts": 5.0},
        {"gain": 3.0, "price": 3.0},
    )
    found = front_of(
        history,
        objectives=OBJECTIVES,
        constraints=(Constraint.parse("watts <= 4"),),
        folder=Path("run"),
    )
    assert [model.number for model in found.models] == [0]


@pytest.mark.parametrize(
    ("rows", "miss"),
    [
        ([{"price": 1.0}, {"price": 1.0, "watts": 9.0}], "watts is 9, wanted watts <= 4"),
        ([{"price": 1.0}], "watts was not measured, wanted watts <= 4"),
        ([{"price": 7.0}], "price is 7, wanted price <= 2"),
        ([{"gain": 1.0}], ""),
    ],
)
def test_the_nearest_miss_is_of_what_was_measured(rows: list[dict[str, float]], miss: str) -> None:
    bounds = (Bound("price", 1.0, 2.0), Bound("watts", 1.0, 4.0))
    assert nearest_miss(told(*rows).trials, bounds) == miss


@pytest.mark.parametrize(
    ("weights", "wanted"),
    [({}, 1), ({"gain": 9.0}, 0), ({"price": 9.0}, 2), ({"gain": 0.0}, 2), ({"price": 0}, 0)],
)
def test_the_knee_is_where_what_matters_is_near(weights: dict[str, float], wanted: int) -> None:
    front = Front(OBJECTIVES, MODELS, Path("run"), weights=weights)
    assert front.knee is MODELS[wanted]
    assert front.choose("knee") == (MODELS[wanted],)
    assert front.to_json()["knee"] == MODELS[wanted].key
    rows = front.to_csv().splitlines()[1:]
    assert [row.rpartition(",")[2] for row in rows].index("knee") == wanted


@pytest.mark.parametrize(
    ("weights", "fault"),
    [
        ({"gains": 1.0}, "no objective 'gains' to weigh; did you mean 'gain'"),
        ({"gain": -1.0}, "'gain' is -1.0: give a number from 0 on"),
        ({"gain": nan}, "give a number from 0 on"),
        ({"gain": inf}, "give a number from 0 on"),
        ({"gain": 0.0, "price": 0.0}, "all objectives weigh 0"),
        ({"gain": "3"}, "the weight of 'gain' is '3': give a number"),
    ],
)
def test_weights_that_say_nothing_are_told(weights: dict[str, float], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        Front(OBJECTIVES, MODELS, Path("run"), weights=weights)


def test_weights_are_read_from_text() -> None:
    assert weights_of(["gain=2", " price = .5 "]) == {"gain": 2.0, "price": 0.5}
    for texts, fault in (
        (["gain"], "write `objective=number`"),
        (["gain=much"], "'gain=much' cannot be read"),
        (["gain=1", "gain=2"], "'gain' is weighed twice"),
    ):
        with pytest.raises(ConfigError, match=fault):
            weights_of(texts)
