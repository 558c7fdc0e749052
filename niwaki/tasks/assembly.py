"""From arrays to `TaskData`: checks, missing splits, preprocessing, fingerprint."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from niwaki.core.errors import ConfigError
from niwaki.core.jsonable import fingerprint
from niwaki.core.randomness import stream
from niwaki.tasks.arrays import Arrays, ArraySplit
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.carving import carve, chosen_fractions
from niwaki.tasks.checks import (
    Given,
    absent_classes,
    checked,
    constant_outputs,
    missing_values,
    require_fitting_layout,
    require_known_targets,
    require_one_scale,
    require_same_shapes,
    unknown_outputs,
    unlike_types,
)
from niwaki.tasks.copies import copied_items
from niwaki.tasks.digest import digest_of
from niwaki.tasks.preprocessing import (
    AS_GIVEN,
    Preprocessing,
    as_given,
    channels_first,
    guessed_layout,
    standardising,
)
from niwaki.tasks.task import Task, TaskKind, TaskSettings, declared


@dataclass(frozen=True)
class Preparation:
    """What is done to a user's arrays before training.

    Attributes:
        layout: Layout of the inputs, such as NHWC; empty to tell by the shape.
        standardise: Whether to give each channel mean 0 and standard deviation 1 over train; None
            does so unless the layout is `AS_GIVEN`.
        fractions: Share of the train items for each split that the user has no data for, by split
            name; `carving.DEFAULT_FRACTIONS` where none is given.

    Raises:
        ConfigError: If inputs are to be standardised that are to stay as given.
    """

    layout: str = ""
    standardise: bool | None = None
    fractions: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.standardise and self.layout == AS_GIVEN:
            raise ConfigError(
                f"'layout' is {AS_GIVEN}, so that inputs stay as they are, but 'standardise' is "
                "true: leave one of them out"
            )

    @property
    def standardises(self) -> bool:
        """Whether inputs are standardised."""
        return self.layout != AS_GIVEN if self.standardise is None else self.standardise


def declared_tasks(settings: Mapping[str, TaskSettings]) -> tuple[Task, ...]:
    """Return the tasks that a user declares, by name.

    Raises:
        ConfigError: If there is none, or one is not well-formed.
    """
    if not settings:
        raise ConfigError("no task is declared: give 'tasks', such as {label: {kind: ...}}")
    return tuple(declared(name, given) for name, given in settings.items())


def prepare(
    tasks: tuple[Task, ...],
    given: Mapping[SplitName, Given],
    preparation: Preparation,
    *,
    seed: int,
    warnings: tuple[str, ...] = (),
) -> TaskData:
    """Check a user's arrays, carve the splits that are missing from train, and assemble.

    Args:
        tasks: Each has targets in every split given.
        given: At least train.
        preparation: What to do to the arrays.
        seed: Decides who goes into a carved split.
        warnings: What is already known to be odd.

    Raises:
        ConfigError: If the preparation does not fit the splits given.
        DataError: If the arrays are not what the tasks need.
    """
    splits = {name: checked(items, tasks) for name, items in given.items()}
    require_same_shapes(splits)
    splits = _with_missing(splits, tasks, preparation.fractions, seed=seed)
    require_known_targets(splits, tasks)
    train = splits[SplitName.TRAIN]
    layout = preparation.layout or guessed_layout(train.inputs.shape)
    require_fitting_layout(tasks, train, layout)
    if preparation.standardises:
        require_one_scale(splits)
    recipe = standardising if preparation.standardises else as_given
    preprocessing = recipe(train.inputs, layout)
    told = (
        *absent_classes(tasks, train),
        *missing_values(tasks, train),
        *unknown_outputs(tasks, train),
        *constant_outputs(tasks, train),
        *copied_items(splits),
    )
    scaled = () if preparation.standardises else unlike_types(splits)
    odd = (*warnings, *told, *_unscaled(preprocessing), *scaled)
    return assemble(tasks, splits, preprocessing, warnings=odd)


def assemble(
    tasks: tuple[Task, ...],
    splits: Mapping[SplitName, Arrays],
    preprocessing: Preprocessing,
    *,
    warnings: tuple[str, ...] = (),
) -> TaskData:
    """Put arrays of all five splits together.

    Args:
        tasks: Their targets are in every split.
        splits: Checked arrays, in canonical shapes.
        preprocessing: Applied to the inputs of every batch.
        warnings: What is odd about the data.
    """
    train = splits[SplitName.TRAIN].inputs
    return TaskData(
        tasks=tasks,
        splits={name: ArraySplit(splits[name], preprocessing) for name in SplitName},
        input_shape=channels_first(train[:1], preprocessing.layout).shape[1:],
        preprocessing=preprocessing,
        fingerprint=fingerprint(
            {
                "splits": {str(name): digest_of(splits[name].named()) for name in SplitName},
                "preprocessing": preprocessing.to_json(),
                "tasks": [task.to_json() for task in tasks],
            }
        ),
        warnings=warnings,
    )


def _unscaled(preprocessing: Preprocessing) -> tuple[str, ...]:
    if preprocessing.layout == AS_GIVEN:  # which is what was asked for
        return ()
    # Numbers of more than a byte are counts or names of things, such as tokens.
    if np.dtype(preprocessing.dtype) not in (np.uint8, np.int8) or preprocessing.scale != 1.0:
        return ()
    if any(std != 1.0 for std in preprocessing.std):
        return ()
    return (
        f"inputs are {preprocessing.dtype} and reach the network unscaled: "
        "set standardise: true if training goes badly",
    )


def _with_missing(
    splits: Mapping[SplitName, Arrays],
    tasks: tuple[Task, ...],
    fractions: Mapping[str, float],
    *,
    seed: int,
) -> dict[SplitName, Arrays]:
    missing = [name for name in SplitName if name not in splits]
    shares = chosen_fractions(fractions, missing)
    if not missing:
        return dict(splits)
    train = splits[SplitName.TRAIN]
    classified = [task.name for task in tasks if task.kind is TaskKind.CLASSIFICATION]
    parts = carve(
        len(train),
        shares,
        rng=stream(seed, "carving"),
        labels=train.targets[classified[0]] if classified else None,
    )
    return {**splits, **{name: train.take(indices) for name, indices in parts.items()}}
