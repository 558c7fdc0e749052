"""Folders of this machine and user, which there may be none of."""

from pathlib import Path


def working_folder() -> Path | None:
    """Return the working directory; None if it was deleted, as temporary ones are."""
    try:
        return Path.cwd()
    except OSError:
        return None


def home_folder() -> Path | None:
    """Return the home folder of the user; None if none can be found, as in some containers."""
    try:
        return Path.home()
    except RuntimeError:
        return None
