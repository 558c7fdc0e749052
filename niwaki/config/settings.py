"""Mappings to frozen dataclasses, with errors that name the path and the nearest key."""

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeGuard, TypeVar

from pydantic import TypeAdapter, ValidationError

from niwaki.core.errors import ConfigError
from niwaki.core.registry import nearest

S = TypeVar("S")


def read_settings(kind: type[S], data: object, where: str) -> S:
    """Return the settings that `data` spell.

    Args:
        kind: A frozen dataclass whose fields are plain values, or dataclasses of these.
        data: What the YAML holds there; None for nothing.
        where: Dotted path for messages; empty at the top.

    Raises:
        ConfigError: On an unknown key, a missing one, or a value of the wrong type.
    """
    given = {} if data is None else data
    check_keys(kind, given, where)
    try:
        return TypeAdapter(kind).validate_python(given)
    except ValidationError as error:
        raise ConfigError(_explain(error, where)) from error


def settings_type(factory: Callable[..., Any]) -> type[Any] | None:
    """Return the dataclass of a factory's settings: itself, or its argument `settings`."""
    if dataclasses.is_dataclass(factory) and isinstance(factory, type):
        return factory
    if "settings" not in inspect.signature(factory).parameters:
        return None
    call = getattr(factory, "__init__") if isinstance(factory, type) else factory  # noqa: B009
    hinted = typing.get_type_hints(call)["settings"]
    return next((t for t in _alternatives(hinted) if _is_dataclass_type(t)), None)


def check_keys(kind: object, data: object, where: str) -> None:
    """Raise if a mapping has a key that the dataclass `kind`, or one inside it, does not know.

    Raises:
        ConfigError: With the path and the nearest key.
    """
    alternatives = _alternatives(kind)
    for alternative in alternatives:
        if _is_dataclass_type(alternative):
            if isinstance(data, Mapping) or len(alternatives) == 1:
                _check_fields(alternative, data, where)
        else:
            _check_elements(alternative, data, where)


def _check_fields(kind: type[Any], data: object, where: str) -> None:
    if not isinstance(data, Mapping):
        if where and data is not None and not dataclasses.is_dataclass(data):
            raise ConfigError(f"'{where}' must hold settings (key: value), not {data!r}")
        return
    hints = typing.get_type_hints(kind)
    known = [field.name for field in dataclasses.fields(kind) if field.init]
    for key, value in data.items():
        path = f"{where}.{key}" if where else str(key)
        if key not in known:
            raise ConfigError(
                f"unknown key '{path}'{nearest(str(key), known)} Known here: {', '.join(known)}"
            )
        check_keys(hints[key], value, path)


def _check_elements(kind: object, data: object, where: str) -> None:
    """Look inside tuples and mappings of dataclasses."""
    arguments = typing.get_args(kind)
    if isinstance(data, list | tuple) and arguments:
        for index, item in enumerate(data):
            check_keys(arguments[0], item, f"{where}[{index}]")
    elif isinstance(data, Mapping) and len(arguments) == 2:
        for key, item in data.items():
            check_keys(arguments[1], item, f"{where}.{key}")


def _is_dataclass_type(kind: object) -> TypeGuard[type[Any]]:
    return isinstance(kind, type) and dataclasses.is_dataclass(kind)


def _alternatives(kind: object) -> tuple[object, ...]:
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return typing.get_args(kind)
    return (kind,)


def _explain(error: ValidationError, where: str) -> str:
    sentences = []
    for fault in error.errors():
        steps = [f"[{s}]" if isinstance(s, int) else f".{s}" for s in fault["loc"]]
        path = (where + "".join(steps)).lstrip(".")
        if fault["type"] == "missing":
            sentences.append(f"'{path}' is missing: give it a value")
        else:
            message = fault["msg"][0].lower() + fault["msg"][1:]
            sentences.append(f"'{path}' is {fault['input']!r}: {message}")
    return "; ".join(dict.fromkeys(sentences))
