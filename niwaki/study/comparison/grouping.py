"""Which runs are one search with different seeds, and what tells the searches apart."""

import re
from collections.abc import Sequence
from itertools import takewhile

from niwaki.core.jsonable import JSON, canonical_json
from niwaki.study.comparison.differences import at, differing_paths, dotted
from niwaki.study.comparison.reading import NamedRun
from niwaki.study.record.environment import USER_FILES

_SEPARATORS = "-_. /="


def grouped(runs: Sequence[NamedRun]) -> list[list[NamedRun]]:
    """Return the runs that are one search with different seeds, group by group, in their order.

    These have the same configuration but for name and seed, the same budget, the same
    files of the user and the same niwaki.
    """
    groups: dict[str, list[NamedRun]] = {}
    for each in runs:
        groups.setdefault(_identity(each), []).append(each)
    return list(groups.values())


def _identity(named: NamedRun) -> str:
    description = named.run.description
    # A run from Python tells less of itself: its space and its budget are no part of what it tells.
    told: JSON = {
        "settings": named.settings,
        "alone": named.name if named.subject_untold else None,
        "budget": [description.n_evaluations, description.seconds],
        "objectives": [objective.to_json() for objective in description.objectives],
        "constraints": [constraint.text for constraint in description.constraints],
        "goal": named.run.goal,
        "values": [value.to_json() for value in description.values],
        "files": named.environment.get(USER_FILES),
        "niwaki": named.version,
    }
    return canonical_json(told)


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


def differing(runs: Sequence[NamedRun]) -> list[dict[str, JSON]]:
    """Return of each run the settings by which they differ, by dotted name.

    A whole section that some of them have not, such as `scheduler`, is None for these. Left out are
    settings of a section that some have not, such as those of another searcher.
    """
    settings = [each.settings for each in runs]
    found = {path: [at(each, path) for each in settings] for path in differing_paths(settings)}
    lacking = {path[0] for path, values in found.items() if len(path) == 1 and None in values}
    told = {
        dotted(path): values
        for path, values in found.items()
        if (path[0] in lacking and len(path) == 1) or None not in values
    }
    return [{name: values[row] for name, values in told.items()} for row in range(len(runs))]
