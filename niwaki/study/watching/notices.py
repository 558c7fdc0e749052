"""What parts of niwaki say in passing, brought to whoever watches a study."""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LOGGER = "niwaki"


class _Forwarding(logging.Handler):
    """Says what is new, and only what the thread that it was made in has to say."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._say, self._last = say, ""
        self._origin = _here()

    def emit(self, record: logging.LogRecord) -> None:
        sentence = record.getMessage()
        if _here() == self._origin and sentence != self._last:
            self._last = sentence
            self._say(sentence)


def _here() -> tuple[int, int]:
    """Return process and thread; in a forked child the thread's number is that of its parent."""
    return os.getpid(), threading.get_ident()


@contextmanager
def forwarded(say: Callable[[str], None]) -> Iterator[None]:
    """Hand on what this thread logs below the logger `niwaki`; repetitions are left out.

    Args:
        say: Takes sentences, such as `Observer.say`.
    """
    logger, handler = logging.getLogger(LOGGER), _Forwarding(say)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
