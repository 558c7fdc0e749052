"""The page of runs beside each other in a real browser."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from niwaki.report.comparison import ComparisonData, build_comparison
from tests.report.browser import CHROMIUM, Page, browser_page
from tests.report.studies import LATENCY, MIOU, SIZE, SKILL
from tests.report.test_comparison import comparison, hostile, series

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="needs chromium"),
]

SEEDS = comparison(series("a", 2, seeds=5), series("b", 2))
MANY = comparison(*(series(name, 2) for name in "abcdefghijklm"))
FOUR = (SKILL, LATENCY, SIZE, MIOU)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with browser_page() as opened:
        yield opened


def opened(page: Page, folder: Path, data: ComparisonData, *, width: int = 1280) -> Page:
    path = folder / "comparison.html"
    path.write_text(build_comparison(data), encoding="utf-8")
    page.open(path, width=width, dark=width < 600)
    assert page.errors == []
    assert page.requests == [path.as_uri()]
    return page


def n_of(page: Page, selector: str) -> int:
    return int(page.run(f"document.querySelectorAll('{selector}').length"))


@pytest.mark.parametrize(
    "data",
    [
        SEEDS,
        MANY,
        comparison(series("a", 4), series("b", 4), objectives=FOUR),
        comparison(series("a", 1, n=1), series("b", 1, n=1), objectives=(LATENCY,)),
        comparison(series("a", 2, n=0), series("b", 2, n=0)),
        hostile(),
    ],
    ids=["seeds", "many", "four objectives", "one objective", "no front", "hostile"],
)
@pytest.mark.parametrize("width", [1280, 390])
def test_every_kind_of_comparison_draws(
    page: Page, tmp_path: Path, data: ComparisonData, width: int
) -> None:
    opened(page, tmp_path, data, width=width)
    assert page.run("document.documentElement.dataset.ready") == "true"
    assert page.run("document.documentElement.scrollWidth") <= width
    drawn = page.run("[...document.querySelectorAll('svg')].map((svg) => svg.outerHTML).join()")
    assert not re.findall("NaN|Infinity|undefined", drawn)


def test_every_run_has_a_line_and_every_search_a_curve(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, SEEDS)
    assert n_of(page, ".scatter .series-line") == 6
    drawn = page.run(
        "[...document.querySelectorAll('.scatter .series-point')].map((p) => p.getAttribute('d'))"
    )
    assert [path.count("M") for path in drawn] == [8] * 6
    assert (n_of(page, "#curves .series-line"), n_of(page, "#curves .series-band")) == (4, 2)


def test_looks_of_many_runs_can_be_told_apart(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, MANY)
    looks = page.run(
        """[...document.querySelectorAll('.series-keys svg')].map((svg) =>
             svg.getAttribute('class') + svg.querySelector('.series-point').getAttribute('d'))"""
    )
    assert len(set(looks)) == len(MANY.series)


def test_a_search_is_hidden_everywhere_by_keyboard(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, SEEDS)
    page.run("document.querySelector('.series-key').focus()")
    page.run("document.activeElement.click()")
    assert n_of(page, ".scatter .series-line") == 1
    assert n_of(page, "#curves .series-line") == 2
    assert n_of(page, "#table tbody") == 1
    assert page.run("document.activeElement.getAttribute('aria-pressed')") == "false"
    page.run("document.activeElement.click()")
    assert n_of(page, ".scatter .series-line") == 6


def test_arrow_keys_walk_along_a_front_and_to_the_next_run(page: Page, tmp_path: Path) -> None:
    data = comparison(series("a", 2), series("b", 2))
    opened(page, tmp_path, data)
    page.run("document.querySelector('.scatter').focus()")
    spoken = "document.querySelector('[aria-live]').textContent"
    told = []
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft"):
        page.key(key)
        told.append(str(page.run(spoken)).split(":")[0])
    assert told == ["a-0, baseline", "a-0, #0", "b-0, baseline", "b-0, #6"]


def test_any_two_objectives_can_be_shown(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, comparison(series("a", 4), series("b", 4), objectives=FOUR))
    label = "document.querySelector('.scatter').getAttribute('aria-label')"
    assert "by latency_ms and mean_skill" in page.run(label)
    page.run(
        """(() => { const control = document.querySelectorAll('#fronts select')[1];
             control.value = '2'; control.dispatchEvent(new Event('change')); })()"""
    )
    assert "by latency_ms and size_bytes" in page.run(label)


def test_the_table_shows_every_run_if_asked(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, SEEDS)
    assert n_of(page, "#table tbody tr") == 2
    page.run("document.querySelector('#table .toggle').click()")
    assert n_of(page, "#table tbody tr") == 7
    median = page.run("document.querySelector('#table tbody tr').textContent")
    assert "80.0\N{NO-BREAK SPACE}% to 95.0\N{NO-BREAK SPACE}%" in median
    assert "30 to > 100" in median


def test_evaluations_in_part_are_not_grouped_after_the_point(page: Page, tmp_path: Path) -> None:
    figures = [(effort, effort, effort) for effort in (1.0625, 0.9, float("inf"))]
    shown = [replace(series(name, 2), figures=figures) for name in "ab"]
    fronts = [replace(front, figures=(1.0625, 0.9, float("inf"))) for front in shown[0].fronts]
    opened(page, tmp_path, comparison(*(replace(each, fronts=fronts) for each in shown)))
    cells = page.run("[...document.querySelectorAll('#table tbody td')].map((c) => c.textContent)")
    assert cells[:3] == ["1.063", "90.0\N{NO-BREAK SPACE}%", "> 1.063"]


def test_where_the_front_has_no_width_the_page_says_what_gives_it(
    page: Page, tmp_path: Path
) -> None:
    data = comparison(series("a", 2), series("b", 2))
    said = "document.querySelector('#table .note').textContent"
    assert "no width" not in page_text(page, tmp_path, data, said)
    assert (
        "up to 1.1; in latency_ms, where this front has no width, the worst of all models is 1."
    ) in page_text(page, tmp_path, replace(data, narrow=("latency_ms",)), said)


def page_text(page: Page, folder: Path, data: ComparisonData, expression: str) -> str:
    return str(opened(page, folder, data).run(expression))


def test_where_nobody_followed_the_runs_there_are_no_curves(page: Page, tmp_path: Path) -> None:
    followed = comparison(series("a", 2), series("b", 2))
    bare = [replace(each, curves={}) for each in followed.series]
    opened(page, tmp_path, replace(followed, series=bare))
    assert page.run("document.getElementById('curves').hidden")
    assert n_of(page, "#table tbody tr") == 2


def test_curves_answer_to_their_buttons_and_the_pointer(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, SEEDS)
    path = "document.querySelector('#curves .series-line').getAttribute('d')"
    seen = {page.run(path)}
    for index in (0, 1):
        page.run(f"document.querySelectorAll('#curves .toggle')[{index}].click()")
        seen.add(page.run(path))
    assert len(seen) == 3
    page.run("document.querySelector('#curves svg').scrollIntoView({block: 'center'})")
    x, y = page.run(
        """(() => { const box = document.querySelector('#curves svg').getBoundingClientRect();
             return [box.right - 15, box.y + box.height / 2]; })()"""
    )
    page.mouse("mouseMoved", x, y)
    told = page.run("document.querySelector('.tooltip').textContent")
    assert "evaluations" in told and "95.8\N{NO-BREAK SPACE}%" in told
