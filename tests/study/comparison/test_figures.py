"""Figures as people see them, and the names of those that are made from something."""

import math

import pytest

from niwaki.core.objectives import Direction, Objective
from niwaki.study.comparison.figures import Figure, Kind, figures_for, needed_for


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (Kind.NUMBER, math.nan, "-"),
        (Kind.SHARE, math.nan, "-"),
        (Kind.SHARE, 0.1254, "12.5%"),
        (Kind.NUMBER, 0.25, "0.25"),
        (Kind.NEEDED, 17.0, "17"),
        (Kind.NEEDED, math.inf, "> 32"),
    ],
)
def test_a_figure_for_people(kind: Kind, value: float, text: str) -> None:
    assert Figure("name", "title", kind).text(value, spent=32.0) == text


def test_what_each_share_took_is_shown_where_it_is_known() -> None:
    accuracy = Objective("acc", Direction.MAXIMIZE)
    objectives = (accuracy, Objective("ms", Direction.MINIMIZE, unit="ms"))
    followed = figures_for(objectives, followed=True)
    assert [f.title for f in followed if f.kind is Kind.NEEDED] == [
        "to 50%",
        "to 90%",
        "to 95%",
        "to 99%",
    ]
    assert {f.name: f.title for f in followed}["best_acc"] == "acc (max)"
    assert {f.title: f.unit for f in followed}["ms (min)"] == "ms"
    alone = figures_for(objectives, followed=False)
    assert [f for f in followed if f not in alone] == [f for f in followed if f.kind is Kind.NEEDED]
    assert needed_for(0.95) == "needed_95"
