"""Runs that a study learns from: copied into its folder when it begins, and read from there."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from niwaki.core.constraints import Constraint
from niwaki.core.errors import ConfigError, RunFolderError
from niwaki.core.files import UNFINISHED, cannot_write, expanded
from niwaki.core.measurement import Trial
from niwaki.search.base import Earlier
from niwaki.spaces.base import Space
from niwaki.spaces.many import spelled
from niwaki.study.description import FILE_NAME, StudyDescription
from niwaki.study.record.run_folder import RunFolder
from niwaki.study.results.run import Run

T = TypeVar("T")


@dataclass(frozen=True)
class EarlierRun:
    """A run that a study learns from.

    Attributes:
        path: As the user gave it.
        search: What it found in the space of the study.
        n_outside: How many of its evaluations were of candidates outside that space.
        fault: What is wrong with one of those; empty if there are none.
        ignored: Constraints of the study on values that not all of its evaluations have.
    """

    path: str
    search: Earlier
    n_outside: int = 0
    fault: str = ""
    ignored: tuple[Constraint, ...] = ()

    def __str__(self) -> str:
        names = ", ".join(objective.name for objective in self.search.objectives)
        outside = ""
        if self.n_outside:
            outside = f"; {self.n_outside} more are not of this space ({self.fault})"
        n = len(self.search.trials)
        evaluations = f"{n} evaluation{'s' if n != 1 else ''}"
        ignored = "".join(
            f"; the best that it begins with may break '{each}', as '{each.name}' was not measured "
            "there"
            for each in self.ignored
        )
        return f"learns from '{self.path}': {evaluations} of {names}{outside}{ignored}"


def read_earlier(
    folder: RunFolder,
    paths: Sequence[str | Path],
    space: Space,
    constraints: Sequence[Constraint],
) -> tuple[EarlierRun, ...]:
    """Read the runs that a study learns from: their copies in its folder, if there are any.

    Args:
        folder: Of the study.
        paths: Of the runs.
        space: Of the study.
        constraints: Of the study.

    Raises:
        ConfigError: If a run is the study itself, or has nothing to learn from.
        RunFolderError: If there is no such run, or it is damaged.
    """
    if isinstance(paths, str | Path):
        raise ConfigError(f"'learn_from' is '{paths}': give a list of runs, such as ['{paths}']")
    return tuple(
        _read(str(path), place, space, constraints)
        for path, place in zip(paths, _places(folder, paths), strict=True)
    )


def keep_earlier(folder: RunFolder, paths: Sequence[str | Path], *, begun: bool) -> None:
    """Copy what is learned from runs into the folder of a study, unless that was done before.

    So a study that is continued knows what it knew, whatever became of those runs.

    Args:
        folder: Of the study.
        paths: Of the runs.
        begun: Whether the study has measured something: then there have to be copies.

    Raises:
        ConfigError: If a run is the study itself.
        RunFolderError: If there is no such run, or the copies are gone or cannot be written.
    """
    if not paths or folder.earlier.exists():
        return
    if begun:
        raise RunFolderError(
            f"'{folder.earlier}' is gone, where this run keeps what it learned from others: "
            "restore it, or give this run another name"
        )
    originals = _originals(folder, paths)
    for path, place in zip(paths, originals, strict=True):
        _read_at(str(path), place, StudyDescription.load)
    unfinished = folder.earlier.with_suffix(UNFINISHED)
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        for number, place in enumerate(originals):
            copy = unfinished / str(number)
            copy.mkdir(parents=True)
            for name in (FILE_NAME, folder.trials.name):
                shutil.copyfile(place / name, copy / name)
        unfinished.rename(folder.earlier)
    except OSError as error:
        raise cannot_write(folder.earlier, error) from error


def _places(folder: RunFolder, paths: Sequence[str | Path]) -> list[Path]:
    if paths and folder.earlier.exists():
        return [folder.earlier / str(number) for number in range(len(paths))]
    return _originals(folder, paths)


def _originals(folder: RunFolder, paths: Sequence[str | Path]) -> list[Path]:
    places = [expanded(path) for path in paths]
    for place in places:
        if place.resolve() == folder.path.resolve():
            raise ConfigError(
                f"'learn_from' names '{place}', which is this run itself: leave it out"
            )
    return places


def _read_at(path: str, place: Path, read: Callable[[Path], T]) -> T:
    try:
        return read(place)
    except RunFolderError as error:
        if place != expanded(path):
            raise RunFolderError(
                f"the copy of '{path}' that this run learns from cannot be read ({error}): restore "
                f"'{place}', or give this run another name"
            ) from error
        raise type(error)(f"'learn_from' names '{path}', but {error}") from error


def _read(path: str, place: Path, space: Space, constraints: Sequence[Constraint]) -> EarlierRun:
    run = _read_at(path, place, Run.read)
    trials = [*run.history.baseline_of(space), *run.history.full_trials]
    measured = [trial for trial in trials if trial.measurement.complete]
    if not measured:
        raise ConfigError(
            f"'learn_from' names '{path}', which has no complete evaluation at full effort: let it "
            "search for longer, or leave it out"
        )
    found = spelled(space, [trial.candidate for trial in measured])
    faults = [fault for _, fault in found if fault]
    if len(faults) == len(found):
        raise ConfigError(
            f"'learn_from' names '{path}', but none of its candidates is of this space "
            f"({faults[0]}): give runs of the same space"
        )
    usable = tuple(
        Trial(trial.number, own, trial.measurement)
        for trial, (own, fault) in zip(measured, found, strict=True)
        if not fault
    )
    names = set.intersection(*(set(trial.measurement.values) for trial in usable))
    bounds = run.history.bounds([each for each in constraints if each.name in names])
    search = Earlier(run.description.objectives, bounds, usable)
    ignored = tuple(each for each in constraints if each.name not in names)
    return EarlierRun(path, search, len(faults), faults[0] if faults else "", ignored)
