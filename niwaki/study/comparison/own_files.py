"""Files of the user that runs have imported, and that are not the same in all of them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath

from niwaki.core.jsonable import JSON
from niwaki.study.comparison.differences import MEASURING
from niwaki.study.comparison.reading import NamedRun
from niwaki.study.record.environment import USER_FILES


def changed_files(runs: Sequence[NamedRun]) -> list[str]:
    """Return the names of files that several runs imported, with other texts."""
    texts: dict[str, set[str]] = {}
    for each in runs:
        files = each.environment.get(USER_FILES)
        for name, text in (files if isinstance(files, Mapping) else {}).items():
            texts.setdefault(name, set()).add(str(text))
    return sorted(name for name, some in texts.items() if len(some) > 1)


def measure(files: Sequence[str], runs: Sequence[NamedRun]) -> bool:
    """Return whether what is measured may depend on some of these files.

    It does if a setting that says what is measured names one. It may if such a setting names a file
    of the user, and no setting names one of these: that may be what the named one imports.
    """
    parts = [each.settings.get(part) for each in runs for part in MEASURING]
    measuring = {name for part in parts for name in _named(part)}
    known = {name for each in runs for name in _named(each.settings)}
    return bool(measuring.intersection(files) or (measuring and set(files) - known))


def _named(value: JSON) -> Iterator[str]:
    """Yield the names of Python files that settings name, as `folder/file.py:Name`."""
    if isinstance(value, str):
        name = PurePath(value.rpartition(":")[0] or value).name
        if name.endswith(".py"):
            yield name
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _named(each)
    elif isinstance(value, Sequence):
        for each in value:
            yield from _named(each)
