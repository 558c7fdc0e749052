"""The page as text: size, safety, offline, every kind of study."""

import html
import json
import re
from dataclasses import replace
from importlib.resources import files
from typing import Any, Literal

import pytest

from niwaki.core.candidate import Candidate
from niwaki.core.jsonable import JSON
from niwaki.core.measurement import Measurement, Status, Trial
from niwaki.core.objectives import Direction, Objective
from niwaki.report import ReportData, build_report
from niwaki.report.page import MAX_PAGE_BYTES, joined_script
from tests.report.studies import LATENCY, MIOU, RMSE, SIZE, SKILL, study

HOSTILE = (
    "</script><script>alert('1')</script>\"'<img src=x onerror=alert(1)>&amp;{{data}}\u2028\ud800"
)


def payload_of(page: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found.group(1))


def hostile() -> ReportData:
    objective = Objective(HOSTILE, Direction.MINIMIZE, HOSTILE)
    good, bad = Candidate.of({HOSTILE: HOSTILE}), Candidate.of({HOSTILE: 2})
    layers: list[JSON] = [{"path": HOSTILE, "kind": HOSTILE, "width": 3, "asked": HOSTILE}]
    trials = [
        Trial(0, good, Measurement(good.key, {HOSTILE: 1.0}, details={"layers": layers})),
        Trial(1, bad, Measurement(bad.key, status=Status.FAILED, reason=HOSTILE)),
    ]
    return ReportData(
        study=HOSTILE,
        objectives=(objective,),
        trials=trials,
        searcher=HOSTILE,
        config_yaml=HOSTILE,
        environment={HOSTILE: HOSTILE},
        target_id=HOSTILE,
        front_keys=(good.key,),
        knee_key=good.key,
        repeat_command=HOSTILE,
        export_command=HOSTILE + "{key}",
    )


def test_a_thousand_trials_stay_below_a_megabyte() -> None:
    page = build_report(study(1000))
    assert len(page.encode()) < MAX_PAGE_BYTES
    payload = payload_of(page)
    assert len(payload["models"]["states"]) == 1001
    assert payload["layers"]["n_left_out"] == 0


def with_unique_layers(trial: Trial, n_layers: int) -> Trial:
    first = trial.number * n_layers
    layers: list[JSON] = [{"path": f"layer{i}", "macs": first + i} for i in range(n_layers)]
    return replace(trial, measurement=replace(trial.measurement, details={"layers": layers}))


def test_too_many_layers_are_left_out_but_for_notable_models() -> None:
    data = study(200)
    trials = [with_unique_layers(trial, 150) for trial in data.trials]
    page = build_report(replace(data, trials=trials, finals={}))
    payload = payload_of(page)
    assert len(page.encode()) < MAX_PAGE_BYTES
    assert payload["layers"]["n_left_out"] > 150
    assert set(map(str, payload["models"]["front"])) <= set(payload["layers"]["models"])


def test_the_page_asks_for_nothing() -> None:
    page = build_report(study(30))
    addresses = set(re.findall(r"https?://[^\"'\s<]+", page))
    assert addresses == {"http://www.w3.org/2000/svg"}
    assert not re.findall(r"<link[^>]+href=(?!\"data:,\")", page)
    assert not re.findall(r"<(?:script|img|iframe)[^>]+src=", page)
    assert "@import" not in page
    assert "url(" not in page
    assert "default-src 'none'" in page


def test_the_same_data_give_the_same_bytes() -> None:
    assert build_report(study(50)) == build_report(study(50))


def test_hostile_text_stays_text() -> None:
    page = build_report(hostile())
    assert page.count("<script") == 2
    assert page.count("</script>") == 2
    assert "<img" not in page
    assert payload_of(page)["study"]["config"] == HOSTILE
    assert html.escape(HOSTILE.replace("\ud800", "?")) in page
    page.encode()


@pytest.mark.parametrize(
    "data",
    [
        study(0),
        study(20, failing=1.0),
        study(30, (LATENCY,)),
        study(60, (SKILL, LATENCY, SIZE, MIOU, RMSE)),
        replace(study(10), baseline=None, finals={}, bounds=(), hypervolume=(), told_at_seconds=()),
        ReportData(study="", objectives=(SKILL,), trials=()),
    ],
    ids=["no trial", "only failures", "one objective", "five objectives", "bare", "empty"],
)
def test_every_kind_of_study_has_a_page(data: ReportData) -> None:
    payload = payload_of(build_report(data))
    assert payload["study"]["n_told"] == len(data.trials)


def test_what_was_paid_for_is_not_how_many_trials_there_were() -> None:
    told = payload_of(build_report(replace(study(66), effort=19.02, budget=40)))["study"]
    assert (told["effort"], told["budget"], told["n_told"]) == (19.02, 40, 66)


def test_no_slot_is_left_open() -> None:
    assert not re.findall(r"\{\{\w+\}\}", build_report(study(5)))


PAGES = ("report", "comparison")


def modules() -> set[str]:
    folder = files("niwaki.report") / "assets"
    return {f.name.removesuffix(".js") for f in folder.iterdir() if f.name.endswith(".js")}


@pytest.mark.parametrize("name", PAGES)
def test_every_module_is_joined_once_in_a_scope_of_its_own(name: str) -> None:
    script = joined_script(name)
    folder = files("niwaki.report") / "assets"
    joined = [m for m in modules() if (folder / f"{m}.js").read_text().split("\n")[0] in script]
    assert script.count("=> {\n//") == len(joined)
    assert not re.findall(r"^(?:import|export)\b", script, re.MULTILINE)


def test_every_module_is_part_of_a_page() -> None:
    scripts = "".join(map(joined_script, PAGES))
    folder = files("niwaki.report") / "assets"
    assert all((folder / f"{m}.js").read_text().split("\n")[0] in scripts for m in modules())


@pytest.mark.parametrize(
    ("name", "some"),
    [
        ("report", {"html", "mountScatter", "readStudy"}),
        ("comparison", {"html", "mountFronts", "mountCurves"}),
    ],
)
def test_exported_names_are_unique(name: str, some: set[str]) -> None:
    exported = re.findall(r"^const \{ (.*?) \} = \(\(\) => \{$", joined_script(name), re.MULTILINE)
    names = [name for group in exported for name in group.split(", ") if name]
    assert len(names) == len(set(names))
    assert some <= set(names)


@pytest.mark.parametrize(("status", "said"), [("running", "running"), ("finished", "not running")])
def test_a_run_that_was_killed_is_not_called_finished(
    status: Literal["running", "finished"], said: str
) -> None:
    page = build_report(replace(study(5), status=status))
    assert f'<span class="status status-{status}">{said}</span>' in page
