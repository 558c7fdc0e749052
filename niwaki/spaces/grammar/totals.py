"""The number of all trees of a grammar without recursion, whatever their size."""

import math
from collections.abc import Mapping

from niwaki.spaces.grammar.attributes import Attributes
from niwaki.spaces.grammar.counting import largest_size
from niwaki.spaces.grammar.flows import Attribute
from niwaki.spaces.grammar.grammar import Operation, Production

_Counts = Mapping[Attribute, int]


def count_all(attributes: Attributes, *, distinct: bool = True) -> int | float:
    """Return how many trees a grammar derives; infinite if its symbols recur.

    Args:
        attributes: Of the grammar.
        distinct: Count a production that is written twice once. (Sequences recur, so there are none
            here to be flattened.)
    """
    grammar = attributes.grammar
    if math.isinf(largest_size(grammar)):
        return math.inf
    ways = grammar.without_duplicates() if distinct else grammar
    found = _Totals(attributes, ways.by_symbol).of(grammar.start, grammar.input)
    if grammar.output is not None:
        return found.get(grammar.output, 0)
    return sum(found.values())


class _Totals:
    def __init__(self, attributes: Attributes, ways: Mapping[str, tuple[Production, ...]]) -> None:
        self._attributes = attributes
        self._ways = ways
        self._known: dict[tuple[str, Attribute], _Counts] = {}

    def of(self, symbol: str, inherited: Attribute) -> _Counts:
        """Count the trees of `symbol` by what they give."""
        key = (symbol, inherited)
        if key not in self._known:
            total: dict[Attribute, int] = {}
            for way in self._ways.get(symbol, ()):
                for output, n in self._of_way(way, inherited).items():
                    total[output] = total.get(output, 0) + n
            self._known[key] = total
        return self._known[key]

    def _of_way(self, way: Production, inherited: Attribute) -> _Counts:
        states: dict[Attribute, int] = {way.flow.start(inherited): 1}
        for item, place in zip(way.items, way.places, strict=True):
            grown: dict[Attribute, int] = {}
            for state, n in states.items():
                given = way.flow.enter(state, place)
                if given is None:
                    continue
                for output, m in self._of_child(item.what, given).items():
                    after = way.flow.advance(state, output, place)
                    if after is not None:
                        grown[after] = grown.get(after, 0) + n * m
            states = grown
        ends: dict[Attribute, int] = {}
        for state, n in states.items():
            end = way.flow.finish(state)
            if end is not None:
                ends[end] = ends.get(end, 0) + n
        return ends

    def _of_child(self, what: str | Operation, given: Attribute) -> _Counts:
        if isinstance(what, str):
            return self.of(what, given)
        step = self._attributes.step(what, given)
        return {} if isinstance(step, str) else {step.output: 1}
