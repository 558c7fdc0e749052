"""Amounts that a decision has for options: a range, in even steps."""

import math
from collections.abc import Sequence

import numpy as np

from niwaki.core.errors import SpaceError
from niwaki.spaces.base import is_amount

FEW = 32  # whole numbers that are all options, unless it is said how many are
N_OPTIONS = 17
MOST_OPTIONS = 10_000
_DIGITS = 4  # of a real number between the ends: what else would be 0.00017782794100389227


def amounts(
    low: int | float,
    high: int | float,
    *,
    n: int | None = None,
    step: int | float | None = None,
    log: bool = False,
) -> tuple[int | float, ...]:
    """Return amounts from `low` to `high`, for the options of a decision.

    Whole numbers if both ends are, and the step. Real ones between the ends are rounded to four
    digits, unless that makes two of them equal.

    Args:
        low: The least.
        high: The largest; with a step that does not lead there, the last step before it.
        n: How many at most, the ends included; fewer where rounding makes whole numbers equal. If
            neither it nor a step is given: all whole numbers of a range of at most 32, else 17.
        step: From one to the next.
        log: Whether they grow by a ratio, instead of by a difference.

    Raises:
        SpaceError: If the ends are not in order, or a range cannot be parted in that way.
    """
    _require_range(low, high, n=n, step=step, log=log)
    is_whole = isinstance(low, int) and isinstance(high, int)
    if step is not None:
        n_steps = math.floor((high - low) / step * (1.0 + 1e-12))
        _require_few(n_steps + 1)
        return tuple(_tidy(low + number * step) for number in range(n_steps + 1))
    if n is None:
        n = int(high - low) + 1 if is_whole and not log and high - low < FEW else N_OPTIONS
    spaced = (np.geomspace if log else np.linspace)(low, high, n).tolist()
    if is_whole:
        return tuple(sorted({low, *map(round, spaced[1:-1]), high}))
    return (low, *_rounded(spaced[1:-1], (low, high)), high)


def _rounded(values: Sequence[float], ends: tuple[float, float]) -> Sequence[float]:
    short = [float(f"{value:.{_DIGITS}g}") for value in values]
    return short if len({*short, *ends}) == len(short) + len(ends) else values


def _tidy(value: int | float) -> int | float:
    """Return a multiple of a step without the last digits, which differ by how it was computed."""
    return value if isinstance(value, int) else float(f"{value:.12g}")


def _require_range(
    low: int | float,
    high: int | float,
    *,
    n: int | None,
    step: int | float | None,
    log: bool,
) -> None:
    for name, value in (("low", low), ("high", high), ("step", step)):
        if value is not None and not (is_amount(value) and math.isfinite(value)):
            raise SpaceError(f"'{name}' of a range is {value!r}: give a finite number")
    if not low < high:
        raise SpaceError(f"a range goes from {low!r} to {high!r}: give a 'high' above 'low'")
    if log and not low > 0:
        raise SpaceError(f"a range of ratios (log) begins at {low!r}: give a 'low' above 0")
    if step is not None and (log or n is not None):
        other = "'log'" if log else "'n'"
        raise SpaceError(f"a range has both 'step' and {other}: leave one of them out")
    if step is not None and not step > 0:
        raise SpaceError(f"'step' of a range is {step!r}: give a number above 0")
    if n is not None and n < 2:
        raise SpaceError(f"'n' of a range is {n!r}: give a whole number of options, 2 or more")
    if n is not None:
        _require_few(n)


def _require_few(n: int) -> None:
    if n > MOST_OPTIONS:
        raise SpaceError(f"a range has {n:,} options: at most {MOST_OPTIONS:,} are possible")
