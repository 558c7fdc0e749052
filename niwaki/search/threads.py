"""Linear algebra on one thread while a searcher thinks.

Its matrices have a few hundred rows. Threads gain nothing on them, and they wait for each other in
busy loops: beside workers that keep all cores busy, a thought then takes ten times as long.
"""

from contextlib import AbstractContextManager
from functools import cache

from threadpoolctl import ThreadpoolController


def one_thread() -> AbstractContextManager[object]:
    """Return a context in which BLAS uses one thread; afterwards, as many as before."""
    limited: AbstractContextManager[object] = _libraries().limit(limits=1, user_api="blas")
    return limited


@cache
def _libraries() -> ThreadpoolController:
    """Return the libraries that are loaded now; looking for them takes milliseconds."""
    return ThreadpoolController()
