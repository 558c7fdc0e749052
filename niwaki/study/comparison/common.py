"""The objectives that runs have in common."""

from collections.abc import Sequence
from dataclasses import replace

from niwaki.core.errors import ConfigError
from niwaki.core.objectives import Objective
from niwaki.study.comparison.reading import NamedRun


def common_objectives(runs: Sequence[NamedRun]) -> tuple[Objective, ...]:
    """Return the objectives that all runs have, in the order of the first.

    Raises:
        ConfigError: If there is none, or two runs want one in different directions or units.
    """
    first, *others = runs
    common = {objective.name: objective for objective in first.run.description.objectives}
    for other in others:
        own = {objective.name: objective for objective in other.run.description.objectives}
        kept = {name: each for name, each in common.items() if name in own}
        if not kept:
            raise ConfigError(
                f"'{first.name}' and '{other.name}' have no objective in common: of the one they "
                f"are {_listed(first.run.description.objectives)}, of the other "
                f"{_listed(other.run.description.objectives)}. Compare runs that share one"
            )
        for name, objective in kept.items():
            _require_alike(objective, own[name], (first.name, other.name))
            kept[name] = replace(objective, unit=objective.unit or own[name].unit)
        common = kept
    return tuple(common.values())


def _listed(objectives: Sequence[Objective]) -> str:
    return ", ".join(objective.name for objective in objectives)


def _require_alike(one: Objective, other: Objective, names: tuple[str, str]) -> None:
    if one.direction is not other.direction:
        raise ConfigError(
            f"'{names[0]}' would {one.direction} '{one.name}', and '{names[1]}' would "
            f"{other.direction} it: they cannot be compared"
        )
    if one.unit and other.unit and one.unit != other.unit:
        raise ConfigError(
            f"'{one.name}' is in {one.unit} in '{names[0]}', and in {other.unit} in "
            f"'{names[1]}': they cannot be compared"
        )
