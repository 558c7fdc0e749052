"""Objectives: what is wanted, and the only place where a sign is flipped."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from niwaki.core.jsonable import JSON

_NO_LIMITS = (-math.inf, math.inf)


class Direction(StrEnum):
    """Which way is better."""

    MAXIMIZE = "maximize"
    MINIMIZE = "minimize"


@dataclass(frozen=True)
class Objective:
    """One value to make as large or as small as possible.

    Attributes:
        name: Name of a measured value, such as `latency_ms` or `digit_accuracy`.
        direction: Which way is better.
        unit: For people; empty for a ratio.
        least: No value can be below; -inf if nothing is known.
        most: No value can be above; inf if nothing is known.
    """

    name: str
    direction: Direction
    unit: str = ""
    least: float = -math.inf
    most: float = math.inf

    @property
    def sign(self) -> float:
        """+1 when minimised, -1 when maximised."""
        return 1.0 if self.direction is Direction.MINIMIZE else -1.0

    def to_json(self) -> dict[str, JSON]:
        """Return name, direction and unit, and what limits there are."""
        limits: dict[str, JSON] = {"least": self.least, "most": self.most}
        known = {key: limit for key, limit in limits.items() if limit not in _NO_LIMITS}
        return {"name": self.name, "direction": str(self.direction), "unit": self.unit, **known}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Objective":
        """Read what `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError, OverflowError: If a field is missing or wrong.
        """
        if not isinstance(data, Mapping):
            raise TypeError(f"an objective is a JSON object, but {data!r} came")
        least, most = float(data.get("least", -math.inf)), float(data.get("most", math.inf))
        name, unit = data["name"], data["unit"]
        if not (isinstance(name, str) and isinstance(unit, str)):
            raise TypeError(f"name and unit of an objective are text, but {name!r}, {unit!r} came")
        return cls(name, Direction(data["direction"]), unit, least, most)


def minimised(
    values: Sequence[Mapping[str, float]], objectives: Sequence[Objective]
) -> NDArray[np.float64]:
    """Return the values as costs.

    Args:
        values: n mappings from value name to value, in the user's own direction.
        objectives: m objectives.

    Returns:
        (n, m) float64, every column minimised, NaN where a value is missing.
    """
    costs = np.full((len(values), len(objectives)), np.nan)
    for column, objective in enumerate(objectives):
        for row, named in enumerate(values):
            costs[row, column] = objective.sign * named.get(objective.name, np.nan)
    return costs


def in_user_direction(
    costs: NDArray[np.float64], objectives: Sequence[Objective]
) -> NDArray[np.float64]:
    """Undo `minimised`: (n, m) costs back to the user's own signs."""
    signs = np.array([objective.sign for objective in objectives], dtype=np.float64)
    return np.asarray(costs * signs)
