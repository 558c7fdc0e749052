"""Reasons of failures, alike ones counted as one."""

import re
from collections import Counter

# Numbers and addresses differ between failures that are one and the same.
_VARYING = re.compile(r"0x[0-9a-fA-F]+|\d+(?:,\d{3})*(?:\.\d+)?(?:[eE][+-]?\d+)?")


def pattern_of(reason: str) -> str:
    """Return what is equal for reasons that differ in numbers and addresses alone."""
    return _VARYING.sub("#", reason)


class ReasonCounts:
    """How often there was which reason; each is told as it first came."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def add(self, reason: str) -> None:
        """Count one more."""
        pattern = pattern_of(reason)
        self._first.setdefault(pattern, reason)
        self._counts[pattern] += 1

    def lines(self, most: int) -> list[tuple[int, str]]:
        """Return counts with their reasons, the most frequent first.

        Args:
            most: Lines at most, at least 2; the last one stands for what finds no place.
        """
        ranked = [(n, self._first[pattern]) for pattern, n in self._counts.most_common()]
        if len(ranked) <= most:
            return ranked
        rest = ranked[most - 1 :]
        return [*ranked[: most - 1], (sum(n for n, _ in rest), f"{len(rest)} other reasons")]
