"""Goals: several fronts from one search, each with wishes of its own."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from niwaki.core.constraints import Constraint
from niwaki.core.errors import ConfigError
from niwaki.core.jsonable import JSON
from niwaki.core.objectives import Objective
from niwaki.core.registry import nearest

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")  # begins names of folders


@dataclass(frozen=True)
class Goal:
    """What networks are wanted for: a front of its own, among those that one search measures.

    Attributes:
        name: Letters, digits, `_`, `.` and `-`; empty for the only goal of a study.
        objectives: At least one.
        constraints: That models of its front keep.
        task: Its models are exported as networks that answer this task alone; empty for networks as
            they were searched.
        values: Names of all values that its exported models have; empty if they have all that the
            search measures, or nobody said.

    Raises:
        ConfigError: If the name is of other letters, or longer than 64 of them.
    """

    name: str
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...] = ()
    task: str = ""
    values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.name and not _NAME.fullmatch(self.name):
            raise ConfigError(
                f"a goal is called '{self.name}', and its models' folders begin with that: use "
                "letters, digits, '_', '.' and '-', no '.' or '-' at first, and 64 at most"
            )

    def judges(self, constraint: Constraint) -> bool:
        """Whether its models have the value that a constraint is on, as far as is known here."""
        return not self.values or constraint.name in self.values

    @property
    def wanted(self) -> tuple[str, ...]:
        """Names of the values that it is about, each once: objectives, then what is bounded."""
        names = [objective.name for objective in self.objectives]
        names += [constraint.name for constraint in self.constraints]
        return tuple(dict.fromkeys(names))

    def to_json(self) -> dict[str, JSON]:
        """Return the fields as a JSON object."""
        return {
            "name": self.name,
            "task": self.task,
            **({"values": list(self.values)} if self.values else {}),
            "objectives": [objective.to_json() for objective in self.objectives],
            "constraints": [constraint.text for constraint in self.constraints],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Goal":
        """Read what `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: If a field is missing or wrong.
        """
        if not data["objectives"]:
            raise ValueError("a goal without objectives")
        return cls(
            name=str(data["name"]),
            objectives=tuple(map(Objective.from_json, data["objectives"])),
            constraints=tuple(map(Constraint.parse, data["constraints"])),
            task=str(data["task"]),
            values=tuple(map(str, data.get("values", ()))),
        )


def of_all(goals: Sequence[Goal]) -> tuple[Objective, ...]:
    """Return the objectives of all goals, each once.

    Raises:
        ConfigError: If a value is wanted large for one goal and small for another.
    """
    found: dict[str, Objective] = {}
    for goal in goals:
        for objective in goal.objectives:
            known = found.setdefault(objective.name, objective)
            if known.direction is not objective.direction:
                raise ConfigError(
                    f"goal '{goal.name}' would {objective.direction} '{objective.name}', and "
                    f"another goal would {known.direction} it: a value has one direction in a study"
                )
    return tuple(found.values())


def goal_named(name: str, goals: Sequence[Goal]) -> Goal:
    """Return the goal of that name.

    Raises:
        ConfigError: If there is none, with those that there are.
    """
    known = [goal.name for goal in goals]
    if name not in known:
        those = f"Its goals are {', '.join(known)}" if any(known) else "It has no goals"
        raise ConfigError(f"the run has no goal '{name}'{nearest(name, known)} {those}")
    return goals[known.index(name)]
