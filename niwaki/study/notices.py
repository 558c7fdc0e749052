"""What parts of niwaki say in passing, brought to whoever watches a study."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LOGGER = "niwaki"


class _Forwarding(logging.Handler):
    """Says each sentence once, and only those of the thread that it was made in."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._say, self._said = say, set[str]()
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        sentence = record.getMessage()
        if threading.get_ident() == self._thread and sentence not in self._said:
            self._said.add(sentence)
            self._say(sentence)


@contextmanager
def forwarded(say: Callable[[str], None]) -> Iterator[None]:
    """Hand on what this thread logs below the logger `niwaki`, each sentence once.

    Args:
        say: Takes sentences, such as `Observer.say`.
    """
    logger, handler = logging.getLogger(LOGGER), _Forwarding(say)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
