"""How far something is that may take minutes."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

SECONDS = 15.0  # between two sentences


def told(
    items: Sequence[T],
    say: Callable[[str], None],
    what: str,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[T]:
    """Go through items, and say how many are done; seldom, and of what is soon done, nothing.

    Args:
        items: Each is done when the next one is asked for.
        say: Told sentences.
        what: What is done to the items, after their number: `networks are exported`.
        clock: Gives seconds.
    """
    last = clock()
    for n_done, item in enumerate(items):
        if clock() - last >= SECONDS:
            say(f"{n_done} of {len(items)} {what}")
            last = clock()
        yield item
