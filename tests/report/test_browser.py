"""The page in a real browser: it draws, it answers, it complains about nothing."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from niwaki.core.candidate import Candidate
from niwaki.core.measurement import Measurement, Trial
from niwaki.report import ReportData, build_report
from niwaki.report.headline import headline
from niwaki.report.models import Models
from tests.report.browser import CHROMIUM, Page, browser_page
from tests.report.studies import LATENCY, MIOU, RMSE, SIZE, SKILL, goals, study
from tests.report.test_page import HOSTILE, hostile

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="needs chromium"),
]

FIVE = (SKILL, LATENCY, SIZE, MIOU, RMSE)
CENTRE = """(() => { const box = document.querySelectorAll('%s')[%d].getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2]; })()"""


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with browser_page() as opened:
        yield opened


def opened(page: Page, folder: Path, *shown: ReportData, **how: int | bool) -> Page:
    path = folder / "report.html"
    path.write_text(build_report(*shown), encoding="utf-8")
    page.open(path, width=int(how.get("width", 1280)), dark=bool(how.get("dark", False)))
    assert page.errors == []
    assert page.requests == [path.as_uri()]
    return page


def centre(page: Page, selector: str, index: int = 0) -> tuple[float, float]:
    page.run(
        f"document.querySelectorAll('{selector}')[{index}].scrollIntoView({{block: 'center'}})"
    )
    x, y = page.run(CENTRE % (selector, index))
    return float(x), float(y)


@pytest.mark.parametrize(
    "data",
    [
        study(0),
        study(20, failing=1.0),
        study(30, (LATENCY,)),
        study(60, FIVE),
        replace(study(10), baseline=None, finals={}, bounds=(), hypervolume=(), told_at_seconds=()),
        ReportData(study="", objectives=(SKILL,), trials=()),
        hostile(),
    ],
    ids=["no trial", "failures", "one objective", "five", "bare", "empty", "hostile"],
)
@pytest.mark.parametrize("width", [1280, 390])
def test_every_kind_of_study_draws(
    page: Page, tmp_path: Path, data: ReportData, width: int
) -> None:
    opened(page, tmp_path, data, width=width)
    assert page.run("document.documentElement.dataset.ready") == "true"
    assert page.run("document.documentElement.scrollWidth") <= width
    assert page.run("document.querySelectorAll('script, img').length") == 2
    drawn = page.run("[...document.querySelectorAll('svg')].map((svg) => svg.outerHTML).join()")
    assert not re.findall("NaN|Infinity|undefined", drawn)


def test_a_control_keeps_the_focus_when_it_changes_the_plot(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, study(30, FIVE))
    control = "document.querySelectorAll('.controls button')[1]"
    before = page.run(f"{control}.getAttribute('aria-pressed')")
    page.run(f"{control}.focus(); {control}.click()")
    assert page.run(f"{control}.getAttribute('aria-pressed')") != before
    assert page.run(f"document.activeElement === {control}")


def test_every_measured_model_is_a_point(page: Page, tmp_path: Path) -> None:
    data = study(400)
    opened(page, tmp_path, data)
    page.run("document.querySelector('.note .toggle')?.click()")
    both = {"mean_skill", "latency_ms"}
    n_placed = sum(both <= set(trial.measurement.values) for trial in data.trials) + 1
    assert int(page.run("document.querySelector('.scatter').dataset.points")) == n_placed
    assert page.run("document.querySelectorAll('.scatter .front-point').length") == len(
        data.front_keys
    )
    assert page.run("document.querySelectorAll('.front-table tbody tr').length") == len(
        data.front_keys
    )


def test_a_baseline_that_is_the_best_is_in_the_table(page: Page, tmp_path: Path) -> None:
    data = study(30, (LATENCY,))
    assert data.baseline is not None
    fast = replace(
        data.baseline, values={**data.baseline.values, "latency_ms": 1e-3, "depth_rmse": 0.1}
    )
    best = fast.key
    data = replace(data, baseline=fast, finals={best: fast}, front_keys=(best,), knee_key=best)
    opened(page, tmp_path, replace(data, chosen_keys=()))
    links = "document.querySelectorAll('.front-table a[href=\"#baseline\"]').length"
    assert page.run(links) == 1


def test_what_was_not_exported_is_not_called_dominated(page: Page, tmp_path: Path) -> None:
    data = study(60)
    first, *others = data.front_keys
    opened(page, tmp_path, replace(data, front_keys=(first,), spare_keys=tuple(others)))
    legend = "document.querySelector('.legend').textContent"
    assert "front of the search, not exported" in page.run(legend)
    drawn = page.run("document.querySelector('.scatter .dots.spare').getAttribute('d')")
    assert drawn.count("M") == len(others)
    assert f"{len(others)} more not exported" in page.run("document.body.textContent")
    opened(page, tmp_path, data)
    assert "not exported" not in page.run(legend)


def test_colouring_sorts_the_models_a_few_times_not_once_for_each_of_the_front(
    page: Page, tmp_path: Path
) -> None:
    data = study(400)
    opened(page, tmp_path, data)
    n_sorted = page.run(
        """(() => {
             let n = 0;
             const sort = Array.prototype.sort;
             Array.prototype.sort = function (...by) {
               if (this.length > 100) n += 1;
               return sort.apply(this, by);
             };
             const control = document.querySelectorAll('.controls select')[2];
             control.value = 'latency_ms';
             control.dispatchEvent(new Event('change'));
             Array.prototype.sort = sort;
             return n;
           })()"""
    )
    assert page.run("document.querySelectorAll('[class*=ramp-fill]').length") == len(
        data.front_keys
    )
    assert n_sorted < len(data.front_keys)


def test_large_whole_numbers_keep_their_digits(page: Page, tmp_path: Path) -> None:
    candidate = Candidate.of({"units": (2**60 + 1, "a"), "w": -(2**63)})
    trial = Trial(0, candidate, Measurement(candidate.key, {"latency_ms": 1.0}))
    data = ReportData(
        study="s",
        objectives=(LATENCY,),
        trials=(trial,),
        front_keys=(candidate.key,),
        seed=2**60 + 1,
    )
    opened(page, tmp_path, data)
    page.run("location.hash = '#trial=0'")
    shown = page.run("[...document.querySelectorAll('.recipe pre')].at(-1).textContent")
    assert json.loads(shown) == candidate.to_json()
    assert str(2**60 + 1) in page.run("document.querySelector('.environment').textContent")


def test_a_click_selects_in_plot_table_panel_and_address(page: Page, tmp_path: Path) -> None:
    data = study(200)
    opened(page, tmp_path, data)
    x, y = centre(page, ".front-point", 1)
    row = page.run("document.querySelectorAll('.front-point')[1].dataset.row")
    page.click(x, y)
    number = data.trials[int(row)].number
    assert page.run("location.hash") == f"#trial={number}"
    assert page.run("document.querySelector('.front-table .selected').dataset.row") == row
    assert f"#{number}" in page.run("document.querySelector('.model-name').textContent")
    shown = page.run("[...document.querySelectorAll('.recipe pre')].at(-1).textContent")
    assert page.run(f"JSON.stringify(JSON.parse({shown!r}))") == page.run(
        f"JSON.stringify({dict(data.trials[int(row)].candidate.to_json())!r})"
    )
    assert page.errors == []


def test_the_address_selects_when_the_page_opens(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, study(50))
    page.run("location.hash = '#baseline'")
    page.settle()
    assert page.run("document.querySelector('.model-name').textContent").startswith("The baseline")


def front_shown(page: Page) -> list[int]:
    return sorted(
        page.run(
            "[...document.querySelectorAll('.front-table tbody tr')].map((tr) => +tr.dataset.row)"
        )
    )


def test_the_address_switches_between_goals(page: Page, tmp_path: Path) -> None:
    shown = goals(120)
    opened(page, tmp_path, *shown)
    fronts = [sorted(Models(data).front) for data in shown]
    assert front_shown(page) == fronts[0]
    parallel = "document.getElementById('parallel').hidden"
    assert page.run(parallel) is True
    page.click(*centre(page, ".goals a", 2))
    assert page.run("location.hash") == "#goal=depth"
    assert front_shown(page) == fronts[2]
    assert page.run(parallel) is False
    assert page.run("document.querySelector('.goals [aria-current]').textContent") == "depth"
    heading = page.run("document.querySelector('h1').textContent")
    assert heading == headline(Models(shown[2])).text
    values = page.run(
        "[...document.querySelectorAll('.values tbody th')].map((th) => th.textContent)"
    )
    assert values[:3] == ["depth_rmse", "size_bytes", "latency_ms"]
    assert "--goal depth" in page.run("document.querySelector('.recipe pre').textContent")
    assert "exported to answer 'depth' alone" in page.run(
        "document.querySelector('.model-head').textContent"
    )
    page.run("document.querySelector('.front-table tbody tr').click()")
    page.settle()
    assert re.fullmatch(r"#goal=depth&trial=\d+", page.run("location.hash"))
    for _ in range(2):
        page.run("new Promise((done) => { onhashchange = () => done(); history.back(); })")
    page.settle()
    assert page.run("location.hash") == "" and front_shown(page) == fronts[0]
    assert page.run(parallel) is True
    assert page.errors == []


def test_goals_are_reached_with_keys_alone(page: Page, tmp_path: Path) -> None:
    shown = goals(60)
    opened(page, tmp_path, *shown)
    page.run("document.querySelectorAll('.goals a')[1].focus()")
    for kind in ("keyDown", "keyUp"):
        page.send(
            "Input.dispatchKeyEvent",
            type=kind,
            key="Enter",
            code="Enter",
            windowsVirtualKeyCode=13,
            text="\r",
        )
    page.settle()
    assert front_shown(page) == sorted(Models(shown[1]).front)
    assert page.run("document.activeElement.textContent") == "segmentation"


def test_a_link_leads_to_a_model_of_a_goal(page: Page, tmp_path: Path) -> None:
    first, second, third = goals(60)
    key = second.front_keys[0]
    number = next(t.number for t in second.trials if t.candidate.key == key)
    long = replace(first, goal="a" * 64)
    opened(page, tmp_path, long, second, third, width=390)
    page.run(f"location.hash = '#goal=segmentation&trial={number}'")
    page.settle()
    assert page.run("document.querySelector('.model-name').textContent").startswith(
        f"Model #{number}"
    )
    assert front_shown(page) == sorted(Models(second).front)
    assert page.run("document.documentElement.scrollWidth") <= 390
    page.run("location.hash = '#goal=unknown'")
    page.settle()
    assert front_shown(page) == sorted(Models(second).front)
    assert page.errors == []


def test_keys_walk_along_the_front(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, study(200))
    page.run("document.querySelector('.scatter').focus()")
    page.key("ArrowRight")
    assert page.run("document.querySelector('.tooltip').hidden") is False
    spoken = page.run("document.querySelector('[aria-live]').textContent")
    page.key("Enter")
    number = page.run("location.hash").removeprefix("#trial=")
    assert spoken.startswith(f"#{number}, front")


def test_any_two_values_and_every_scale_draw(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, study(80, FIVE))
    page.run(
        """(() => {
             const options = document.querySelector('.controls select').options;
             const names = [...options].map((option) => option.value);
             for (const index of [0, 1, 2, 3]) for (const name of names) {
               const control = document.querySelectorAll('.controls select')[index];
               control.value = name;
               if (control.value === '') continue;
               control.dispatchEvent(new Event('change'));
               document.querySelector('.controls .toggle:not(:disabled)')?.click();
             }
           })()"""
    )
    assert page.errors == []
    assert "NaN" not in page.run("document.querySelector('.scatter').outerHTML")


def test_dragging_along_an_axis_keeps_part_of_the_front(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, study(80, FIVE))
    x, y = centre(page, ".grip", 1)
    page.mouse("mouseMoved", x, y - 60)
    page.mouse("mousePressed", x, y - 60)
    page.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, button="left", buttons=1)
    page.mouse("mouseReleased", x, y)
    page.settle()
    said = page.run("document.querySelector('#parallel .note').textContent")
    n_faded = page.run("document.querySelectorAll('.scatter .front-point.faded').length")
    n_front = page.run("document.querySelectorAll('.scatter .front-point').length")
    assert said.startswith(f"{n_front - n_faded} of {n_front} models kept")
    assert 0 < n_faded < n_front


@pytest.mark.parametrize("width", [1280, 390])
def test_long_names_of_axes_keep_apart(page: Page, tmp_path: Path, width: int) -> None:
    long = tuple(replace(o, name=f"{o.name}_of_a_task_that_has_a_long_name") for o in FIVE)
    names = {short.name: o.name for short, o in zip(FIVE, long, strict=True)}
    data = study(20, FIVE)
    trials = [
        replace(t, measurement=replace(t.measurement, values=_renamed(t.measurement.values, names)))
        for t in data.trials
    ]
    bare = replace(data, objectives=long, trials=trials, baseline=None, finals={}, bounds=())
    opened(page, tmp_path, bare, width=width)
    boxes = page.run(
        """[...document.querySelectorAll('.parallel .axis-name')].map((name) => {
             const box = name.getBoundingClientRect();
             return [box.left, box.right, Math.round(box.top)];
           })"""
    )
    assert len(boxes) == len(FIVE)
    for top in {box[2] for box in boxes}:
        line = sorted(box for box in boxes if box[2] == top)
        assert all(left[1] < right[0] for left, right in pairwise(line))


def _renamed(values: Mapping[str, float], names: Mapping[str, str]) -> dict[str, float]:
    return {names.get(name, name): value for name, value in values.items()}


def test_layers_show_asked_and_realised(page: Page, tmp_path: Path) -> None:
    data = study(200)
    opened(page, tmp_path, data)
    table = "[...document.querySelectorAll('.layer-table tbody tr')]"
    shown = page.run(f"{table}.map((tr) => [tr.cells[0].textContent, tr.cells[3].textContent])")
    layers = data.finals[data.knee_key].details["layers"]
    assert isinstance(layers, list)
    assert shown == [[layer["path"], layer["asked"]] for layer in layers]
    strayed = sum(layer["asked"] != layer["realised"] for layer in layers)
    assert page.run(f"{table}.filter((tr) => tr.classList.contains('differs')).length") == strayed
    assert page.run("document.querySelectorAll('.layers .layer').length") == len(layers)


def test_hostile_names_are_shown_as_they_are(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, hostile())
    page.run("document.querySelectorAll('.failures a')[0].click()")
    page.settle()
    shown = page.run("document.querySelector('#model-body .reason').textContent")
    assert HOSTILE[:60] in shown
    assert page.errors == []


def test_dark_follows_the_system_and_the_button(page: Page, tmp_path: Path) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light = opened(page, tmp_path, study(10)).run(ground)
    dark = opened(page, tmp_path, study(10), dark=True).run(ground)
    assert light != dark
    page.run("document.getElementById('theme').click()")
    assert page.run(ground) == light
