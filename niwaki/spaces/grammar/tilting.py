"""Weights tilted to a wanted size, by generating functions.

References:
    Duchon, Flajolet, Louchard and Schaeffer, Combinatorics, Probability and Computing 2004,
    "Boltzmann samplers for the random generation of combinatorial structures": here on weighted
    grammars.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from niwaki.core.errors import SpaceError
from niwaki.spaces.grammar.components import components
from niwaki.spaces.grammar.grammar import Grammar
from niwaki.spaces.grammar.rates import Rows, least_operations, means_of, n_operations, shares

_LARGEST = 1e150  # values of generating functions, beyond which they are said to diverge

# How many operations a production has, and which symbols.
_Term: TypeAlias = tuple[int, tuple[str, ...]]


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
    tilting = _Tilting(grammar)
    low, high = -60.0, 60.0
    best, reached = None, math.nan
    for _ in range(64):
        middle = (low + high) / 2.0
        values = tilting.values(math.exp(middle))
        mean = math.inf if values is None else tilting.mean(math.exp(middle), values)
        if values is not None and mean <= operations:
            low, best, reached = middle, values, mean
        else:
            high = middle
    if best is None or abs(reached - operations) > 0.01 * operations:
        least = least_operations(grammar).get(grammar.start)
        raise SpaceError(
            f"no weights give {operations:g} expected operations (the nearest mean found is "
            f"{reached:g}, the smallest derivation has {least}): ask for a number in between"
        )
    return tilting.grammar(math.exp(low), best)


class _Tilting:
    """A grammar's generating functions, for weights that are tilted by operations."""

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar
        self._shares = [float(share) for share in shares(grammar)]
        # Most productions differ in which operations they have, and not in how many.
        self._terms: dict[str, dict[_Term, float]] = {symbol: {} for symbol in grammar.by_symbol}
        for way, share in zip(grammar.productions, self._shares, strict=True):
            term = (n_operations(way), tuple(symbol for symbol, _ in way.holes))
            known = self._terms[way.symbol]
            known[term] = known.get(term, 0.0) + share
        edges = {s: [b for _, t in terms for b in t] for s, terms in self._terms.items()}
        self._components = components(edges)

    def values(self, tilt: float) -> dict[str, float] | None:
        """Return the generating functions at `tilt`; None if they diverge."""
        values: dict[str, float] = {}
        for members in self._components:
            terms = {
                symbol: [
                    (w * _power(tilt, n), below) for (n, below), w in self._terms[symbol].items()
                ]
                for symbol in members
            }
            if not _solve(terms, members, values):
                return None
        return values

    def mean(self, tilt: float, values: Mapping[str, float]) -> float:
        """Return the mean operations from the start symbol."""
        rows: Rows = {symbol: {} for symbol in self._terms}
        direct = dict.fromkeys(rows, 0.0)
        for symbol, terms in self._terms.items():
            for (n, below), weight in terms.items():
                share = self._share(symbol, weight * _power(tilt, n), below, values)
                direct[symbol] += share * n
                for each in below if share > 0.0 else ():
                    if each in rows:
                        rows[symbol][each] = rows[symbol].get(each, 0.0) + share
        return means_of(rows, direct, self._components)[self._grammar.start]

    def grammar(self, tilt: float, values: Mapping[str, float]) -> Grammar:
        """Return the grammar with tilted weights."""
        pairs = enumerate(zip(self._grammar.productions, self._shares, strict=True))
        return self._grammar.reweighted(
            {
                index: self._share(
                    way.symbol,
                    share * _power(tilt, n_operations(way)),
                    tuple(symbol for symbol, _ in way.holes),
                    values,
                )
                for index, (way, share) in pairs
            }
        )

    @staticmethod
    def _share(
        symbol: str, weight: float, below: tuple[str, ...], values: Mapping[str, float]
    ) -> float:
        whole = values[symbol]
        inside = math.prod(values.get(each, 0.0) for each in below)
        return weight * inside / whole if whole > 0.0 else 0.0


def _power(tilt: float, n: int) -> float:
    """Return tilt to the n; where it is beyond all values that count, a number that is, too."""
    return math.exp(min(n * math.log(tilt), 690.0))


def _solve(
    terms: Mapping[str, Sequence[tuple[float, tuple[str, ...]]]],
    members: Sequence[str],
    values: dict[str, float],
) -> bool:
    """Solve G_X = sum of weight * product of G for some symbols, those below them solved already.

    Newton's method from zero.

    Args:
        terms: Weights, with the symbols that such productions have as children.
        members: Symbols to solve for together.
        values: Solutions; those of `members` are added.

    Returns:
        Whether there is a solution.

    References:
        Etessami and Yannakakis, JACM 2009, "Recursive Markov chains, stochastic grammars, and
        monotone systems of nonlinear equations": Newton from zero, component by component, rises to
        the least solution.
    """
    index = {symbol: i for i, symbol in enumerate(members)}
    values.update(dict.fromkeys(members, 0.0))
    for _ in range(100):
        image, jacobian = np.zeros(len(index)), np.zeros((len(index), len(index)))
        for row, symbol in enumerate(members):
            for weight, below in terms[symbol]:
                factors = [values.get(each, 0.0) for each in below]
                image[row] += weight * math.prod(factors)
                for k, each in enumerate(below):
                    if each in index:
                        others = math.prod(factors[:k] + factors[k + 1 :])
                        jacobian[row, index[each]] += weight * others
        known = np.array([values[symbol] for symbol in members])
        gap = image - known
        if not np.isfinite(image).all() or image.max() > _LARGEST:
            return False
        if (np.abs(gap) <= 1e-13 * np.maximum(1.0, known)).all():
            return True
        try:
            move = np.linalg.solve(np.eye(len(index)) - jacobian, gap)
        except np.linalg.LinAlgError:
            return False
        if (move < -1e-9 * max(1.0, known.max())).any():
            return False
        moved = np.maximum(known + move, 0.0)
        values.update(zip(members, map(float, moved), strict=True))
    return False
