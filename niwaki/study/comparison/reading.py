"""Reading the runs that are to be compared: names that tell them apart, and by what wishes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from niwaki.core.constraints import Constraint
from niwaki.core.errors import ConfigError
from niwaki.core.files import DAMAGE
from niwaki.core.jsonable import JSON
from niwaki.study.record.run_folder import given, without
from niwaki.study.results.run import Run

OWN_SETTINGS = ("name", "seed")  # what may differ between runs of one search
SUBJECT = "subject"  # what a compression is of: names of the model and the data


@dataclass(frozen=True)
class NamedRun:
    """A run, and what it is called beside others.

    Attributes:
        name: The end of its folder's path, as much of it as tells it from the others.
        run: As the goal sees it that was asked for, bounded by what it is judged by.
    """

    name: str
    run: Run

    @cached_property
    def settings(self) -> Mapping[str, JSON]:
        """Its configuration but for what is a run's own; nothing if it has none.

        Of a compression, `subject.weights` is the fingerprint of the model that it began with.
        """
        folder = self.run.folder
        config = folder.read_config() if folder.config.exists() else {}
        named = config.get(SUBJECT)
        weights = _fingerprint(folder.original)
        subject = {**(named if isinstance(named, Mapping) else {}), "weights": weights}
        return given({**without(config, OWN_SETTINGS), **({SUBJECT: subject} if weights else {})})

    @property
    def told(self) -> bool:
        """Whether its settings name what is measured; from Python, they tell little."""
        evaluator, named = (self.settings.get(name) for name in ("evaluator", SUBJECT))
        if isinstance(named, Mapping) and {"model", "data"} <= named.keys():
            # Functions are named by file or module; what was at hand, by its class alone.
            return all(":" in str(named[part]) for part in ("model", "data"))
        return isinstance(evaluator, Mapping)

    @property
    def subject_untold(self) -> bool:
        """Whether it is a compression of before runs kept what their model and data are called."""
        named = self.settings.get(SUBJECT)
        return "compression" in self.settings and not (
            isinstance(named, Mapping) and {"model", "data"} <= named.keys()
        )

    @cached_property
    def environment(self) -> Mapping[str, JSON]:
        """What its last session ran on; nothing if it is not known."""
        sessions = self.run.folder.sessions()
        return sessions[-1]["environment"] if sessions else {}

    @property
    def version(self) -> str:
        """Of niwaki, in its last session; empty if not known."""
        return self._told("packages", "niwaki")

    @property
    def processor(self) -> str:
        """That its last session ran on; empty if not known."""
        return self._told("cpu", "model")

    def _told(self, part: str, name: str) -> str:
        found = self.environment.get(part)
        return str(found.get(name, "")) if isinstance(found, Mapping) else ""


@dataclass(frozen=True)
class Reading:
    """The runs, and which folders were given more than once.

    Attributes:
        runs: Each folder once, in the order in which they came.
        repeated: Folders that came again, as they were written.
        without_baseline: Names of runs that were left out, since what they would be judged by is
            relative to a baseline, and they have none so far.
    """

    runs: tuple[NamedRun, ...]
    repeated: tuple[str, ...]
    without_baseline: tuple[str, ...] = ()


def read_runs(
    folders: Sequence[Path | str], *, within: Sequence[str] = (), goal: str = ""
) -> Reading:
    """Read runs, each once.

    Args:
        folders: Of the runs.
        within: What models of every run keep to, in place of the run's own constraints; none for
            those.
        goal: That runs are seen by, those of them that have goals.

    Raises:
        RunFolderError: If there is no run at one of the folders, or it is damaged.
        ConfigError: If there are not two that can be judged, one has goals and none of them is
            named, no run has that goal, or a constraint cannot be read or judged.
    """
    first: dict[Path, Path] = {}
    repeated = []
    for folder in map(Path, [folders] if isinstance(folders, str | Path) else folders):
        if first.setdefault(folder.resolve(), folder) is not folder:
            repeated.append(str(folder))
    if len(first) < 2:
        again = ", more than once" if repeated else ""
        came = f"one came{again}" if first else "none came"
        raise ConfigError(f"a comparison needs two runs or more, and {came}: give their folders")
    names = _names(list(first))
    runs = {path: Run.read(folder) for path, folder in first.items()}
    by_name = dict(zip(names, runs.values(), strict=True))
    _require_one_front(by_name, goal)
    waiting = _without_baseline(by_name, within)
    named = [
        NamedRun(name, _judged(name, run, within=within, goal=goal))
        for name, run in by_name.items()
        if name not in waiting
    ]
    return Reading(tuple(named), tuple(repeated), waiting)


def _fingerprint(path: Path) -> str | None:
    """Return what was noted of a model; None if it was not, or cannot be read."""
    try:
        noted = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, *DAMAGE):
        return None
    return str(noted["fingerprint"]) if isinstance(noted, dict) and "fingerprint" in noted else None


def _names(paths: Sequence[Path]) -> list[str]:
    """Return the last parts of paths, as few as tell all of them apart."""
    for n_parts in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-n_parts:]) for path in paths]
        if len(set(names)) == len(names):
            break
    return names


def _require_one_front(runs: Mapping[str, Run], goal: str) -> None:
    """Raise if a run has goals and none is named, or one is named and no run has any."""
    goals = {name: run.description.named_goals for name, run in runs.items()}
    with_goals = [name for name, some in goals.items() if some]
    if goal and not with_goals:
        raise ConfigError(f"no run has goals, and so none has the goal '{goal}': leave it out")
    if with_goals and not goal:
        name = with_goals[0]
        raise ConfigError(
            f"'{name}' has several fronts: choose the goal that it is compared by, with `--goal`, "
            f"or `goal=` in Python. Its goals are {', '.join(each.name for each in goals[name])}"
        )


def _without_baseline(runs: Mapping[str, Run], within: Sequence[str]) -> tuple[str, ...]:
    """Return the names of runs that cannot be judged before their baseline is measured.

    Raises:
        ConfigError: If fewer than two can be, or a constraint cannot be read.
    """
    relative = [text for text in within if Constraint.parse(text).relative]
    waiting = tuple(n for n, run in runs.items() if relative and run.history.baseline is None)
    if waiting and len(runs) - len(waiting) < 2:
        listed = ", ".join(f"'{name}'" for name in waiting)
        raise ConfigError(
            f"'{relative[0]}' is relative to the baseline, which was not measured so far in "
            f"{listed}: give a number, or compare again once there is one in two runs"
        )
    return waiting


def _judged(name: str, run: Run, *, within: Sequence[str], goal: str) -> Run:
    """Return the run as its goal sees it, if it has goals, bounded by what it is judged by."""
    try:
        seen = run.of_goal(goal) if run.description.named_goals else run
        if not within:
            return seen
        return replace(seen, description=replace(seen.description, constraints=())).wishing(within)
    except ConfigError as error:
        raise ConfigError(f"'{name}': {error}") from error
