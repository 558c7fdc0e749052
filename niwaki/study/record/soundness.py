"""Measurements that can be reckoned with, and written down, whatever users' code put into them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from niwaki.core.excerpt import excerpt
from niwaki.core.jsonable import JSON, finite_or_none
from niwaki.core.measurement import LARGEST_VALUE, Measurement, Status, whole

MAX_REPR_CHARACTERS = 200
MAX_DEPTH = 64  # of nested details; what holds itself has no end
MAX_INTEGER_BITS = 1024  # Python spells no integer of many thousands of digits


def in_plain_types(measurement: Measurement) -> Measurement:
    """Return a measurement that a ledger can hold: numbers of numpy or torch become plain ones.

    Raises:
        TypeError: If a value is no number.
        ValueError: If there is no such status.
    """
    return replace(
        measurement,
        key=str(measurement.key),
        values={str(name): _number(name, value) for name, value in measurement.values.items()},
        status=Status(measurement.status),
        reason=_text(measurement.reason),
        target_id=_text(measurement.target_id),
        seconds=_seconds(measurement.seconds),
        details=_plain_object(measurement.details),
    )


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _seconds(value: object) -> float:
    """Return a time; 0, which is that of nobody who took it, for what is none."""
    try:
        seconds = _number("seconds", value)
    except TypeError:
        return 0.0
    return seconds if math.isfinite(seconds) and seconds > 0.0 else 0.0


def sound(measurement: Measurement) -> Measurement:
    """Return a measurement without values that are not finite, or as large as what overflows next.

    It is failed, with a reason, if it had any and claimed to be complete.
    """
    kept = {name: v for name, v in measurement.values.items() if abs(v) <= LARGEST_VALUE}
    if len(kept) == len(measurement.values):
        return measurement
    left = replace(measurement, values=kept)
    if not measurement.complete:
        return left
    bad = ", ".join(f"'{n}' is {v}" for n, v in measurement.values.items() if n not in kept)
    wanted = f"finite, and at most {LARGEST_VALUE:g} in size"
    reason = f"{bad}: a value must be {wanted}; the training may have diverged"
    return replace(left, status=Status.FAILED, reason=reason)


def whole_for_any(measurement: Measurement, wanted: Sequence[Sequence[str]]) -> Measurement:
    """Return a measurement as it is if some goal has all that it wants, or else as failed.

    Args:
        measurement: Sound.
        wanted: Names of values, for each goal.
    """
    if any(whole(measurement, names).complete for names in wanted):
        return measurement
    return whole(measurement, dict.fromkeys(name for names in wanted for name in names))


def _number(name: str, value: object) -> float:
    """Return a value as a plain number: users' may be of numpy, or of torch."""
    try:
        if isinstance(value, str | bytes | bytearray):
            raise TypeError("text is no number, even if it spells one")
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise TypeError(f"'{name}' is {excerpt(repr(value))}: a value must be a number") from error


def _plain_object(details: Mapping[str, object], depth: int = 0) -> dict[str, JSON]:
    return {str(name): _plain(value, depth + 1) for name, value in details.items()}


def _plain(value: object, depth: int) -> JSON:
    """Return `value` as JSON: an odd detail must not cost a result that was paid for."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, float):
        return finite_or_none(value)
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if value.bit_length() <= MAX_INTEGER_BITS else _described(value)
    if depth < MAX_DEPTH and isinstance(value, Mapping):
        return _plain_object(value, depth)
    if depth < MAX_DEPTH and isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    return _described(value)


def _described(value: object) -> str:
    """Return an excerpt of the value's own description; of its type alone if that fails."""
    try:
        return repr(value)[:MAX_REPR_CHARACTERS]
    except Exception:
        return f"<{type(value).__name__}>"
