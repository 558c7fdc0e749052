"""How columns of features belong together."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Layout:
    """Which columns have something in common, before any value is known.

    Attributes:
        views: Runs of columns that describe a row each in their own way. What each weighs, before
            the values say more, does not hang on how many columns vary in it, and how.
        groups: (d,) numbers from 0, the same for columns that describe one decision: these are
            relevant, or are not, together. No group has columns of two views. None if it is not
            known what columns describe.
    """

    views: tuple[slice, ...] = ()
    groups: NDArray[np.int64] | None = None


UNKNOWN = Layout()
