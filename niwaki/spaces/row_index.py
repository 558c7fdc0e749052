"""Finding rows by their codes, and rows that differ in one of them, without a look at all."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from operator import mul
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from niwaki.core.randomness import stream

Codes: TypeAlias = NDArray[np.signedinteger]


MOST_LOOKED_UP = 1000  # options of a column, of which each is tried


class RowIndex:
    """Looks rows up by a hash: the sum of their codes, each times an odd number of its column.

    A change of one code changes the hash by a known amount, so that all rows that differ from a
    given one in a single code are found in one go: option by option, or, where a column has many,
    among the hashes without it.

    Args:
        codes: (n, d) distinct rows, in column-major order.
        n_options: How many codes each column has.

    References:
        Multiply-shift hashing of vectors: Dietzfelbinger, STACS 1996, "Universal hashing and k-wise
        independent random variables via integer arithmetic without primes". Matches are compared
        in full, so that equal hashes of different rows cannot mislead.
    """

    def __init__(self, codes: Codes, n_options: Sequence[int]) -> None:
        self._codes = codes
        self.steps = [np.arange(n + 1, dtype=codes.dtype) for n in n_options]
        random = stream(0, "row index").integers(2**63, size=len(n_options), dtype=np.uint64)
        self._factors = random * np.uint64(2) + np.uint64(1)
        self._whole_factors: list[int] = self._factors.tolist()
        few = [j for j, n in enumerate(n_options) if n <= MOST_LOOKED_UP]
        self._changed = np.repeat(np.array(few, np.int64), [n_options[j] for j in few])
        self._code = np.concatenate([np.arange(0), *(np.arange(n_options[j]) for j in few)])
        self._many = [j for j, n in enumerate(n_options) if n > MOST_LOOKED_UP]

    @cached_property
    def _sorted(self) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """Hashes in rising order, and the row of each."""
        hashes = np.zeros(len(self._codes), dtype=np.uint64)
        for j, factor in enumerate(self._factors):  # column by column, which spares memory
            hashes += self._codes[:, j].astype(np.uint64) * factor
        order = np.argsort(hashes, kind="stable")
        return hashes[order], order

    @cached_property
    def _sorted_without(self) -> Mapping[int, tuple[NDArray[np.uint64], NDArray[np.int64]]]:
        """For each column of many options: hashes of all others in rising order, and their rows."""
        hashes = np.empty(len(self._codes), dtype=np.uint64)
        sorted_hashes, rows = self._sorted
        hashes[rows] = sorted_hashes
        found = {}
        for j in self._many:
            others = hashes - self._codes[:, j].astype(np.uint64) * self._factors[j]
            order = np.argsort(others, kind="stable")
            found[j] = others[order], order
        return found

    def find(self, codes: Sequence[int]) -> int:
        """Return the row with these codes; -1 if there is none."""
        # Python's own numbers: a few of them are summed faster than an array is made.
        wanted = sum(map(mul, codes, self._whole_factors)) % 2**64
        hashes, rows = self._sorted
        at = int(np.searchsorted(hashes, np.uint64(wanted)))
        while at < len(hashes) and hashes[at] == wanted:
            if self._codes[rows[at]].tolist() == list(codes):
                return int(rows[at])
            at += 1
        return -1

    def neighbours(self, row: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (k,) rows that differ in one code, and (k,) the columns in which they do.

        In the order of columns, and of codes in each.
        """
        codes = self._codes[row]
        hashes, rows = self._sorted
        terms = codes.astype(np.uint64) * self._factors
        own = terms.sum(dtype=np.uint64)
        without = own - terms  # wraps around
        steps = (self._code - codes[self._changed]).astype(np.int64)
        wanted = own + steps.astype(np.uint64) * self._factors[self._changed]  # wraps around
        at = np.minimum(np.searchsorted(hashes, wanted), len(hashes) - 1)
        hit = (hashes[at] == wanted) & (steps != 0)
        found, changed = [rows[at[hit]]], [self._changed[hit]]
        for j, (hashes, rows) in self._sorted_without.items():
            first = np.searchsorted(hashes, without[j])
            last = np.searchsorted(hashes, without[j], "right")
            found.append(rows[first:last])
            changed.append(np.full(last - first, j))
        return self._checked(np.concatenate(found), np.concatenate(changed), codes)

    def _checked(
        self, rows: NDArray[np.int64], changed: NDArray[np.int64], codes: Codes
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows that do differ in that column alone, in order."""
        differs = self._codes[rows] != codes
        true = (differs.sum(axis=1) == 1) & differs[np.arange(len(rows)), changed]
        rows, changed = rows[true], changed[true]
        order = np.lexsort([self._codes[rows, changed], changed])
        return rows[order], changed[order]

    def distances(self, codes: NDArray[np.integer]) -> NDArray[np.int16]:
        """Return (n,) in how many codes each row differs from `codes`."""
        distances = np.zeros(len(self._codes), dtype=np.int16)
        for j, code in enumerate(codes):
            distances += self._codes[:, j] != code
        return distances
