"""What plug-ins raise, with a note of who was asked for what: they are the user's to mend."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from niwaki.core.errors import NiwakiError

_BLAME = "This was raised by "


def raised_by(what: str) -> AbstractContextManager[None]:
    """Let errors that are not niwaki's own say, below their traceback, where they come from.

    Code that calls `sys.exit` ends no search as if all had gone well: that is an error, too. Of
    several around each other, the innermost says so alone: it is the nearest to the cause.

    Args:
        what: Who was asked for what, such as "`ask` of the searcher".
    """
    return noted_below(f"{_BLAME}{what}. Nothing is lost: mend it, and the same command continues")


@contextmanager
def noted_below(note: str) -> Iterator[None]:
    """Add a note, below their traceback, to errors that are not niwaki's own.

    Raises:
        RuntimeError: If `sys.exit` is called.
    """
    try:
        with _without_exit():
            yield
    except NiwakiError:
        raise
    except Exception as error:
        if not (note.startswith(_BLAME) and _blames(error)):
            error.add_note(note)
        raise


@contextmanager
def _without_exit() -> Iterator[None]:
    try:
        yield
    except SystemExit as exit_:
        raise RuntimeError(f"`sys.exit({exit_.code!r})` was called") from exit_


def _blames(error: Exception) -> bool:
    return any(note.startswith(_BLAME) for note in getattr(error, "__notes__", ()))
