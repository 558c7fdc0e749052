"""Memory of large tensors, used again rather than asked of the system anew.

glibc hands a block of more than 32 MiB back to the system once it is freed, and the system clears
the pages of the next one. Activations of a batch on a processor are such blocks, and this takes a
third to a half of a forward pass.
"""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4  # of mallopt, by malloc.h
_NEVER = -1
_MOST_BLOCKS = 65536  # mapped at once: what glibc begins with
_MIB = 2**20


@contextmanager
def reusing_memory() -> Iterator[None]:
    """Let this process keep freed memory inside the block, for the next tensors.

    On leaving, it goes back to the system, and blocks above 32 MiB are mapped again, as glibc
    itself does after the first such block. Where there is another C library, nothing changes.
    Not to be around what is timed: users of the model do not have it.
    """
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    if library is None or not hasattr(library, "mallopt"):
        yield
        return
    library.mallopt(_MMAP_MAX, 0)
    library.mallopt(_TRIM_THRESHOLD, _NEVER)
    try:
        yield
    finally:
        library.mallopt(_MMAP_MAX, _MOST_BLOCKS)
        library.mallopt(_MMAP_THRESHOLD, 32 * _MIB)
        library.mallopt(_TRIM_THRESHOLD, 64 * _MIB)
        library.malloc_trim(0)
