"""Python's cycle collector, kept from running where it finds nothing and takes long."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def collector_paused() -> Iterator[None]:
    """Keep Python's cycle collector from running.

    Deriving a tree makes thousands of small objects that die with it, varying many makes as many
    that stay in tables: in both there are no cycles. Counted as survivors, they would set off full
    collections, and one takes a tenth of a second where torch is loaded: fifty times a derivation.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()
