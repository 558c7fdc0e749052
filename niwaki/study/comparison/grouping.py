"""Which runs are one search with different seeds, and what tells the searches apart."""

import re
from collections.abc import Mapping, Sequence
from itertools import takewhile

from niwaki.core.jsonable import JSON, canonical_json
from niwaki.study.comparison.reading import NamedRun
from niwaki.study.environment import USER_FILES, changed_fields
from niwaki.study.run import Run
from niwaki.study.run_folder import given, without

OWN_SETTINGS = ("name", "seed")  # what may differ between runs of one search
_SEPARATORS = "-_. /="


def grouped(runs: Sequence[NamedRun]) -> list[list[NamedRun]]:
    """Return the runs that are one search with different seeds, group by group, in their order.

    These have the same configuration but for name and seed, the same budget, the same
    files of the user and the same niwaki.
    """
    groups: dict[str, list[NamedRun]] = {}
    for each in runs:
        groups.setdefault(_identity(each.run), []).append(each)
    return list(groups.values())


def _identity(run: Run) -> str:
    description = run.description
    # A run from Python tells less of itself: its space and its budget are no part of what it tells.
    told: JSON = {
        "settings": settings_of(run),
        "budget": [description.n_evaluations, description.seconds],
        "objectives": [objective.to_json() for objective in description.objectives],
        "constraints": [constraint.text for constraint in description.constraints],
        "goal": run.goal,
        "values": [value.to_json() for value in description.values],
        "files": environment_of(run).get(USER_FILES),
        "niwaki": version_of(run),
    }
    return canonical_json(told)


def settings_of(run: Run) -> dict[str, JSON]:
    """Return the configuration but for what is a run's own; nothing if it has none."""
    config = run.folder.read_config() if run.folder.config.exists() else {}
    return given(without(config, OWN_SETTINGS))


def environment_of(run: Run) -> Mapping[str, JSON]:
    """Return what the run's last session ran on; nothing if it is not known."""
    sessions = run.folder.sessions()
    found: Mapping[str, JSON] = sessions[-1]["environment"] if sessions else {}
    return found


def version_of(run: Run) -> str:
    """Return the version of niwaki that the run's last session was of; empty if not known."""
    packages = environment_of(run).get("packages")
    return str(packages.get("niwaki", "")) if isinstance(packages, Mapping) else ""


def group_names(groups: Sequence[Sequence[str]]) -> list[str]:
    """Return what groups are called: what their runs' names have in common, if that is theirs.

    Args:
        groups: The names of the runs of each; all of them differ.
    """
    common = [_common(names) for names in groups]
    return [
        name if name and common.count(name) == 1 else _counted(names)
        for name, names in zip(common, groups, strict=True)
    ]


def _common(names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    alike = takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    shared = "".join(letters[0] for letters in alike)
    if any(name[len(shared) : len(shared) + 1].isdigit() for name in names):
        shared = re.sub(r"\d+$", "", shared)  # 10 and 11 are no seeds of 1
    return shared.strip(_SEPARATORS)


def _counted(names: Sequence[str]) -> str:
    n = len(names) - 1
    return f"{names[0]} and {n} more" if n else names[0]


def differing(runs: Sequence[Run]) -> list[dict[str, JSON]]:
    """Return of each run the settings by which they differ, by dotted name.

    Left out are settings that some of them have not, such as those of another searcher.
    """
    settings = [settings_of(run) for run in runs]
    paths = {path for each in settings for path in changed_fields(settings[0], each)}
    found = [{path: _at(each, path) for path in sorted(paths)} for each in settings]
    shared = [path for path in sorted(paths) if all(each[path] is not None for each in found)]
    return [{path: each[path] for path in shared} for each in found]


def _at(value: JSON, path: str) -> JSON:
    for key in path.split("."):
        if not isinstance(value, Mapping) or key not in value:
            return None
        value = value[key]
    return value
