"""Mappings to frozen dataclasses, with errors that name the path and the nearest key."""

import contextlib
import dataclasses
import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

from pydantic import TypeAdapter, ValidationError

from niwaki.config.yaml_file import WrittenNumber
from niwaki.core.errors import ConfigError
from niwaki.core.registry import nearest
from niwaki.core.wording import kind_of

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

S = TypeVar("S")


def read_settings(kind: type[S], data: object, where: str) -> S:
    """Return the settings that `data` spell.

    Args:
        kind: A frozen dataclass whose fields are plain values, or dataclasses of these. What it
            refuses in `__post_init__` with a `ValueError` is reported with its path.
        data: What the YAML holds there; None for nothing. Settings inside of it that leave a key
            out keep what it is by default there, which may be another than elsewhere.
        where: Dotted path for messages; empty at the top.

    Raises:
        ConfigError: On an unknown key, a missing one, or a value of the wrong type.
    """
    given = {} if data is None else _with_texts(kind, data)
    check_keys(kind, given, where)
    if isinstance(given, Mapping):
        given = _with_defaults(kind, given)
    try:
        return TypeAdapter(kind).validate_python(given)
    except ValidationError as error:
        raise ConfigError(_explain(error, given, where)) from error


def _with_texts(kind: object, data: object) -> Any:
    """Return data in which what reads as a number is text again where text alone is wanted."""
    alternatives = _alternatives(kind)
    if isinstance(data, WrittenNumber):
        is_text = str in alternatives and not {int, float} & set(alternatives)
        return data.text if is_text else data
    for alternative in alternatives:
        arguments = typing.get_args(alternative)
        if isinstance(data, list) and arguments:
            data = [_with_texts(arguments[0], item) for item in data]
        elif isinstance(data, Mapping) and _is_dataclass_type(alternative):
            hints = typing.get_type_hints(alternative)
            data = {key: _with_texts(hints.get(key), item) for key, item in data.items()}
        elif isinstance(data, Mapping) and len(arguments) == 2:
            data = {key: _with_texts(arguments[1], item) for key, item in data.items()}
    return data


def _with_defaults(kind: type[Any], data: Mapping[str, object]) -> dict[str, object]:
    """Return checked data in which settings that are given in part are whole."""
    whole = dict(data)
    for field in dataclasses.fields(kind):
        given, default = whole.get(field.name), _default_of(field)
        if isinstance(given, Mapping) and dataclasses.is_dataclass(default):
            known = [each.name for each in dataclasses.fields(default) if each.init]
            own = {name: getattr(default, name) for name in known}
            whole[field.name] = own | _with_defaults(type(default), given)
    return whole


def _default_of(field: "dataclasses.Field[Any]") -> object:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def settings_type(factory: Callable[..., Any]) -> type[Any] | None:
    """Return the dataclass of a factory's settings: itself, or its argument `settings`.

    Raises:
        ConfigError: If that argument has no type, or one that cannot be found, or it is no factory
            at all.
    """
    if not callable(factory):
        raise ConfigError(
            f"it is {kind_of(factory)}: give a class or a function that makes the plug-in"
        )
    if dataclasses.is_dataclass(factory) and isinstance(factory, type):
        return factory
    if "settings" not in signature_of(factory).parameters:
        return None
    call = getattr(factory, "__init__") if isinstance(factory, type) else factory  # noqa: B009
    try:
        hints = typing.get_type_hints(call)
    except NameError as error:
        raise ConfigError(
            f"its types cannot be found when it is called: {error}. Import them, or define them, "
            "outside of `if TYPE_CHECKING`"
        ) from error
    if "settings" not in hints:
        raise ConfigError(
            "its argument `settings` has no type: annotate it with a frozen dataclass, or with "
            "None if there are no settings"
        )
    return next((t for t in _alternatives(hints["settings"]) if _is_dataclass_type(t)), None)


def signature_of(factory: Callable[..., Any]) -> inspect.Signature:
    """Return what a factory can be called with.

    Raises:
        ConfigError: If Python does not know, as of types that are built into it.
    """
    try:
        return inspect.signature(factory)
    except ValueError as error:
        name = getattr(factory, "__name__", type(factory).__name__)
        raise ConfigError(
            f"Python does not know what `{name}` is called with: give a class or a function that "
            "makes the plug-in"
        ) from error


