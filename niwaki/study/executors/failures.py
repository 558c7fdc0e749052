"""Failures as people read them: one sentence, and a traceback without private paths."""

import os
import sys
import sysconfig
from pathlib import Path
from traceback import FrameSummary, StackSummary, TracebackException, extract_tb

from niwaki.core.errors import NiwakiError
from niwaki.core.folders import home_folder, working_folder

_NOT_THE_USERS = (
    *(Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")),
    Path(__file__).parents[2],  # niwaki itself
)
MAX_REASON_CHARACTERS = 500
MAX_TRACEBACK_LINES = 60


def explain(error: BaseException) -> str:
    """Return one line that says what went wrong."""
    text = " ".join(_said_by(error).split())
    if not isinstance(error, NiwakiError):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    text = without_private_paths(text)
    return text if len(text) <= MAX_REASON_CHARACTERS else text[:MAX_REASON_CHARACTERS] + " ..."


def explain_with_place(error: BaseException) -> str:
    """Return one line that says what went wrong, and where in the user's own files if it was there.

    Errors of niwaki's own say by themselves what is wrong.
    """
    place = "" if isinstance(error, NiwakiError) else _place(error)
    return f"{explain(error).removesuffix('.')} ({place})" if place else explain(error)


def _place(error: BaseException) -> str:
    """Return the innermost line of the user's that was run; empty if there is none."""
    for frame in reversed(extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        installed = any(folder in path.parents for folder in _NOT_THE_USERS)
        if path.is_absolute() and not installed:
            return f"{_relative(path)}, line {frame.lineno}"
    return ""


def _said_by(error: BaseException) -> str:
    """Return the text of an exception; empty if its own class fails to tell it."""
    try:
        return str(error)
    except Exception:
        return ""


def traceback_lines(error: BaseException) -> list[str]:
    """Return the traceback with its causes, innermost last, file paths relative.

    Of a very long one (a recursion, say) the middle is left out.
    """
    summary = TracebackException.from_exception(error, compact=True)
    _shorten_paths(summary)
    lines = without_private_paths("".join(summary.format())).splitlines()
    if len(lines) <= MAX_TRACEBACK_LINES:
        return lines
    half = MAX_TRACEBACK_LINES // 2
    return [*lines[:half], f"  ... {len(lines) - 2 * half} lines ...", *lines[-half:]]


def without_private_paths(text: str) -> str:
    """Return `text` with the working directory removed from paths and the home folder as `~`."""
    for folder, substitute in ((working_folder(), ""), (home_folder(), "~" + os.sep)):
        # A working directory or home of `/` says nothing about anybody.
        if folder is not None and folder != Path(folder.anchor):
            text = text.replace(f"{folder}{os.sep}", substitute)
    return text


def _shorten_paths(summary: TracebackException) -> None:
    left = [summary]
    while left:  # a chain of attempts may be longer than a recursion may be deep
        told = left.pop()
        told.stack = StackSummary.from_list([_shortened(frame) for frame in told.stack])
        inner = (told.__cause__, told.__context__, *(told.exceptions or ()))
        left += [each for each in inner if each is not None]


def _shortened(frame: FrameSummary) -> FrameSummary:
    # The source line is looked up by file name, so it has to be read before the name changes.
    path = _relative(Path(frame.filename))
    return FrameSummary(path, frame.lineno, frame.name, lookup_line=False, line=frame.line)


def _relative(path: Path) -> str:
    """Return `path` as it is seen from the longest entry of the import path above it."""
    if not path.is_absolute():
        return str(path)
    roots = [root for root in map(Path, sys.path) if root.is_absolute() and root in path.parents]
    if not roots:
        return path.name
    return str(path.relative_to(max(roots, key=lambda root: len(root.parts))))
