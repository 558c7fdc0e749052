"""Several goals on one page: what all have alike once, and of each what is its own."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from niwaki.core.errors import ConfigError
from niwaki.core.jsonable import JSON
from niwaki.report import build_report
from niwaki.report.models import Models
from niwaki.report.packing import pack
from niwaki.report.views import told_apart, views_of
from tests.report.studies import SIZE, TASKS, goals, study
from tests.report.test_page import payload_of, with_unique_layers

OBJECTS = st.recursive(
    st.integers(0, 2) | st.lists(st.integers(0, 1), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=12,
).filter(lambda each: isinstance(each, dict))


def laid_over(shared: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """What the page does, see `study.js`."""
    whole = dict(shared)
    for name, part in own.items():
        both = isinstance(part, dict) and isinstance(shared.get(name), dict)
        whole[name] = laid_over(shared[name], part) if both else part
    return whole


def length(value: JSON) -> int:
    return len(json.dumps(value, separators=(",", ":")))


@given(st.lists(OBJECTS, min_size=1, max_size=4))
def test_what_is_told_apart_can_be_put_together(objects: list[dict[str, JSON]]) -> None:
    shared, own = told_apart(objects)
    assert [laid_over(shared, each) for each in own] == objects
    assert len(objects) > 1 or own == [{}]


def test_each_goal_has_its_own_front_and_all_have_the_same_models() -> None:
    shown = goals(60)
    payload = payload_of(build_report(*shown))
    assert [goal["name"] for goal in payload["goals"]] == list(TASKS)
    for data, goal in zip(shown, payload["goals"], strict=True):
        whole = laid_over(payload, goal["own"])
        alone = json.loads(json.dumps(pack(Models(data), with_layers=())))
        for name in ("models", "objectives", "bounds", "hypervolume", "influences", "failures"):
            assert whole[name] == alone[name]
        columns, of_one = ({c["name"]: c["values"] for c in d["search"]} for d in (whole, alone))
        assert columns == of_one
        assert data.export_command == whole["study"]["export"]
    shared_by_all = {"study", "models", "search", "decisions", "layers", "told_at_seconds"}
    assert shared_by_all <= set(payload)
    assert len({tuple(goal["own"]["models"]["front"]) for goal in payload["goals"]}) == len(TASKS)


def test_a_value_has_its_unit_in_the_goals_that_do_not_want_it_too() -> None:
    columns = payload_of(build_report(*goals(20)))["search"]
    assert next(c for c in columns if c["name"] == "depth_rmse")["unit"] == "m"


def test_an_exported_model_has_the_layers_of_its_goal() -> None:
    first, *others = goals(30)
    key = first.front_keys[0]
    layers: list[JSON] = [{"path": "digit.head", "macs": 7}]
    exported = replace(first.finals[key], details={"layers": layers})
    payload = payload_of(build_report(replace(first, finals={key: exported}), *others))
    row = str(Models(first).find([key])[0])
    tables = []
    for goal in payload["goals"]:
        packed = laid_over(payload, goal["own"])["layers"]
        tables.append([packed["rows"][index][0] for index in packed["models"][row]])
    assert tables[0] == ["digit.head"]
    assert tables[1] == tables[2] and len(tables[1]) > 1


def test_three_goals_are_hardly_larger_than_one() -> None:
    shown = goals(300)
    alone = max(length(payload_of(build_report(data))) for data in shown)
    assert length(payload_of(build_report(*shown))) < 1.3 * alone


def test_layers_that_are_left_out_are_those_that_no_goal_needs() -> None:
    shown = goals(30)
    trials = [with_unique_layers(trial, 1500) for trial in shown[0].trials]
    payload = payload_of(build_report(*(replace(d, trials=trials, finals={}) for d in shown)))
    assert payload["layers"]["n_left_out"] > 0
    for goal in payload["goals"]:
        packed = laid_over(payload, goal["own"])
        assert set(map(str, packed["models"]["front"])) <= set(packed["layers"]["models"])


def test_the_page_of_one_goal_is_about_that_goal() -> None:
    first, *_ = goals(20)
    payload = payload_of(build_report(first))
    assert [goal["name"] for goal in payload["goals"]] == ["digit"]
    assert laid_over(payload, payload["goals"][0]["own"]) == payload


def test_a_study_without_goals_is_packed_as_it_is() -> None:
    data = study(30)
    rows = range(len(Models(data).rows))
    packed = pack(Models(data), with_layers=rows)
    assert payload_of(build_report(data)) == json.loads(json.dumps(packed))


def test_the_first_sentences_tell_of_the_task_that_is_answered_alone() -> None:
    page = build_report(*goals(20))
    told = [goal["source"] for goal in payload_of(page)["goals"]]
    assert all(
        f"answer the task '{task}' alone." in source
        for task, source in zip(TASKS, told, strict=True)
    )
    assert "alone." not in build_report(*(replace(data, task="") for data in goals(20)))


def test_what_is_no_goal_of_one_study_is_refused() -> None:
    first, second, third = goals(10)
    with pytest.raises(ConfigError, match="nothing came"):
        views_of([])
    with pytest.raises(ConfigError, match="a name of its own, and these came: 'digit', 'digit'"):
        views_of([first, replace(second, goal="digit")])
    with pytest.raises(ConfigError, match="a name of its own"):
        views_of([first, replace(second, goal="")])
    with pytest.raises(ConfigError, match="their trials are not the same"):
        views_of([first, replace(study(9, (SIZE,)), goal="size"), third])
