"""Symbols whose lowest derivations are single operations: most questions ahead are about these."""

from collections.abc import Mapping
from typing import NamedTuple

from niwaki.spaces.grammar.attributes import AttributeRuleError, Attributes, Rules, Step
from niwaki.spaces.grammar.costs import NOTHING, Budget, Cost
from niwaki.spaces.grammar.flows import Attribute
from niwaki.spaces.grammar.grammar import Grammar, Operation, Production

_MOST_REFERENCES = 8


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


def single_operations(
    attributes: Attributes, lowest: Mapping[str, int], budget: Budget
) -> dict[str, Leaves]:
    """Return the leaves of each symbol that has such.

    Args:
        attributes: Of the grammar.
        lowest: Least heights of all productive symbols.
        budget: Operations that take less of its parameters and MACs come first, so that a tight
            one is met soon.
    """
    grammar = attributes.grammar
    references = _references(attributes)
    found: dict[str, Leaves] = {}
    for symbol in sorted(lowest, key=lowest.__getitem__):
        unordered = _lowest_ways(grammar, symbol, lowest)
        shares = [_share(_cost(attributes, way, references), budget) for way in unordered]
        order = sorted(range(len(unordered)), key=shares.__getitem__)
        ways = tuple(unordered[index] for index in order)
        whats = [way.whats[0] for way in ways if way.renames]
        operations = [what for what in whats if isinstance(what, Operation)]
        below = whats[0] if len(ways) == len(whats) == 1 else None
        if isinstance(below, str) and below in found:
            found[symbol] = found[below]._replace(height=lowest[symbol], through=ways[0])
        elif len(operations) == len(ways) == len(_weighty(grammar, symbol)):
            found[symbol] = Leaves(symbol, ways, attributes.rules(operations), 1, None)
    return found


def _references(attributes: Attributes) -> list[Attribute]:
    """Return some attributes to compare costs by: the input, and what operations make of it."""
    found = dict.fromkeys([attributes.grammar.input])
    for operation in attributes.grammar.operations.values():
        step = _applied(attributes, operation, attributes.grammar.input)
        if step is not None and len(found) < _MOST_REFERENCES:
            found[step.output] = None
    return list(found)


def _cost(attributes: Attributes, way: Production, references: list[Attribute]) -> Cost:
    """Return what an operation costs at the first reference that it applies to, if at any."""
    what = way.whats[0]
    if isinstance(what, Operation):
        for reference in references:
            step = _applied(attributes, what, reference)
            if step is not None:
                return step.cost
    return NOTHING


def _share(cost: Cost, budget: Budget) -> float:
    """Return which part of the limits on parameters and MACs a cost takes, added up.

    Operations without parameters count as free: in which way branches are joined, where little else
    fits, must not depend on what joining them costs.
    """
    if not cost.parameters:
        return 0.0
    limits = ((cost.parameters, budget.parameters), (cost.macs, budget.macs))
    return sum(spent / max(1, limit) for spent, limit in limits if limit is not None)


def _applied(attributes: Attributes, operation: Operation, given: Attribute) -> Step | None:
    """Apply an operation where it may never be in a network, so that its rule may fail."""
    try:
        step = attributes.step(operation, given)
    except AttributeRuleError:
        return None
    return None if isinstance(step, str) else step


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
