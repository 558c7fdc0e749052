"""What is wanted of a study: wishes as they are written, and what they say of an evaluator."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from niwaki.core.constraints import Constraint
from niwaki.core.errors import ConfigError
from niwaki.core.goals import Goal
from niwaki.core.objectives import Objective
from niwaki.core.registry import nearest
from niwaki.core.wording import kind_of
from niwaki.evaluation.values import LATENCY, MACS, PARAMS, PEAK_BYTES, SIZE, WEIGHT_BYTES


@dataclass(frozen=True)
class GoalSettings:
    """What is wanted of the networks of one goal.

    Attributes:
        objectives: Values to make good, by name (with the evaluator's direction) or in full.
        constraints: Bounds as text, beside those of the study.
        task: Networks are exported so that they answer this task alone; empty for all tasks.

    Raises:
        ConfigError: If a list is a text, or holds something else, or the task is no text.
    """

    objectives: Sequence[str | Objective]
    constraints: Sequence[str] = ()
    task: str = ""

    def __post_init__(self) -> None:
        require_wishes(self.objectives, self.constraints)
        if not isinstance(self.task, str):
            raise ConfigError(f"'task' is {kind_of(self.task)}: give a name, or leave it out")


def require_wishes(objectives: object, constraints: object) -> None:
    """Raise if objectives or constraints are no lists of what they should be.

    Raises:
        ConfigError: With what came, and what is wanted.
    """
    wishes = (
        ("objectives", objectives, "['latency_ms']"),
        ("constraints", constraints, "['latency_ms <= 2']"),
    )
    for name, given, example in wishes:
        if isinstance(given, str) or not isinstance(given, Sequence):
            came = f"'{given}'" if isinstance(given, str) else kind_of(given)
            example = f"['{given}']" if isinstance(given, str) else example
            raise ConfigError(f"'{name}' is {came}: give a list, such as {example}")
        if others := [each for each in given if not isinstance(each, str | Objective)]:
            raise ConfigError(
                f"'{name}' holds {kind_of(others[0])}: give names of values, or `Objective`s, "
                "as objectives, and texts such as 'latency_ms <= 2' as constraints"
            )


def wished_goals(
    objectives: Sequence[str | Objective],
    constraints: Sequence[str],
    goals: Mapping[str, GoalSettings],
    values: Sequence[Objective],
) -> tuple[Goal, ...]:
    """Return what is wanted: one goal for each that is named, or the only one, of no name.

    Args:
        objectives: Of a study without goals.
        constraints: On the networks of all goals.
        goals: By name; none if the study has objectives.
        values: That the evaluator gives.

    Raises:
        ConfigError: If an objective or constraint names an unknown value, there are both goals
            and objectives, or neither, or names of goals are none or differ in case alone.
    """
    common = _constraints(constraints, values)
    _require_agreeing(common)
    if not goals:
        return (Goal("", _objectives(objectives, values, "a study"), common),)
    if objectives:
        raise ConfigError(
            "there are `objectives` beside `goals`: each goal has its own, so leave one of them out"
        )
    _require_different(list(goals))
    found = tuple(
        Goal(
            name,
            _objectives(goal.objectives, values, f"goal '{name}'"),
            (*common, *_constraints(goal.constraints, values)),
            goal.task,
        )
        for name, goal in goals.items()
    )
    for goal in found:
        _require_agreeing(goal.constraints)
    return found


def require_goals(goals: object) -> None:
    """Raise if goals are not settings by name.

    Raises:
        ConfigError: With what came, and what is wanted.
    """
    example = "such as {'small': GoalSettings(['error', 'latency_ms'])}"
    if not isinstance(goals, Mapping):
        raise ConfigError(f"'goals' is {kind_of(goals)}: give settings by name, {example}")
    for name, goal in goals.items():
        if not isinstance(name, str) or not isinstance(goal, GoalSettings):
            raise ConfigError(
                f"'goals' holds {kind_of(goal)} under {kind_of(name)} {name!r}: give "
                f"`GoalSettings` by name, {example}"
            )


def _require_different(names: Sequence[str]) -> None:
    """Raise if names of goals, which begin names of folders, might be one to a file system."""
    met: dict[str, str] = {}
    for name in names:
        if not name:
            raise ConfigError("a goal has an empty name: its models' folders begin with it")
        if (other := met.setdefault(name.casefold(), name)) != name:
            raise ConfigError(
                f"goals '{other}' and '{name}' differ in case alone, and their models' folders "
                "begin with that: call one of them something else"
            )


def _objectives(
    wanted: Sequence[str | Objective], values: Sequence[Objective], whose: str
) -> tuple[Objective, ...]:
    if not wanted:
        raise ConfigError(f"{whose} needs at least one objective: give `objectives`")
    found = []
    for objective in wanted:
        name = objective if isinstance(objective, str) else objective.name
        known = _known(name, values, f"objective '{name}'")
        found.append(
            known if isinstance(objective, str) else replace(known, direction=objective.direction)
        )
    if len({objective.name for objective in found}) < len(found):
        raise ConfigError(f"an objective is listed twice: {', '.join(o.name for o in found)}")
    return tuple(found)


def _constraints(texts: Sequence[str], values: Sequence[Objective]) -> tuple[Constraint, ...]:
    constraints = tuple(Constraint.parse(text) for text in texts)
    for constraint in constraints:
        value = _known(constraint.name, values, f"constraint '{constraint.text}'")
        _require_possible(constraint, value)
    return constraints


# Every network takes some time, and some room.
_ABOVE_LEAST = (LATENCY, SIZE, MACS, PARAMS, WEIGHT_BYTES, PEAK_BYTES)


def _require_possible(constraint: Constraint, value: Objective) -> None:
    """Raise if no value can keep a bound: it is in another unit, mostly."""
    if constraint.relative:
        return
    limit, at_most = constraint.offset, constraint.sign > 0
    least, too_low = f"below {value.least:g}", limit < value.least
    if value in _ABOVE_LEAST:
        least, too_low = f"{value.least:g} or below", limit <= value.least
    if too_low if at_most else limit > value.most:
        beyond = least if at_most else f"above {value.most:g}"
        unit = f", and is in {value.unit}" if value.unit else ""
        raise ConfigError(
            f"constraint '{constraint.text}' cannot be kept: no {value.name} is {beyond}{unit}. "
            "Give the bound in the value's own unit"
        )


def _require_agreeing(constraints: Sequence[Constraint]) -> None:
    """Raise if no value is between two bounds on it; of relative ones, nobody knows so far."""
    bounds = [constraint for constraint in constraints if not constraint.relative]
    for most in (bound for bound in bounds if bound.sign > 0):
        for least in (bound for bound in bounds if bound.sign < 0 and bound.name == most.name):
            if least.offset > most.offset:
                raise ConfigError(
                    f"constraints '{most.text}' and '{least.text}' cannot both be kept: leave one "
                    "out, or turn it round"
                )


def _known(name: str, values: Sequence[Objective], what: str) -> Objective:
    by_name = {value.name: value for value in values}
    if name not in by_name:
        hint = nearest(name, list(by_name))
        raise ConfigError(f"{what}: no value is called '{name}'{hint} Known: {', '.join(by_name)}")
    return by_name[name]
