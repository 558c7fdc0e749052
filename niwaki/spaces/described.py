"""Spaces of choices as JSON, so that a run can be asked about without what it was made from."""

from collections.abc import Mapping, Sequence

from niwaki.core.candidate import Value, value_from_json
from niwaki.core.errors import SpaceError
from niwaki.core.jsonable import JSON
from niwaki.spaces.base import Space
from niwaki.spaces.choices import Choice, ChoiceSpace, Condition
from niwaki.spaces.joint import JointSpace


def space_to_json(space: object) -> dict[str, JSON] | None:
    """Return a space of choices, or of named parts that are, as JSON; None for any other."""
    if isinstance(space, ChoiceSpace):
        return {"choices": [_choice_to_json(choice) for choice in space.choices]}
    if isinstance(space, JointSpace):
        parts = {name: space_to_json(part) for name, part in space.parts.items()}
        return None if None in parts.values() else {"parts": parts}
    return None


def space_from_json(data: object) -> Space:
    """Return the space that `space_to_json` described.

    Raises:
        SpaceError: If it is something else.
    """
    try:
        if isinstance(data, Mapping) and "parts" in data:
            return JointSpace({str(n): space_from_json(p) for n, p in data["parts"].items()})
        if isinstance(data, Mapping):
            return ChoiceSpace(tuple(map(_choice_from_json, data["choices"])))
    except (KeyError, TypeError, AttributeError) as error:
        raise SpaceError(f"this describes no space: {error!r}") from error
    raise SpaceError(f"this describes no space: {str(data)[:80]}")


def _choice_to_json(choice: Choice) -> dict[str, JSON]:
    found: dict[str, JSON] = {"path": choice.path, "options": list(choice.options)}
    found["when"] = _conditions_to_json(choice.when)
    if choice.when_any:
        found["when_any"] = _conditions_to_json(choice.when_any)
    if choice.ordered:
        found["ordered"] = True
    return found


def _conditions_to_json(conditions: Sequence[Condition]) -> list[JSON]:
    return [{"path": each.path, "values": list(each.values)} for each in conditions]


def _choice_from_json(data: Mapping[str, object]) -> Choice:
    path, options = str(data["path"]), data["options"]
    when, when_any = (_conditions_from_json(each) for each in (data["when"], data.get("when_any")))
    ordered = data.get("ordered", False) is True
    return Choice(path, _values(options, path), when, when_any, ordered)


def _conditions_from_json(data: object) -> tuple[Condition, ...]:
    return tuple(
        Condition(each["path"], _values(each["values"], each["path"]))
        for each in data or ()  # type: ignore[attr-defined]
    )


def _values(data: object, path: str) -> tuple[Value, ...]:
    return tuple(value_from_json(value, path) for value in data)  # type: ignore[attr-defined]
