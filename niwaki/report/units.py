"""Units of measured values, and how a person reads them."""

import math
from collections.abc import Sequence

from niwaki.core.objectives import Objective

TIMES = frozenset({"ns", "us", "ms", "s"})
BYTES = "bytes"
COUNT = "count"
# Endings of names that carry their unit, as the house writes names.
_ENDINGS = {"_ms": "ms", "_us": "us", "_seconds": "s", "_bytes": BYTES, "_percent": "%"}
_COUNTS = frozenset({"macs", "flops", "params", "parameters", "n_params", "n_layers"})
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def unit_of(name: str, objectives: Sequence[Objective]) -> str:
    """Return the unit of the value `name`: its objective's, or what the name tells; may be empty.

    Dimensionless counts that grow large, such as MACs, have the unit `count`; sizes have `bytes`.
    """
    for objective in objectives:
        if objective.name == name and objective.unit:
            if objective.unit == "B":
                return BYTES
            return COUNT if objective.unit.lower() in _COUNTS else objective.unit
    if name in _COUNTS or name.rpartition("_")[2] in _COUNTS:
        return COUNT
    return next((unit for ending, unit in _ENDINGS.items() if name.endswith(ending)), "")


def quantity(value: float, unit: str) -> str:
    """Return `value` as people read it: `0.42 ms`, `84.2 kB`, `1.3 M`, `0.712`."""
    if not math.isfinite(value):
        return "not measured"
    if unit == BYTES:
        return _prefixed(value, "B")
    if unit == COUNT:
        return _prefixed(value, "").rstrip()
    return f"{_significant(value)} {unit}".rstrip()


def difference(value: float, reference: float) -> str:
    """Return `value - reference` with its sign and a real minus."""
    delta = value - reference
    text = _significant(abs(delta), digits=2)
    sign = "±" if float(text) == 0.0 else "+" if delta > 0 else "\N{MINUS SIGN}"
    return sign + text


def _prefixed(value: float, symbol: str) -> str:
    for factor, prefix in _PREFIXES:
        scaled = float(f"{value / factor:.2e}")  # as shown: 999.9 k is 1 M
        if abs(scaled) >= 1.0:
            return f"{_significant(scaled)} {prefix}{symbol}"
    return f"{value:.4g} {symbol}"


def _significant(value: float, *, digits: int = 3) -> str:
    """Return `digits` significant digits, without an exponent where that stays readable."""
    magnitude = abs(value)
    if magnitude != 0.0 and not 1e-4 <= magnitude < 1e6:
        return f"{value:.{digits - 1}e}"
    places = digits - 1 - math.floor(math.log10(magnitude)) if magnitude else 0
    text = f"{value:.{max(0, min(places, 6))}f}"
    return text.replace("-", "\N{MINUS SIGN}")
