"""The page's data: what goes in must come out."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from string import ascii_letters, digits
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from niwaki.core.candidate import Candidate
from niwaki.core.constraints import Bound
from niwaki.core.jsonable import JSON
from niwaki.core.measurement import Measurement, Trial
from niwaki.report import ReportData
from niwaki.report.models import Models
from niwaki.report.packing import pack
from tests.report.studies import LATENCY, SKILL, study


def packed(data: ReportData) -> Any:
    """Pack, and go through JSON as the page does."""
    models = Models(data)
    return json.loads(json.dumps(pack(models, with_layers=range(len(models.rows)))))


def unpacked_decisions(payload: Any, row: int) -> Mapping[str, Any]:
    """What study.js does."""
    decided = {}
    for column in payload["decisions"]:
        picked = column["picked"][row]
        index = (digits + ascii_letters).find(picked) if isinstance(picked, str) else picked
        if index >= 0:
            marked = json.dumps(column["options"][index])
            decided[column["path"]] = json.loads(re.sub(r'"\\u0000(-?\d+)"', r"\1", marked))
    return decided


def test_decisions_come_back() -> None:
    data = study(40)
    payload = packed(data)
    for row, trial in enumerate(data.trials):
        assert unpacked_decisions(payload, row) == trial.candidate.to_json()
    assert data.baseline_candidate is not None
    assert unpacked_decisions(payload, 40) == data.baseline_candidate.to_json()


def test_nested_facts_of_the_environment_read_as_text() -> None:
    facts: dict[str, JSON] = {"cpu": {"cores": 2, "flags": ["amx", "vnni"]}, "gpu": {}, "ok": True}
    data = ReportData(study="s", objectives=(LATENCY,), trials=(), environment=facts)
    assert packed(data)["study"]["environment"] == [
        ["cpu", "cores 2, flags amx, vnni"],
        ["gpu", ""],
        ["ok", "true"],
    ]


@given(
    st.lists(
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(0, 90),
            st.just(2**53 + 1),
            st.just((-(2**60), "a")),
        ),
        max_size=90,
    )
)
def test_values_of_every_type_come_back(values: list[Any]) -> None:
    candidates = [Candidate.of({"x": value, "row": row}) for row, value in enumerate(values)]
    trials = [Trial(row, c, Measurement(c.key)) for row, c in enumerate(candidates)]
    payload = packed(ReportData(study="s", objectives=(LATENCY,), trials=trials))
    for row, candidate in enumerate(candidates):
        assert repr(unpacked_decisions(payload, row)) == repr(
            json.loads(json.dumps({"row": row, "x": candidate.to_json()["x"]}))
        )


def test_values_are_columns_with_gaps() -> None:
    trials = [
        Trial(0, Candidate.of({"n": 0}), Measurement("a", {"latency_ms": 1 / 3, "macs": 2e6})),
        Trial(1, Candidate.of({"n": 1}), Measurement("b", {"latency_ms": float("nan")})),
    ]
    payload = packed(ReportData(study="s", objectives=(SKILL, LATENCY), trials=trials))
    assert payload["search"] == [
        {"name": "mean_skill", "unit": "", "values": [None, None]},
        {"name": "latency_ms", "unit": "ms", "values": [0.333333, None]},
        {"name": "macs", "unit": "count", "values": [2000000, None]},
    ]


def test_exported_values_point_at_their_models() -> None:
    data = study(60)
    payload = packed(data)
    rows = payload["exported"]["rows"]
    keys = [payload["models"]["keys"][row] for row in rows]
    assert keys == list(data.finals)
    latency = next(c for c in payload["exported"]["columns"] if c["name"] == "latency_ms")
    expected = [float(f"{final.values['latency_ms']:.6g}") for final in data.finals.values()]
    assert latency["values"] == expected


def test_what_can_be_exported_are_the_files_of_the_front() -> None:
    data = study(60)
    first, *others = data.front_keys
    left = {key: final for key, final in data.finals.items() if key != first}
    payload = packed(replace(data, finals=left))
    assert others
    assert [payload["models"]["keys"][row] for row in payload["models"]["exportable"]] == others
    assert packed(replace(data, finals={}))["models"]["exportable"] == []


def test_a_baseline_on_the_front_counts_among_what_the_front_decides() -> None:
    data = study(60)
    assert data.baseline is not None
    front = (*data.front_keys, data.baseline.key)
    first = packed(replace(data, front_keys=front))["influences"][0]
    assert sum(first["n_front"]) == len(front)
    assert sum(first["n_all"]) == len(Models(data).measured) + 1


def test_exported_values_have_limits_of_their_own() -> None:
    data = replace(study(20), final_bounds=(Bound("latency_ms", 1.0, 5.5),))
    payload = packed(data)
    assert payload["exported"]["bounds"] == [{"name": "latency_ms", "sign": 1.0, "limit": 5.5}]
    assert {"name": "latency_ms", "sign": 1.0, "limit": 4.5} in payload["bounds"]


def test_layer_tables_of_exported_models_take_precedence() -> None:
    candidate = Candidate.of({"n": 0})
    key = candidate.key
    searched = Measurement(key, details={"layers": [{"path": "stem", "realised": "fp32"}]})
    exported = Measurement(key, details={"layers": [{"path": "stem", "realised": "int8"}]})
    trials = [Trial(0, candidate, searched)]
    data = ReportData(study="s", objectives=(LATENCY,), trials=trials, finals={key: exported})
    assert packed(data)["layers"]["rows"] == [["stem", "", None, "", "int8", None, None]]
    left_out: Any = pack(Models(data), with_layers=())["layers"]
    assert left_out == {"rows": [], "models": {}, "n_left_out": 1}
