"""Where settings differ: as paths of keys, since a key may hold a dot."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from niwaki.core.jsonable import JSON

Path: TypeAlias = "tuple[str, ...]"

MEASURING = ("evaluator", "data", "target", "subject")  # that say what the name of a value means
ANY = "*"
# Of those, what changes no full measurement.
BESIDE = (
    ("data", "cache"),
    ("evaluator", "alike"),
    ("evaluator", "baseline"),
    ("evaluator", "cheap"),
    ("evaluator", "seconds"),
    ("evaluator", "values", ANY, "fidelities"),
)


def differing_paths(settings: Sequence[Mapping[str, JSON]]) -> list[Path]:
    """Return the paths at which some settings differ from the first, sorted.

    Where one of two has a section or a setting that the other lacks, it is the path of that.
    """
    return sorted({path for each in settings for path in _changed(settings[0], each)})


def measuring_paths(settings: Sequence[Mapping[str, JSON]]) -> list[Path]:
    """Return the paths of what differs, and may change what a full measurement is."""
    return [
        path
        for path in differing_paths(settings)
        if path[0] in MEASURING and not any(_begins(path, with_) for with_ in BESIDE)
    ]


def at(value: JSON, path: Path) -> JSON:
    """Return what is at a path; None if there is nothing."""
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            return None
        value = value[key]
    return value


def dotted(path: Path) -> str:
    """Return a path as people write it."""
    return ".".join(path)


def _changed(before: JSON, after: JSON, path: Path = ()) -> list[Path]:
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        return [] if before == after else [path]
    changed: list[Path] = []
    for key in {*before, *after}:
        if key in before and key in after:
            changed += _changed(before[key], after[key], (*path, key))
        else:
            changed.append((*path, key))
    return changed


def _begins(path: Path, pattern: Path) -> bool:
    return len(path) >= len(pattern) and all(
        part in (key, ANY) for key, part in zip(path, pattern, strict=False)
    )
