"""Paths of users' files, one for each split that they have."""

import os
from collections.abc import Mapping
from pathlib import Path

from niwaki.core.errors import ConfigError, DataError
from niwaki.core.files import expanded
from niwaki.core.registry import nearest
from niwaki.tasks.base import SplitName

DEFAULT_DATA_FOLDER = "../shared/data"
"""Where shared data lie beside a checkout, unless $NIWAKI_DATA says otherwise."""


def by_split(path: str | Mapping[str, str], setting: str) -> dict[SplitName, str]:
    """Return what the user typed for each split.

    Args:
        path: One path, which is all there is, or paths by split name.
        setting: Name of the setting, for messages.

    Raises:
        ConfigError: If a name is not that of a split, or there is none for train.
    """
    if isinstance(path, str):
        path = {SplitName.TRAIN: path}
    typed = {split_named(name, setting): each for name, each in path.items()}
    if not typed.get(SplitName.TRAIN):
        raise ConfigError(f"'{setting}' has no path for the train split: give at least that one")
    return typed


def split_named(name: str, where: str) -> SplitName:
    """Return the split called `name`.

    Raises:
        ConfigError: If there is none, with the nearest name.
    """
    known = [str(split) for split in SplitName]
    if name not in known:
        raise ConfigError(
            f"'{where}' names a split '{name}'{nearest(name, known)} Splits: {', '.join(known)}"
        )
    return SplitName(name)


def data_folder() -> Path:
    """Return the folder of data that are shared between checkouts: `$NIWAKI_DATA`."""
    return expanded(os.environ.get("NIWAKI_DATA") or DEFAULT_DATA_FOLDER)


def existing(typed: str, split: SplitName, *, kind: str = "file") -> Path:
    """Return the path that a user typed.

    Args:
        typed: Absolute, or relative to the current folder, and if nothing is there to the folder of
            shared data; `~` is the home folder.
        split: For the message.
        kind: `file` or `folder`.

    Raises:
        ConfigError: If `~` stands for no home folder.
        DataError: If there is no such file or folder.
    """
    path = expanded(typed)
    try:
        for place in (path, data_folder() / path):
            if place.is_dir() if kind == "folder" else place.is_file():
                return place
        found = "is no " + kind if path.exists() else "does not exist"
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        raise DataError(
            f"'{typed}' ({kind} of the {split} split) cannot be looked at: {error.strerror}. "
            "Correct the path, or allow its folder to be read"
        ) from error
    raise DataError(
        f"'{typed}' ({kind} of the {split} split) {found}. Relative paths start from {Path.cwd()}, "
        f"then from the folder of shared data, {data_folder()} ($NIWAKI_DATA names another)"
    )
