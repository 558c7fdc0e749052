"""The page of runs beside each other, as text."""

import html
import re

import numpy as np
import pytest

from niwaki.core.errors import ConfigError
from niwaki.core.objectives import Direction, Objective
from niwaki.report.comparison import (
    ComparisonData,
    Curve,
    FrontLine,
    Series,
    build_comparison,
)
from tests.report.studies import LATENCY, SIZE, SKILL
from tests.report.test_page import HOSTILE, payload_of

COLUMNS = (("evaluations", "number", ""), ("share", "share", ""), ("to 90%", "needed", ""))


def front_line(name: str, m: int, seed: int, n: int) -> FrontLine:
    """Return a made-up front of a merit and m - 1 costs, the baseline with the least of all."""
    merits = np.sort(np.random.default_rng(seed).random(n))
    values = np.array([merits, *(1.0 + (cost + 1) * merits for cost in range(m - 1))]).T
    return FrontLine(run=name, numbers=np.arange(n) - 1, values=values, figures=(100.0, 0.9, 40.0))


def series(name: str, m: int, *, seeds: int = 1, n: int = 8) -> Series:
    """Return a made-up search."""
    at = np.arange(0.0, 101.0, 5.0)
    median = 1.0 - np.exp(-at / 30.0)
    curve = Curve(at=at, median=median, low=0.9 * median, high=np.minimum(1.0, 1.1 * median))
    fronts = [front_line(f"{name}-{seed}", m, seed, n) for seed in range(seeds)]
    return Series(
        name=name,
        told=f"searcher.kind {name}",
        fronts=fronts,
        curves={"evaluations": curve, "seconds": curve},
        figures=[(100.0, 100.0, 100.0), (0.9, 0.8, 0.95), (40.0, 30.0, float("inf"))],
    )


def comparison(
    *shown: Series, objectives: tuple[Objective, ...] = (SKILL, LATENCY), note: str = "a note"
) -> ComparisonData:
    """Return made-up runs beside each other."""
    values = np.concatenate([f.values for each in shown for f in each.fronts])
    return ComparisonData(
        headline=f"'{shown[0].name}' found most.",
        objectives=objectives,
        joined=values,
        series=shown,
        columns=COLUMNS,
        notes=[note],
    )


def hostile() -> ComparisonData:
    objectives = tuple(Objective(f"{HOSTILE}{i}", Direction.MINIMIZE, HOSTILE) for i in range(2))
    return comparison(series(HOSTILE, 2), objectives=objectives, note=HOSTILE)


def test_the_page_asks_for_nothing() -> None:
    page = build_comparison(comparison(series("a", 2, seeds=3), series("b", 2)))
    assert set(re.findall(r"https?://[^\"'\s<]+", page)) == {"http://www.w3.org/2000/svg"}
    assert not re.findall(r"<(?:script|img|iframe)[^>]+src=", page)
    assert "default-src 'none'" in page
    assert not re.findall(r"\{\{\w+\}\}", page)


def test_the_same_data_give_the_same_bytes() -> None:
    pages = {build_comparison(comparison(series("a", 2), series("b", 2))) for _ in range(2)}
    assert len(pages) == 1


def test_hostile_text_stays_text() -> None:
    page = build_comparison(hostile())
    assert (page.count("<script"), page.count("</script>"), page.count("<img")) == (2, 2, 0)
    assert payload_of(page)["notes"] == [HOSTILE]
    assert html.escape(HOSTILE.replace("\ud800", "?")) in page


def test_values_come_by_objective_and_what_is_not_a_number_as_null() -> None:
    shown = series("a", 3, n=4)
    payload = payload_of(build_comparison(comparison(shown, objectives=(SKILL, LATENCY, SIZE))))
    front = payload["series"][0]["fronts"][0]
    assert pytest.approx(shown.fronts[0].values, rel=1e-5) == np.array(front["values"]).T
    assert front["numbers"] == [-1, 0, 1, 2]
    assert payload["series"][0]["figures"][2] == [40, 30, None]
    assert [o["unit"] for o in payload["objectives"]] == ["", "ms", "bytes"]


def test_many_runs_are_named_by_the_first() -> None:
    page = build_comparison(comparison(*(series(name, 2) for name in "abcde")))
    assert "<title>a, b, c and 2 more \u2013 niwaki comparison</title>" in page


def test_a_comparison_of_nothing_and_figures_without_a_column_are_refused() -> None:
    whole = comparison(series("a", 2))
    with pytest.raises(ConfigError, match="shows runs, and none came"):
        ComparisonData(**{**vars(whole), "series": ()})
    with pytest.raises(ConfigError, match=r"'a' has \[3\] figures for 2 columns"):
        ComparisonData(**{**vars(whole), "columns": COLUMNS[:2]})
