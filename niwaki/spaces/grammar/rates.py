"""What weights alone imply: heights, sizes, whether derivations end, and how large they get.

A grammar's mean matrix says how many of each nonterminal one derivation step of another makes on
average. Derivations end almost surely, with a finite expected size, if its spectral radius is below
one. Counting the copies of repeated children gives a second matrix, for the size of the network
that is built. Attributes are left aside: where they forbid a production, its weight goes to others.

References:
    Chi, Computational Linguistics 1999, "Statistical properties of probabilistic context-free
    grammars", for the radius.
"""

import heapq
import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import SpaceError
from niwaki.spaces.grammar.components import components, recurring, uses
from niwaki.spaces.grammar.grammar import Grammar, Operation, Production

CRITICAL_MARGIN = 1e-9
# A mean matrix by rows, zeros left out.
Rows: TypeAlias = dict[str, dict[str, float]]


def lowest_heights(grammar: Grammar) -> dict[str, int]:
    """Return the least height of a derivation of each productive symbol, attributes aside."""
    heights: dict[str, int] = {}
    waiting = _Waiting(grammar)
    ready = waiting.without_holes()
    height = 1
    while ready:
        new = {way.symbol for way in ready if way.symbol not in heights}
        heights.update(dict.fromkeys(new, height))
        ready = [way for symbol in new for way in waiting.found(symbol)]
        height += 1
    return heights


def greatest_heights(grammar: Grammar) -> dict[str, int]:
    """Return the greatest height of a derivation of each symbol for which there is one."""
    edges = uses(grammar)
    endless = recurring(edges)
    heights: dict[str, int] = {}
    for members in components(edges):
        symbol = members[0]
        below = edges[symbol]
        if symbol not in endless and all(each in heights for each in below):
            heights[symbol] = 1 + max((heights[each] for each in below), default=0)
    return heights


def least_operations(grammar: Grammar, *, copies: bool = False) -> dict[str, int]:
    """Return the least operations of a derivation of each productive symbol.

    Args:
        grammar: Productions of weight 0 are left out.
        copies: Whether a repeated child counts as often as it is used.
    """
    return {symbol: size for symbol, (size, _) in _smallest(grammar, copies=copies).items()}


def heights_of_smallest(grammar: Grammar) -> dict[str, int]:
    """Return up to which height there is a derivation of the least operations, of each symbol.

    Of the least with copies, too. More than the lowest where symbols are renamed: of `S` in
    `S -> x: a a a | M`, `M -> a`.
    """
    once, often = (_smallest(grammar, copies=copies) for copies in (False, True))
    return {symbol: max(once[symbol][1], often[symbol][1]) for symbol in once}


def _smallest(grammar: Grammar, *, copies: bool) -> dict[str, tuple[int, int]]:
    """Return operations and height of the smallest derivation of each symbol, of those the lowest.

    References:
        Knuth, Information Processing Letters 1977, "A generalization of Dijkstra's algorithm".
    """
    least: dict[str, tuple[int, int]] = {}
    waiting = _Waiting(grammar)
    ready = [(n_operations(way, copies=copies), 1, way.symbol) for way in waiting.without_holes()]
    heapq.heapify(ready)
    while ready:
        size, height, symbol = heapq.heappop(ready)
        if symbol in least:
            continue
        least[symbol] = (size, height)
        for way in waiting.found(symbol):
            inside = (least[below][0] * (times if copies else 1) for below, times in way.holes)
            whole = n_operations(way, copies=copies) + sum(inside)
            highest = max(least[below][1] for below, _ in way.holes)
            heapq.heappush(ready, (whole, 1 + highest, way.symbol))
    return least


class _Waiting:
    """Productions that wait for the symbols among their children."""

    def __init__(self, grammar: Grammar) -> None:
        self._ways = [way for way in grammar.productions if way.weight > 0.0]
        self._n_missing = [len({symbol for symbol, _ in way.holes}) for way in self._ways]
        self._users: dict[str, list[int]] = {}
        for index, way in enumerate(self._ways):
            for symbol in {symbol for symbol, _ in way.holes}:
                self._users.setdefault(symbol, []).append(index)

    def without_holes(self) -> list[Production]:
        """Return those that wait for nothing."""
        return [way for way, n in zip(self._ways, self._n_missing, strict=True) if not n]

    def found(self, symbol: str) -> list[Production]:
        """Return those that waited for `symbol` alone."""
        complete = []
        for index in self._users.pop(symbol, ()):
            self._n_missing[index] -= 1
            if not self._n_missing[index]:
                complete.append(self._ways[index])
        return complete


def n_operations(way: Production, *, copies: bool = False) -> int:
    """Number of operations among the children; a repeated one counts once, or as often as used."""
    fixed = (item for item in way.items if isinstance(item.what, Operation))
    return sum(item.copies if copies else 1 for item in fixed)


def shares(grammar: Grammar) -> NDArray[np.float64]:
    """Return (n_productions,) probabilities: weights over the sum of their symbol's."""
    totals: dict[str, float] = {}
    for way in grammar.productions:
        totals[way.symbol] = totals.get(way.symbol, 0.0) + way.weight
    return np.array(
        [way.weight / totals[way.symbol] if totals[way.symbol] > 0.0 else 0.0
         for way in grammar.productions]
    )  # fmt: skip


def _mean_rows(grammar: Grammar, *, copies: bool) -> Rows:
    """Return the mean matrix by rows, zeros left out.

    Args:
        grammar: With weights.
        copies: Whether a repeated child counts as often as it is used.
    """
    rows: Rows = {symbol: {} for symbol in grammar.by_symbol}
    for way, share in zip(grammar.productions, shares(grammar), strict=True):
        row = rows[way.symbol]
        for symbol, times in way.holes if share > 0.0 else ():
            if symbol in rows:
                row[symbol] = row.get(symbol, 0.0) + share * (times if copies else 1)
    return rows


