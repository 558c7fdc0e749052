"""Checks of settings that are numbers, with messages in the user's own names."""

import math
from collections.abc import Mapping
from numbers import Integral

from niwaki.core.errors import ConfigError


def require_at_least(settings: object, limits: Mapping[str, float]) -> None:
    """Check that fields of `settings` are no smaller than their limits.

    Args:
        settings: Usually a dataclass, from its `__post_init__`.
        limits: Least value by field name.

    Raises:
        ConfigError: On the first that is smaller, or NaN.
    """
    for name, least in limits.items():
        value = getattr(settings, name)
        if not value >= least:
            raise ConfigError(f"'{name}' is {value}: give at least {least:g}")


def require_counts(settings: object, *names: str) -> None:
    """Check that fields of a dataclass are whole numbers from 0 on, and make them Python's own.

    Raises:
        ConfigError: On the first that is not.
    """
    for name in names:
        value = getattr(settings, name)
        if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < 0:
            raise ConfigError(f"'{name}' is {value!r}: give a whole number from 0 on")
        object.__setattr__(settings, name, int(value))  # what is written down has no numpy's


def require_positive(settings: object, *names: str) -> None:
    """Check that fields of `settings` are larger than 0.

    Raises:
        ConfigError: On the first that is not.
    """
    for name in names:
        value = getattr(settings, name)
        if not value > 0.0:
            raise ConfigError(f"'{name}' is {value}: give a number above 0")


def require_share(settings: object, *names: str) -> None:
    """Check that fields of `settings` lie in [0, 1].

    Raises:
        ConfigError: On the first that does not.
    """
    for name in names:
        value = getattr(settings, name)
        if not 0.0 <= value <= 1.0:
            raise ConfigError(f"'{name}' is {value}: give a number from 0 to 1")


def limits_of(least: float | None, most: float | None) -> tuple[float, float]:
    """Return the least and the most that a value can be; infinite where nothing is known.

    Raises:
        ConfigError: If `least` is not below `most`.
    """
    low, high = -math.inf if least is None else least, math.inf if most is None else most
    if not low < high:
        raise ConfigError(f"'least' is {least} and 'most' {most}: give the smaller one as 'least'")
    return low, high
