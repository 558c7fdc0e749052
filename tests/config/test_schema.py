"""The schema that editors check configurations against."""

import json
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import yaml

from niwaki.config.schema import config_schema
from niwaki.core import registry
from tests.command_line import FORMULAS, ROOT, TINY

SCHEMA = config_schema()
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list, tuple),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
UNDERSTOOD = {
    *("type", "properties", "required", "additionalProperties", "items", "prefixItems"),
    *("anyOf", "oneOf", "$ref", "const", "enum", "pattern", "minItems", "maxItems"),
    *("title", "description", "default", "format", "$schema", "$defs"),
}


def accepts(schema: Mapping[str, Any], value: object) -> bool:
    """Check a value against the keywords of JSON Schema that ours uses."""
    assert set(schema) <= UNDERSTOOD, set(schema) - UNDERSTOOD
    if "$ref" in schema:
        return accepts(SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")], value)
    for keyword, wanted in (("anyOf", None), ("oneOf", 1)):
        if keyword in schema:
            n = sum(accepts(each, value) for each in schema[keyword])
            return n == wanted if wanted else n > 0
    if "const" in schema:
        return bool(value == schema["const"])
    if "enum" in schema:
        return value in schema["enum"]
    if "type" in schema and not is_a(schema["type"], value):
        return False
    if isinstance(value, str) and "pattern" in schema:
        return ":" in value  # the one pattern there is
    if isinstance(value, list | tuple):
        return all(accepts(schema.get("items", {}), item) for item in value)
    return not isinstance(value, dict) or accepts_keys(schema, value)


def is_a(name: str, value: object) -> bool:
    return isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def accepts_keys(schema: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    if not set(schema.get("required", ())) <= set(value):
        return False
    for key, each in value.items():
        if key not in known and others is False:
            return False
        below = known.get(key, others if isinstance(others, Mapping) else {})
        if not accepts(below, each):
            return False
    return True


def test_the_committed_schema_is_current() -> None:
    committed = json.loads((ROOT / "configs" / "schema.json").read_text())
    assert committed == json.loads(json.dumps(SCHEMA)), (
        "write it again: niwaki schema > configs/schema.json"
    )


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_it_accepts_shipped_configurations(path: Path) -> None:
    assert accepts(SCHEMA, yaml.safe_load(path.read_text()))


@pytest.mark.parametrize("config", [TINY, FORMULAS], ids=["tiny", "own evaluator"])
def test_it_accepts_what_the_reader_accepts(config: dict[str, Any]) -> None:
    assert accepts(SCHEMA, config)
    assert accepts(SCHEMA, {**config, "data": None})
    assert accepts(SCHEMA, {**config, "target": {"kind": "onnxruntime_cpu", "quick": {}}})
    assert accepts(SCHEMA, {**config, "searcher": {}, "executor": {"n_workers": 1}})
    assert accepts(SCHEMA, {**config, "searcher": "nsga2", "executor": "my_package.pool:make"})


@pytest.mark.parametrize(
    "change",
    [
        {"sed": 3},
        {"seed": "many"},
        {"budget": {"evaluation": 3}},
        {"searcher": {"kind": "nsga9"}},
        {"searcher": "nsga9"},
        {"scheduler": {}},
        {"executor": {"address": "auto"}},
        {"data": {"kind": "digit_scenes", "sizes": 32}},
        {"space": {"kind": "slimmable", "stages": [{"widths": [8], "hidden": [8], "x": 1}]}},
        {"evaluator": {"kind": "supernet", "training": {"epoch": 3}}},
        {"objectives": [{"name": "macs", "direction": "down"}]},
    ],
    ids=str,
)
def test_it_refuses_what_the_reader_refuses(change: dict[str, Any]) -> None:
    assert not accepts(SCHEMA, {**TINY, **change})


def test_every_shipped_configuration_names_the_schema_but_the_quickstart() -> None:
    for path in CONFIGS:
        if path.name != "quickstart.yaml":
            first = path.read_text().splitlines()[0]
            assert first == "# yaml-language-server: $schema=schema.json", path.name


def test_a_plug_in_that_cannot_be_loaded_leaves_its_settings_open(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    point = EntryPoint("climbing", "no_such_package:Climbing", "niwaki.searchers")
    monkeypatch.setattr(
        registry, "entry_points", lambda group: [point] * (group == "niwaki.searchers")
    )
    kinds = config_schema()["properties"]["searcher"]["oneOf"]
    [kind] = [each for each in kinds if "climbing" in str(each.get("properties"))]
    assert "additionalProperties" not in kind
    assert "the settings of 'climbing' are left open" in caplog.text