def check_keys(kind: object, data: object, where: str) -> None:
    """Raise on what pydantic would let pass or explain badly, here and further inside.

    That is a key that the dataclass `kind`, or one inside it, does not know; a boolean where a
    number is wanted, since YAML reads `yes`, `no`, `on` and `off` as booleans; NaN and infinity.

    Raises:
        ConfigError: With the path and, for a key, the nearest one.
    """
    alternatives = _alternatives(kind)
    _check_number(alternatives, data, where)
    for alternative in alternatives:
        if _is_dataclass_type(alternative):
            if isinstance(data, Mapping) or len(alternatives) == 1:
                _check_fields(alternative, data, where)
        else:
            _check_elements(alternative, data, where)


def _check_number(alternatives: tuple[object, ...], data: object, where: str) -> None:
    numeric = {int, float} & set(alternatives)
    if isinstance(data, bool) and numeric and bool not in alternatives:
        raise ConfigError(
            f"'{where}' is {str(data).lower()}: give a number "
            "(YAML reads yes, no, on and off as true and false)"
        )
    spelled = data
    if isinstance(data, str) and numeric and str not in alternatives:
        with contextlib.suppress(ValueError):  # which is told with its type
            spelled = float(data)
    if isinstance(spelled, float) and not math.isfinite(spelled):
        raise ConfigError(f"'{where}' is {data}: give a finite number")


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
            those = f"Known here: {', '.join(known)}" if known else "There are no settings here"
            raise ConfigError(f"unknown key '{path}'{nearest(str(key), known)} {those}")
        check_keys(hints[key], value, path)


def _check_elements(kind: object, data: object, where: str) -> None:
    """Look inside tuples and mappings of dataclasses."""
    arguments = typing.get_args(kind)
    if isinstance(data, list | tuple) and arguments and typing.get_origin(kind) is not Callable:
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


def _explain(error: ValidationError, given: object, where: str) -> str:
    """Return what pydantic found, in sentences: one for each place, the innermost ones alone."""
    faults: dict[str, list[ErrorDetails]] = {}
    for fault in error.errors():
        faults.setdefault(_path(fault, given, where), []).append(fault)
    inner = [p for p in faults if not any(_is_inside(other, p) for other in faults)]
    return "; ".join(_sentence(path, faults[path]) for path in inner)


def _path(fault: "ErrorDetails", given: object, where: str) -> str:
    """Return the path of a fault, without pydantic's names for alternatives of a union."""
    path, node = where, given
    for index, step in enumerate(fault["loc"]):
        inside = _has(node, step)
        is_missing_key = fault["type"] == "missing" and index == len(fault["loc"]) - 1
        if not (inside or is_missing_key):
            continue
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
        node = node[step] if inside else None  # type: ignore[index]
    return path.lstrip(".")


def _has(node: object, step: int | str) -> bool:
    if isinstance(node, Mapping):
        return step in node
    return isinstance(node, list | tuple) and isinstance(step, int) and step < len(node)


def _is_inside(path: str, outer: str) -> bool:
    return path != outer and path.startswith((f"{outer}.", f"{outer}["))


def _sentence(path: str, faults: "list[ErrorDetails]") -> str:
    first = faults[0]
    if first["type"] == "missing":
        return f"'{path}' is missing: give it a value"
    # Of alternatives, the one whose own check refuses is the one that was meant.
    if refused := [fault for fault in faults if fault["type"] == "value_error"]:
        said = str(refused[0]["ctx"]["error"])
        return f"in '{path}': {said}" if path else said
    wanted = " or ".join(dict.fromkeys(_wanted(fault) for fault in faults))
    return f"'{path}' is {_spelled(first['input'])}: give {wanted}"


def _spelled(given: object) -> str:
    """Return what came as one would write it in YAML."""
    if given is None:
        return "empty (null)"
    return str(given).lower() if isinstance(given, bool) else repr(given)


def _wanted(fault: "ErrorDetails") -> str:
    """Return what is wanted at the place of a fault, in the words of who writes YAML."""
    match fault["type"].partition("_")[0]:
        case "int":
            return "a whole number"
        case "float":
            return "a number"
        case "bool":
            return "true or false"
        case "string":
            return "text"
        case "tuple" | "list":
            return "a list, such as [a, b]"
        case "dict" | "dataclass" | "mapping":
            return "settings (key: value)"
        case "literal":
            return str(fault["ctx"]["expected"]).replace("'', ", "")  # empty stands for unsaid
    if fault["type"] in ("too_long", "too_short"):
        return f"{fault['ctx'].get('max_length', fault['ctx'].get('min_length'))} values"
    return fault["msg"].removeprefix("Input should be ")