def mean_matrix(grammar: Grammar, *, copies: bool) -> NDArray[np.float64]:
    """Return (n, n): how many of the column's symbol one of the row's makes, on average.

    Args:
        grammar: Symbols are in the order of `grammar.by_symbol`.
        copies: Whether a repeated child counts as often as it is used.
    """
    return _block(_mean_rows(grammar, copies=copies), list(grammar.by_symbol))


def branching_rate(grammar: Grammar, *, copies: bool = False) -> float:
    """Return the spectral radius of the mean matrix; derivations end surely if it is below 1.

    Args:
        grammar: Symbols that the start cannot reach are left out.
        copies: False for derivations, True for the networks they build.
    """
    rows = _mean_rows(grammar, copies=copies)
    reachable = reachable_symbols(grammar)
    edges = {symbol: list(rows[symbol]) for symbol in rows if symbol in reachable}
    return max((_radius(rows, members) for members in components(edges)), default=0.0)


def _radius(rows: Rows, members: Sequence[str]) -> float:
    """Return the spectral radius of the part of the mean matrix that these symbols make."""
    if len(members) == 1:
        return rows[members[0]].get(members[0], 0.0)
    return float(np.abs(np.linalg.eigvals(_block(rows, members))).max())


def _block(rows: Rows, members: Sequence[str]) -> NDArray[np.float64]:
    index = {symbol: i for i, symbol in enumerate(members)}
    block = np.zeros((len(members), len(members)))
    for i, symbol in enumerate(members):
        for column, mean in rows[symbol].items():
            if column in index:
                block[i, index[column]] = mean
    return block


def _ends(block: NDArray[np.float64]) -> bool:
    """Whether the spectral radius of (n, n) is below one, for symbols that all lead to each other.

    Takes a tenth of the time of eigenvalues: it is where M x = x - 1 has a solution x >= 0.

    References:
        Berman and Plemmons, SIAM 1994, "Nonnegative matrices in the mathematical sciences", theorem
        6.2.3.
    """
    n = len(block)
    try:
        steps = np.linalg.solve((1.0 - CRITICAL_MARGIN) * np.eye(n) - block, np.ones(n))
    except np.linalg.LinAlgError:
        return False
    return bool((steps >= 0.0).all())


def return_rate(grammar: Grammar, symbol: str, *, copies: bool = False) -> float:
    """Return how many of `symbol` one `symbol` makes on average, all others expanded in between.

    Below one exactly where the spectral radius is, and easier to compare between grammars that
    write the same thing with more or fewer symbols. Infinite if the others do not end.
    """
    index = list(grammar.by_symbol).index(symbol)
    matrix = mean_matrix(grammar, copies=copies)
    others = [i for i in range(len(matrix)) if i != index]
    rest = matrix[np.ix_(others, others)]
    if others and np.abs(np.linalg.eigvals(rest)).max() >= 1.0 - CRITICAL_MARGIN:
        return math.inf
    through = np.linalg.solve(np.eye(len(others)) - rest, matrix[others, index])
    return float(matrix[index, index] + matrix[index, others] @ through)


def reachable_symbols(grammar: Grammar) -> set[str]:
    """Return the nonterminals that derivations from the start can meet."""
    seen, queue = {grammar.start}, [grammar.start]
    for symbol in queue:  # grows while it is walked
        for way in grammar.by_symbol.get(symbol, ()):
            for below, _ in way.holes if way.weight > 0.0 else ():
                if below not in seen:
                    seen.add(below)
                    queue.append(below)
    return seen


def expected_operations(grammar: Grammar, *, copies: bool = False) -> Mapping[str, float]:
    """Return the mean number of operations below each symbol; infinite where it has none.

    Args:
        grammar: Probabilities are its weights; attributes and budgets are left aside.
        copies: False for derivations, True for the networks they build.
    """
    rows = _mean_rows(grammar, copies=copies)
    direct = dict.fromkeys(rows, 0.0)
    for way, share in zip(grammar.productions, shares(grammar), strict=True):
        fixed = [item for item in way.items if isinstance(item.what, Operation)]
        direct[way.symbol] += share * sum(item.copies if copies else 1 for item in fixed)
    return means_of(rows, direct, components({symbol: list(row) for symbol, row in rows.items()}))


def means_of(
    rows: Rows, direct: Mapping[str, float], order: Sequence[Sequence[str]]
) -> dict[str, float]:
    """Solve mean = direct + rows times means, component by component; infinite if it diverges."""
    means: dict[str, float] = {}
    for members in order:
        own = set(members)
        given = [
            direct[row] + sum(n * means[s] for s, n in rows[row].items() if s not in own)
            for row in members
        ]
        block = _block(rows, members)
        if not np.isfinite(given).all() or not _ends(block):
            means.update(dict.fromkeys(members, math.inf))
        else:
            solved = np.linalg.solve(np.eye(len(members)) - block, given)
            means.update(zip(members, map(float, solved), strict=True))
    return means


def require_termination(grammar: Grammar) -> None:
    """Raise unless derivations end almost surely, with a finite expected size.

    Raises:
        SpaceError: With the branching rate.
    """
    rate = branching_rate(grammar)
    if rate >= 1.0 - CRITICAL_MARGIN:
        raise SpaceError(
            f"the weights let derivations grow without end: each symbol makes {rate:.4f} of its "
            "kind on average, and below 1 was wanted. Give productions without recursion more "
            "weight, or set an expected number of operations"
        )
