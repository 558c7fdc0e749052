"""What plug-ins raise, with a note of who was asked for what: they are the user's to mend."""

from collections.abc import Iterator
from contextlib import contextmanager

from niwaki.core.errors import NiwakiError


@contextmanager
def raised_by(what: str) -> Iterator[None]:
    """Let errors that are not niwaki's own say, below their traceback, where they come from.

    Args:
        what: Who was asked for what, such as "`ask` of the searcher".
    """
    try:
        yield
    except NiwakiError:
        raise
    except Exception as error:
        error.add_note(
            f"This was raised by {what}. Nothing is lost: mend it, and the same command continues"
        )
        raise
