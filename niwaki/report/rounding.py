"""Numbers as a page carries them: short, and none that JSON has no spelling for."""

import math
from collections.abc import Iterable

DIGITS = 6


def rounded(value: float) -> float | None:
    """Return six significant digits, as an integer where that is shorter; None if not finite."""
    if not math.isfinite(value):
        return None
    short = float(f"{value:.{DIGITS}g}")
    return int(short) if short == int(short) and abs(short) < 1e15 else short


def all_rounded(values: Iterable[float]) -> list[float | None]:
    """Return what `rounded` says of each value."""
    return [rounded(value) for value in values]
