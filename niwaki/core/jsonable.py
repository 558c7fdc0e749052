"""JSON in one canonical spelling, and short fingerprints of it."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

# What json.loads returns. `object` at the leaves keeps callers honest: they must narrow.
JSON: TypeAlias = "Mapping[str, JSON] | Sequence[JSON] | str | int | float | bool | None"


def canonical_json(value: JSON) -> str:
    """Return the one spelling of `value`: sorted keys, no spaces, ASCII only.

    Raises:
        ValueError: If `value` holds NaN or an infinity, which JSON cannot spell.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def fingerprint(value: JSON, *, n_hex: int = 16) -> str:
    """Return the first `n_hex` hexadecimal digits of the BLAKE2b hash of `value`."""
    return hashlib.blake2b(canonical_json(value).encode(), digest_size=32).hexdigest()[:n_hex]


def finite_json(value: JSON) -> JSON:
    """Return `value` with null for the numbers in it that JSON has no spelling for."""
    if isinstance(value, Mapping):
        return {name: finite_json(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite_json(each) for each in value]
    return finite_or_none(value) if isinstance(value, float) else value


def finite_or_none(value: float) -> float | None:
    """Return `value`, or None where JSON has no spelling for it."""
    return value if math.isfinite(value) else None
