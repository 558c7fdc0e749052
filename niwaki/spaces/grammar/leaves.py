"""Symbols whose lowest derivations are single operations: most questions ahead are about these."""

from collections.abc import Mapping
from typing import NamedTuple

from niwaki.spaces.grammar.attributes import Attributes, Rules
from niwaki.spaces.grammar.grammar import Grammar, Operation, Production


class Leaves(NamedTuple):
    """The single operations that are the lowest derivations of a symbol.

    Attributes:
        symbol: Derives them at once: the one asked about, or one that this is renamed to.
        ways: By which it derives them.
        rules: Of the operations, in the same order.
        height: Of these derivations, from the symbol asked about.
        through: The renaming by which the symbol asked about begins them; None if it is `symbol`,
            and then there are no other derivations.
    """

    symbol: str
    ways: tuple[Production, ...]
    rules: Rules
    height: int
    through: Production | None


def single_operations(attributes: Attributes, lowest: Mapping[str, int]) -> dict[str, Leaves]:
    """Return the leaves of each symbol that has such.

    Args:
        attributes: Of the grammar.
        lowest: Least heights of all productive symbols.
    """
    grammar = attributes.grammar
    found: dict[str, Leaves] = {}
    for symbol in sorted(lowest, key=lowest.__getitem__):
        ways = _lowest_ways(grammar, symbol, lowest)
        whats = [way.whats[0] for way in ways if way.renames]
        operations = [what for what in whats if isinstance(what, Operation)]
        below = whats[0] if len(ways) == len(whats) == 1 else None
        if isinstance(below, str) and below in found:
            found[symbol] = found[below]._replace(height=lowest[symbol], through=ways[0])
        elif len(operations) == len(ways) == len(_weighty(grammar, symbol)):
            found[symbol] = Leaves(symbol, ways, attributes.rules(operations), 1, None)
    return found


def _weighty(grammar: Grammar, symbol: str) -> tuple[Production, ...]:
    return tuple(way for way in grammar.by_symbol[symbol] if way.weight > 0.0)


def _lowest_ways(
    grammar: Grammar, symbol: str, lowest: Mapping[str, int]
) -> tuple[Production, ...]:
    """Return the productions that derivations of the least height can begin with."""
    return tuple(
        way
        for way in _weighty(grammar, symbol)
        if all(lowest.get(below, lowest[symbol]) < lowest[symbol] for below, _ in way.holes)
    )
