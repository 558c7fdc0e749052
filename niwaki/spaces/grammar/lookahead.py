"""Typed lookahead: small derivations known to complete a hole, so that no draw runs into a wall.

For a nonterminal and what it inherits, `outcomes` lists what its lowest derivations can give, and
at what cost; for a production and the state before one of its children, `completions` lists how the
rest can end; for what is open above a hole, `Frame.rests` lists how all of it can end. All are
remembered and computed only as far as someone looks.

The lists hold part of the truth (derivations of the lowest height at which there are any, plus
`slack`; a few ways to end), and that suffices, for what they promise can be kept. Heights bound the
recursion, so left recursion is harmless here.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeAlias

from niwaki.spaces.grammar.attributes import Attributes
from niwaki.spaces.grammar.costs import (
    NOTHING,
    Cost,
    Purse,
    beside,
    covers,
    no_worse,
    paid,
    plus,
    solvent,
)
from niwaki.spaces.grammar.flows import Attribute, Chain
from niwaki.spaces.grammar.grammar import Grammar, Production
from niwaki.spaces.grammar.leaves import Leaves, single_operations
from niwaki.spaces.grammar.rates import greatest_heights, lowest_heights

# How much higher than the lowest derivation without attributes one with attributes may be.
HEIGHT_REACH = 6
NO_LIMIT = 1 << 30
# Completions looked at to answer one question. A derivation falls back on the promise it has
# already, so this bounds time and forbids nothing.
EFFORT = 6
# Entries in the tables, which are emptied beyond: they only save time.
MOST_REMEMBERED = 16_000


# What a derivation can give, at what cost, and by which production it begins: of the symbol asked
# for, or of one that this is renamed to; None where none was asked for. A plain tuple, for nothing
# is made as often.
Outcome: TypeAlias = tuple[Attribute, Cost, Production | None]

_EXHAUSTED: Iterator[Outcome] = iter(())


class _Lazy:
    """A list that is computed as far as it is read."""

    __slots__ = ("_known", "_source")

    def __init__(self, source: Iterator[Outcome], *known: Outcome) -> None:
        self._known = list(known)
        self._source = source

    def __iter__(self) -> Iterator[Outcome]:
        at = 0
        while True:
            while at < len(self._known):
                yield self._known[at]
                at += 1
            outcome = next(self._source, None)
            if outcome is None:
                self._source = _EXHAUSTED  # let go of its frame
                return
            self._known.append(outcome)


# Truthy if there are any, or if nobody knows yet.
Outcomes: TypeAlias = _Lazy | tuple[Outcome, ...]


class Lookahead:
    """Remembers outcomes and completions of one grammar.

    Args:
        attributes: Of the grammar.
        slack: Heights above the lowest that are looked at too. More finds more ways to end in a
            wanted attribute, and costs more.
    """

    def __init__(self, attributes: Attributes, *, slack: int = 0) -> None:
        self._attributes = attributes
        self._grammar: Grammar = attributes.grammar
        self._slack = slack
        self._lowest = lowest_heights(self._grammar)
        self._greatest = greatest_heights(self._grammar)
        self.leaves = single_operations(attributes, self._lowest)
        self._applied: dict[tuple[str, Attribute], Outcomes] = {}
        self._lowest_outcomes: dict[tuple[str, Attribute], Outcomes] = {}
        self._heights: dict[tuple[str, Attribute], tuple[int, int]] = {}
        self._outcomes: dict[tuple[str, Attribute, int], _Lazy] = {}
        self._completions: dict[tuple[Production, int, Attribute, int], _Lazy] = {}
        # Completions that the present question may still look at. Counted the same whether they
        # are remembered or not, so that answers do not depend on what was asked before.
        self.effort = EFFORT

    def tidy(self) -> None:
        """Forget what was remembered, if it has become much."""
        if len(self._applied) + len(self._outcomes) + len(self._completions) > MOST_REMEMBERED:
            self._applied.clear()
            self._heights.clear()
            self._lowest_outcomes.clear()
            self._outcomes.clear()
            self._completions.clear()

    def outcomes(self, symbol: str, inherited: Attribute, below: int = NO_LIMIT) -> Outcomes:
        """Return what small derivations of `symbol` can give, of height at most `below`."""
        leaves = self.leaves.get(symbol)
        if leaves is not None and below >= leaves.height:
            single = self._of_leaves(leaves, inherited)
            if leaves.through is None or (single and not self._slack):
                return single
        if below != NO_LIMIT:
            return self._of_lowest(symbol, inherited, below)
        key = (symbol, inherited)
        found = self._lowest_outcomes.get(key)
        if found is None:
            found = self._lowest_outcomes[key] = self._of_lowest(symbol, inherited, below)
        return found

    def _of_lowest(self, symbol: str, inherited: Attribute, below: int) -> Outcomes:
        first = self._first_height(symbol, inherited, below)
        if first > below:
            return ()
        return self._of_height(symbol, inherited, min(first + self._slack, below))

    def _of_leaves(self, leaves: Leaves, inherited: Attribute) -> Outcomes:
        """Return what single operations can give: often nothing, where branches meet."""
        key = (leaves.symbol, inherited)
        found = self._applied.get(key)
        if found is None:
            index, step = self._attributes.first_step(leaves.rules, inherited)
            if index < 0:
                return ()  # most such questions come once
            first = (step.output, step.cost, leaves.ways[index])
            found = _Lazy(self._others(leaves, inherited, index, first), first)
            self._applied[key] = found
        return found

    def _others(
        self, leaves: Leaves, inherited: Attribute, index: int, first: Outcome
    ) -> Iterator[Outcome]:
        kept = [first]
        while True:
            index, step = self._attributes.first_step(leaves.rules, inherited, index + 1)
            if index < 0:
                return
            output, cost = step
            if not any(known == output and no_worse(less, cost) for known, less, _ in kept):
                kept.append((output, cost, leaves.ways[index]))
                yield kept[-1]

    def _first_height(self, symbol: str, inherited: Attribute, below: int) -> int:
        """Return the least height of a derivation, or more than `below` if there is none."""
        lowest = self._lowest.get(symbol, NO_LIMIT)
        below = min(below, lowest + HEIGHT_REACH, self._greatest.get(symbol, NO_LIMIT))
        key = (symbol, inherited)
        found, searched = self._heights.get(key, (NO_LIMIT, lowest - 1))
        while found == NO_LIMIT and searched < below:
            searched += 1
            for _ in self._of_height(symbol, inherited, searched):
                found = searched
                break
        self._heights[key] = (found, searched)
        return found if found <= below else NO_LIMIT + 1

    def _of_height(self, symbol: str, inherited: Attribute, height: int) -> _Lazy:
        key = (symbol, inherited, height)
        if key not in self._outcomes:
            self._outcomes[key] = _Lazy(_pareto(self._derived(symbol, inherited, height)))
        return self._outcomes[key]

    def _derived(self, symbol: str, inherited: Attribute, height: int) -> Iterator[Outcome]:
        for way in self._grammar.by_symbol.get(symbol, ()):
            if way.weight <= 0.0:
                continue
            if way.renames:
                for output, cost, _ in self.child(way, 0, inherited, height):
                    yield output, cost, way
                continue
            for output, cost, _ in self.completions(way, 0, way.flow.start(inherited), height):
                yield output, cost._replace(depth=cost.depth + 1), way

    def completions(
        self, way: Production, position: int, state: Attribute, height: int = NO_LIMIT
    ) -> Iterable[Outcome]:
        """Return how the children from `position` on can end, with what it costs.

        The depth of a cost counts from the production's children.
        """
        if position > way.last:
            output = way.flow.finish(state)
            return () if output is None else ((output, NOTHING, None),)
        if way.renames:
            return self.child(way, 0, state, height)
        if position == way.last:
            return self._last(way, position, state, height)
        key = (way, position, state, height)
        found = self._completions.get(key)
        if found is None:
            source = _pareto(self._completed(way, position, state, height))
            found = self._completions[key] = _Lazy(source)
        return found

    def _last(
        self, way: Production, position: int, state: Attribute, height: int
    ) -> Iterable[Outcome]:
        """Return how the last child can end: found in what it can give, so not remembered."""
        given = way.flow.enter(state, way.places[position])
        if given is None:
            return ()
        outcomes = self.child(way, position, given, height)
        if not outcomes or (type(way.flow) is Chain and way.places[-1].copies == 1):
            return outcomes  # a chain ends in what its last child gives
        return self._ended(way, state, outcomes)

    def _ended(
        self, way: Production, state: Attribute, outcomes: Iterable[Outcome]
    ) -> Iterator[Outcome]:
        place = way.places[-1]
        for output, cost, _ in outcomes:
            after = way.flow.advance(state, output, place)
            end = None if after is None else way.flow.finish(after)
            if end is not None:
                yield end, cost if place.copies == 1 else beside(NOTHING, cost, place.copies), None

    def _completed(
        self, way: Production, position: int, state: Attribute, height: int
    ) -> Iterator[Outcome]:
        flow, place = way.flow, way.places[position]
        given = flow.enter(state, place)
        if given is None:
            return
        following = self._last if position + 1 == way.last else self.completions
        for output, cost, _ in self.child(way, position, given, height):
            after = flow.advance(state, output, place)
            if after is not None:
                for end, rest, _ in following(way, position + 1, after, height):
                    yield end, beside(rest, cost, place.copies), None

    def child(
        self, way: Production, position: int, given: Attribute, height: int = NO_LIMIT
    ) -> Outcomes:
        """Return what the child at `position` can give."""
        what = way.whats[position]
        if not isinstance(what, str):
            step = self._attributes.step(what, given)
            return () if isinstance(step, str) else ((*step, None),)
        return self.outcomes(what, given, height if height == NO_LIMIT else height - 1)


def _pareto(source: Iterator[Outcome]) -> Iterator[Outcome]:
    """Leave out what costs no less than an outcome before it that gives the same."""
    kept: dict[Attribute, list[Cost]] = {}
    for outcome in source:
        output, cost, _ = outcome
        known = kept.setdefault(output, [])
        if not any(no_worse(less, cost) for less in known):
            known.append(cost)
            yield outcome


class Rest(NamedTuple):
    """One way to complete all that is open, from some child of some production on.

    Attributes:
        price: Of everything, all the way up: what must be left of the budget.
        end: What the production then gives.
        cost: Of its remaining children, used once.
        above: How to go on above it; None above the root.
    """

    price: Purse
    end: Attribute
    cost: Cost
    above: "Rest | None"


FREE: Purse = (0, 0, 0, 0, 0)
_DONE = Rest(FREE, None, NOTHING, None)


class Goal:
    """What a whole derivation must give: stands above the root.

    Args:
        accepts: Says whether an output will do; None if anything will.
    """

    __slots__ = ("_accepts",)

    def __init__(self, accepts: Callable[[Attribute], bool] | None = None) -> None:
        self._accepts = accepts

    def rest(self, output: Attribute, purse: Purse) -> Rest | None:
        """Return that nothing is left to do, if `output` is wanted and paid for."""
        wanted = self._accepts is None or self._accepts(output)
        return _DONE if wanted and solvent(purse) else None


class Frame:
    """A production whose children are being derived, from left to right.

    Attributes:
        way: The production.
        above: What is open above it.
        copies: How often it is used in the network.
        depth_left: Levels of nesting that its children may have.
        position: The child being derived.
        state: The flow's state before it.
    """

    __slots__ = (
        "_lookahead", "_rests", "above", "copies", "depth_left", "position", "state", "way",
    )  # fmt: skip

    def __init__(
        self,
        lookahead: Lookahead,
        way: Production,
        above: "Frame | Goal",
        *,
        copies: int,
        depth_left: int,
    ) -> None:
        self._lookahead = lookahead
        self.way = way
        self.above = above
        self.copies = copies
        self.depth_left = depth_left
        self.position = 0
        self.state: Attribute | None = None
        self._rests: dict[Attribute, _Search] = {}

    def to(self, position: int, state: Attribute | None) -> None:
        """Move on to the child at `position`."""
        self.position, self.state = position, state
        self._rests = {}

    def rest(self, output: Attribute, purse: Purse) -> Rest | None:
        """Return a way to complete all that is open once the present child gave `output`.

        Args:
            output: Of the present child.
            purse: What is left of the budget then.
        """
        search = self._rests.get(output)
        if search is None:
            after = self.way.flow.advance(self.state, output, self.way.places[self.position])
            ends: Iterable[Outcome] = ()
            if after is not None:
                ends = self._lookahead.completions(self.way, self.position + 1, after)
            search = self._rests[output] = (iter(ends), []) if ends else _NOWHERE
        ends, found = search
        for rest in found:
            if covers(purse, rest.price):
                return rest
        lookahead = self._lookahead
        while lookahead.effort > 0:
            outcome = next(ends, None)
            if outcome is None:
                return None
            lookahead.effort -= 1
            end, cost, _ = outcome
            left = paid(purse, cost, self.copies)
            if left is not None and cost[5] <= self.depth_left:
                above = self.above.rest(end, left)
                if above is not None:
                    rest = Rest(plus(above.price, cost, self.copies), end, cost, above)
                    found.append(rest)
                    return rest
        return None

    def remaining(self, before: Rest) -> tuple[Outcome, Rest]:
        """Return an outcome of the present child, and a rest after it, that keep a promise.

        Args:
            before: A way to complete the present child and all after it.
        """
        way, place = self.way, self.way.places[self.position]
        given = way.flow.enter(self.state, place)
        for outcome in self._lookahead.child(way, self.position, given):
            after = way.flow.advance(self.state, outcome[0], place)
            if after is not None:
                rest = self.rest_after(after, outcome[1], before)
                if rest is not None:
                    return outcome, rest
        raise AssertionError(f"the promise for '{way.spelled}' cannot be kept")

    def rest_after(self, after: Attribute, spent: Cost, before: Rest) -> Rest | None:
        """Return a rest from the next child on, if `before` can be kept once `spent` is spent."""
        copies = self.way.places[self.position].copies
        for end, cost, _ in self._lookahead.completions(self.way, self.position + 1, after):
            if end == before.end and no_worse(beside(cost, spent, copies), before.cost):
                return Rest(FREE, end, cost, before.above)
        return None


# A search for ways to complete what is open, to be gone on with; and what it found.
_Search: TypeAlias = tuple[Iterator[Outcome], list[Rest]]
_NOWHERE: _Search = (iter(()), [])
