"""Perfect matchings: each place gets one of its own."""

from collections.abc import Sequence


def first_matching(fits: Sequence[Sequence[bool]]) -> list[int]:
    """Return the first of all ways to give each row a column of its own that fits it.

    Args:
        fits: (n, n).

    Returns:
        (n,) columns, in the order of rows; empty if there is no way.
    """
    chosen: list[int] = []
    for row in range(len(fits)):
        for column, fit in enumerate(fits[row]):
            if fit and column not in chosen and _completes(fits, [*chosen, column]):
                chosen.append(column)
                break
        else:
            return []
    return chosen


def _completes(fits: Sequence[Sequence[bool]], chosen: Sequence[int]) -> bool:
    """Whether the rows after those that have `chosen` columns can have some of the others.

    References:
        Kuhn, Naval Research Logistics Quarterly 1955, "The Hungarian method", for augmenting paths.
    """
    owner: dict[int, int] = {}

    def place(row: int, seen: set[int]) -> bool:
        for column, fit in enumerate(fits[row]):
            if fit and column not in chosen and column not in seen:
                seen.add(column)
                if column not in owner or place(owner[column], seen):
                    owner[column] = row
                    return True
        return False

    return all(place(row, set()) for row in range(len(chosen), len(fits)))
