"""The JSON Schema of configuration files, for editors."""

import json
import logging
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from niwaki.config.reader import SECTIONS, StudyConfig, default_kind
from niwaki.config.settings import settings_type
from niwaki.core.registry import Record

DIALECT = "https://json-schema.org/draft/2020-12/schema"
OPTIONAL = ("data", "space", "target", "scheduler")
OWN_NAME = {"type": "string", "pattern": "^[^:]+:[^:]+$"}
OWN_KIND = {
    "type": "object",
    "properties": {"kind": OWN_NAME},
    "required": ["kind"],
    "description": "package.module:factory, with settings of its own",
}
_log = logging.getLogger(__name__)


def config_schema() -> dict[str, Any]:
    """Return the schema: unknown keys are errors, sections depend on their `kind`."""
    schema = TypeAdapter(StudyConfig).json_schema()
    definitions: dict[str, Any] = schema.pop("$defs", {})
    for name, registry in SECTIONS.items():
        default = default_kind(name)
        kinds = [_kind_schema(record, definitions, default=default) for record in registry]
        absent = [{"type": "null"}] if name in OPTIONAL else []
        alone = [kind["properties"]["kind"]["const"] for kind in kinds if _works_alone(kind)]
        short = [{"enum": alone, "description": "a kind alone"}] if alone else []
        schema["properties"][name] = {"oneOf": [*kinds, OWN_KIND, *short, OWN_NAME, *absent]}
    closed = {name: _closed(definition) for name, definition in sorted(definitions.items())}
    return {"$schema": DIALECT, **_closed(schema), "title": "niwaki", "$defs": closed}


def _kind_schema(
    record: Record, definitions: dict[str, Any], *, default: str | None
) -> dict[str, Any]:
    try:
        settings = settings_type(record.load())
    except Exception as error:  # one of another distribution may raise anything
        if not record.installed:
            raise
        _log.warning("the settings of '%s' are left open: %s", record.name, error)
        known = {"kind": {"const": record.name}}
        return {"type": "object", "properties": known, "required": ["kind"]}
    own: dict[str, Any] = {"type": "object", "properties": {}}
    if settings is not None:
        own = _in_part(TypeAdapter(settings).json_schema())
        own = _without_clashes(own, definitions, record.name)
        definitions.update(own.pop("$defs", {}))
    properties = {"kind": {"const": record.name}, **own.get("properties", {})}
    kind = [] if record.name == default else ["kind"]
    required = [*kind, *own.get("required", [])]
    section = {**own, "properties": properties, "required": required}
    return _closed({**section, "description": record.summary})


def _in_part(schema: dict[str, Any]) -> dict[str, Any]:
    """Let settings that have a default be given in part: `read_settings` fills in the rest."""
    for each in schema.get("properties", {}).values():
        if "$ref" in each and "default" in each:
            # What the definition requires, the default has.
            schema["$defs"][each["$ref"].removeprefix("#/$defs/")].pop("required", None)
    return schema


def _works_alone(kind: Mapping[str, Any]) -> bool:
    return set(kind["required"]) <= {"kind"}


def _without_clashes(
    schema: dict[str, Any], known: Mapping[str, Any], prefix: str
) -> dict[str, Any]:
    """Rename definitions that another plug-in has under the same name, but otherwise."""
    own = schema.get("$defs", {})
    for name in [name for name, each in own.items() if known.get(name, each) != each]:
        renamed = f"{prefix}.{name}"
        text = json.dumps(schema).replace(f'"#/$defs/{name}"', f'"#/$defs/{renamed}"')
        schema = json.loads(text)
        schema["$defs"][renamed] = schema["$defs"].pop(name)
    return schema


def _closed(definition: Mapping[str, Any]) -> dict[str, Any]:
    if definition.get("type") != "object" or "properties" not in definition:
        return dict(definition)
    return {**definition, "additionalProperties": False}
