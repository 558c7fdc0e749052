"""What weights alone imply: heights, sizes, whether derivations end, and how large they get.

A grammar's mean matrix says how many of each nonterminal one derivation step of another makes on
average. Derivations end almost surely, with a finite expected size, if its spectral radius is below
one. Counting the copies of repeated children gives a second matrix, for the size of the network
that is built. Attributes are left aside: where they forbid a production, its weight goes to others.

References:
    Chi, Computational Linguistics 1999, "Statistical properties of probabilistic context-free
    grammars", for the radius. Duchon, Flajolet, Louchard and Schaeffer, Combinatorics, Probability
    and Computing 2004, "Boltzmann samplers for the random generation of combinatorial structures",
    for tilting: here on weighted grammars.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import SpaceError
from niwaki.spaces.grammar.grammar import Grammar, Operation, Production

CRITICAL_MARGIN = 1e-9


def lowest_heights(grammar: Grammar) -> dict[str, int]:
    """Return the least height of a derivation of each productive symbol, attributes aside."""
    heights: dict[str, int] = {}
    for height in range(1, len(grammar.by_symbol) + 1):
        found = [
            way.symbol
            for way in grammar.productions
            if way.weight > 0.0
            and way.symbol not in heights
            and all(symbol in heights for symbol, _ in way.holes)
        ]
        if not found:
            break
        heights.update(dict.fromkeys(found, height))
    return heights


def greatest_heights(grammar: Grammar) -> dict[str, int]:
    """Return the greatest height of a derivation of each symbol for which there is one."""
    heights: dict[str, int] = {}
    for _ in grammar.by_symbol:
        for symbol, ways in grammar.by_symbol.items():
            below = [each for way in ways if way.weight > 0.0 for each, _ in way.holes]
            if symbol not in heights and all(each in heights for each in below):
                heights[symbol] = 1 + max((heights[each] for each in below), default=0)
    return heights


def least_operations(grammar: Grammar) -> dict[str, int]:
    """Return the least operations of a derivation of each productive symbol."""
    least: dict[str, int] = {}
    for _ in range(len(grammar.by_symbol) + 1):
        changed = False
        for way in grammar.productions:
            if way.weight > 0.0 and all(symbol in least for symbol, _ in way.holes):
                size = n_operations(way) + sum(least[symbol] for symbol, _ in way.holes)
                if size < least.get(way.symbol, size + 1):
                    least[way.symbol] = size
                    changed = True
        if not changed:
            break
    return least


def n_operations(way: Production) -> int:
    """Number of operations among the children, a repeated one counted once."""
    return sum(isinstance(item.what, Operation) for item in way.items)


def shares(grammar: Grammar) -> NDArray[np.float64]:
    """Return (n_productions,) probabilities: weights over the sum of their symbol's."""
    totals: dict[str, float] = {}
    for way in grammar.productions:
        totals[way.symbol] = totals.get(way.symbol, 0.0) + way.weight
    return np.array(
        [way.weight / totals[way.symbol] if totals[way.symbol] > 0.0 else 0.0
         for way in grammar.productions]
    )  # fmt: skip


def mean_matrix(grammar: Grammar, *, copies: bool) -> NDArray[np.float64]:
    """Return (n, n): how many of the column's symbol one of the row's makes, on average.

    Args:
        grammar: Symbols are in the order of `grammar.by_symbol`.
        copies: Whether a repeated child counts as often as it is used.
    """
    index = {symbol: i for i, symbol in enumerate(grammar.by_symbol)}
    matrix = np.zeros((len(index), len(index)))
    for way, share in zip(grammar.productions, shares(grammar), strict=True):
        for symbol, times in way.holes:
            if symbol in index:
                matrix[index[way.symbol], index[symbol]] += share * (times if copies else 1)
    return matrix


