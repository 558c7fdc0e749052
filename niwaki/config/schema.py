"""The JSON Schema of configuration files, for editors."""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from niwaki.config.reader import SECTIONS, StudyConfig
from niwaki.config.settings import settings_type
from niwaki.core.registry import Record

DIALECT = "https://json-schema.org/draft/2020-12/schema"
OPTIONAL = ("data", "space", "target", "scheduler")
OWN_KIND = {
    "type": "object",
    "properties": {"kind": {"type": "string", "pattern": "^[^:]+:[^:]+$"}},
    "required": ["kind"],
    "description": "package.module:factory, with settings of its own",
}


def config_schema() -> dict[str, Any]:
    """Return the schema: unknown keys are errors, sections depend on their `kind`."""
    schema = TypeAdapter(StudyConfig).json_schema()
    definitions: dict[str, Any] = schema.pop("$defs", {})
    for name, registry in SECTIONS.items():
        kinds = [_kind_schema(record, definitions) for record in registry]
        absent = [{"type": "null"}] if name in OPTIONAL else []
        schema["properties"][name] = {"oneOf": [*kinds, OWN_KIND, *absent]}
    closed = {name: _closed(definition) for name, definition in sorted(definitions.items())}
    return {"$schema": DIALECT, **_closed(schema), "title": "niwaki", "$defs": closed}


def _kind_schema(record: Record, definitions: dict[str, Any]) -> dict[str, Any]:
    settings = settings_type(record.load())
    own: dict[str, Any] = {"type": "object", "properties": {}}
    if settings is not None:
        own = TypeAdapter(settings).json_schema()
        definitions.update(own.pop("$defs", {}))
    properties = {"kind": {"const": record.name}, **own.get("properties", {})}
    required = ["kind", *own.get("required", [])]
    section = {**own, "properties": properties, "required": required}
    return _closed({**section, "description": record.summary})


def _closed(definition: Mapping[str, Any]) -> dict[str, Any]:
    if definition.get("type") != "object" or "properties" not in definition:
        return dict(definition)
    return {**definition, "additionalProperties": False}