def branching_rate(grammar: Grammar, *, copies: bool = False) -> float:
    """Return the spectral radius of the mean matrix; derivations end surely if it is below 1.

    Args:
        grammar: Symbols that the start cannot reach are left out.
        copies: False for derivations, True for the networks they build.
    """
    reachable = reachable_symbols(grammar)
    keep = [i for i, symbol in enumerate(grammar.by_symbol) if symbol in reachable]
    matrix = mean_matrix(grammar, copies=copies)[np.ix_(keep, keep)]
    return float(np.abs(np.linalg.eigvals(matrix)).max()) if keep else 0.0


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
    matrix = mean_matrix(grammar, copies=copies)
    index = {symbol: i for i, symbol in enumerate(grammar.by_symbol)}
    direct = np.zeros(len(index))
    for way, share in zip(grammar.productions, shares(grammar), strict=True):
        for item in way.items:
            if isinstance(item.what, Operation):
                direct[index[way.symbol]] += share * (item.copies if copies else 1)
    means = {}
    for symbol, i in index.items():
        below = sorted(index[s] for s in reachable_symbols(_from(grammar, symbol)) if s in index)
        block = matrix[np.ix_(below, below)]
        if np.abs(np.linalg.eigvals(block)).max() >= 1.0 - CRITICAL_MARGIN:
            means[symbol] = math.inf
        else:
            solved = np.linalg.solve(np.eye(len(below)) - block, direct[below])
            means[symbol] = float(solved[below.index(i)])
    return means


def _from(grammar: Grammar, symbol: str) -> Grammar:
    return Grammar(symbol, grammar.productions, grammar.terminals)


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


def tilted(grammar: Grammar, *, operations: float) -> Grammar:
    """Return the grammar with weights tilted to a wanted expected number of operations.

    Trees of equal size keep their relative probabilities: a tree's weight is multiplied by z to the
    power of its operations, and z is found by bisection. Works for grammars that do not end too.

    Args:
        grammar: With weights that give the preferences among trees of one size.
        operations: Wanted mean; between the smallest derivation's and, if the grammar is finite,
            the largest one's.

    Raises:
        SpaceError: If no tilt gives this mean.
    """
    base = grammar.reweighted(dict(enumerate(map(float, shares(grammar)))))
    low, high = -60.0, 60.0
    best: Grammar | None = None
    for _ in range(64):
        middle = (low + high) / 2.0
        candidate = _boltzmann(base, math.exp(middle))
        mean = math.inf
        if candidate is not None:
            mean = expected_operations(candidate)[grammar.start]
        if mean <= operations:
            low, best = middle, candidate
        else:
            high = middle
    reached = expected_operations(best)[grammar.start] if best is not None else math.nan
    if best is None or abs(reached - operations) > 0.01 * operations:
        least = least_operations(grammar).get(grammar.start)
        raise SpaceError(
            f"no weights give {operations:g} expected operations (the nearest mean found is "
            f"{reached:g}, the smallest derivation has {least}): ask for a number in between"
        )
    return best


def _boltzmann(grammar: Grammar, tilt: float) -> Grammar | None:
    """Tilt by `tilt` per operation; None if the generating functions diverge."""
    index = {symbol: i for i, symbol in enumerate(grammar.by_symbol)}
    ways = [
        (index[w.symbol], w.weight * tilt ** n_operations(w), [index[s] for s, _ in w.holes])
        for w in grammar.productions
    ]
    values = _least_fixpoint(ways, len(index))
    if values is None:
        return None
    weights = {
        i: weight * math.prod(values[b] for b in below) / values[row] if values[row] > 0.0 else 0.0
        for i, (row, weight, below) in enumerate(ways)
    }
    return grammar.reweighted(weights)


def _least_fixpoint(ways: list[tuple[int, float, list[int]]], n: int) -> NDArray[np.float64] | None:
    """Solve G_X = sum of weight * product of G by Newton's method from zero; None if it diverges.

    References:
        Etessami and Yannakakis, JACM 2009, "Recursive Markov chains, stochastic grammars, and
        monotone systems of nonlinear equations": Newton from zero rises to the least solution.
    """
    values = np.zeros(n)
    # Most productions differ in their operations only.
    merged: dict[tuple[int, tuple[int, ...]], float] = {}
    for row, weight, below in ways:
        key = (row, tuple(below))
        merged[key] = merged.get(key, 0.0) + weight
    for _ in range(100):
        image, jacobian = np.zeros(n), np.zeros((n, n))
        for (row, columns), weight in merged.items():
            factors = [float(values[column]) for column in columns]
            image[row] += weight * math.prod(factors)
            for k, column in enumerate(columns):
                jacobian[row, column] += weight * math.prod(factors[:k] + factors[k + 1 :])
        gap = image - values
        if not np.isfinite(image).all() or image.max() > 1e12:
            return None
        if np.abs(gap).max() <= 1e-13 * max(1.0, values.max()):
            return values
        try:
            move = np.linalg.solve(np.eye(n) - jacobian, gap)
        except np.linalg.LinAlgError:
            return None
        if (move < -1e-9 * max(1.0, values.max())).any():
            return None
        values = np.maximum(values + move, 0.0)
    return None
