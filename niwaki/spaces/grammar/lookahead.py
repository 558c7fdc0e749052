"""Typed lookahead: small derivations known to complete a hole, so that no draw runs into a wall.

For a nonterminal and what it inherits, `outcomes` lists what its lowest derivations can give, and
at what cost; for a production and the state before one of its children, `completions` lists how the
rest can end. Both are computed only as far as someone looks, and remembered for one derivation, but
for what is found at once: how a last child ends, and that no operation of a symbol applies. Where
branches meet, this is asked of pairs of tensors by the dozen, each pair once.

The lists hold part of the truth (derivations of the lowest height at which there are any, plus
`slack`, and up to that of the smallest, attributes aside; a few ways to end), and that suffices,
for what they promise can be kept. Heights bound the recursion, so left recursion is harmless here.
"""

import math
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TypeAlias

from niwaki.spaces.grammar.attributes import Attributes
from niwaki.spaces.grammar.costs import NOTHING, Budget, Cost, beside, nested, no_worse, repeated
from niwaki.spaces.grammar.flows import Attribute
from niwaki.spaces.grammar.grammar import Grammar, Production
from niwaki.spaces.grammar.leaves import Leaves, single_operations
from niwaki.spaces.grammar.rates import (
    greatest_heights,
    heights_of_smallest,
    least_operations,
    lowest_heights,
    n_operations,
)

# How much higher than the lowest derivation without attributes one with attributes may be.
HEIGHT_REACH = 6
NO_LIMIT = 1 << 30
# Completions looked at to answer one question. A derivation falls back on the promise it has
# already, so this bounds time and forbids nothing.
EFFORT = 6
# Outcomes looked at and compared to answer one question. Ordinary ones need some dozens; but there
# may be exponentially many that cost more and less in different ways, all of them above the budget.
MOST_WORK = 5_000
MOST_WORK_FOR_ALL = 20_000  # where all trees are asked about: nothing else can be done instead


class OverworkedError(Exception):
    """A question would take too long: the lists that were being computed are cut, so forget all."""


# What ends a question that is asked with `work_left` limited.
OVERWORKED = (OverworkedError, RecursionError)

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
        return iter(self._known) if self._source is _EXHAUSTED else self._read()

    def _read(self) -> Iterator[Outcome]:
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
        budget: Operations that take less of what it limits are looked at first.

    Attributes:
        work_left: Outcomes that may still be looked at and compared. Whoever limits it forgets all
            tables when that ends a question, and takes the limit away.
        short: Set where something was found that the budget did not suffice for.
    """

    def __init__(
        self, attributes: Attributes, *, slack: int = 0, budget: Budget | None = None
    ) -> None:
        self._attributes = attributes
        self._grammar: Grammar = attributes.grammar
        self._slack = slack
        self._lowest = lowest_heights(self._grammar)
        self._greatest = greatest_heights(self._grammar)
        self._smallest = heights_of_smallest(self._grammar)
        self.leaves = single_operations(attributes, self._lowest, budget or Budget())
        self._applied: dict[tuple[str, Attribute], Outcomes] = {}
        self._lowest_outcomes: dict[tuple[str, Attribute], Outcomes] = {}
        self._heights: dict[tuple[str, Attribute], tuple[int, int]] = {}
        self._outcomes: dict[tuple[str, Attribute, int], _Lazy] = {}
        self._rising: dict[tuple[str, Attribute, int, int], _Lazy] = {}
        self._completions: dict[tuple[Production, int, Attribute, int], _Lazy] = {}
        # What takes several steps is far down in the lists.
        self.thoroughness = (1 + slack) ** 2
        # Completions that the present question may still look at. Counted the same whether they
        # are remembered or not, so that answers do not depend on what was asked before.
        self.effort = self.full_effort = EFFORT * self.thoroughness
        self.work_left = math.inf
        self.short = False
        self._least = least_operations(self._grammar, copies=True)
        self._ways = {symbol: self._cheap_first(symbol) for symbol in self._grammar.by_symbol}

    def _cheap_first(self, symbol: str) -> tuple[Production, ...]:
        """Return the productions of a symbol that have any weight, small derivations first.

        What costs more for the same is then never listed. The other way round, `A -> x: B B | B`,
        `B -> x: C C | C` and so on would be listed in all sizes, from 2 to the power of n down.
        """

        def least(way: Production) -> float:
            below = (n * self._least.get(each, math.inf) for each, n in way.holes)
            return n_operations(way, copies=True) + sum(below)

        ways = (way for way in self._grammar.by_symbol[symbol] if way.weight > 0.0)
        return tuple(sorted(ways, key=least))

    def forget(self) -> None:
        """Forget what was remembered."""
        self._applied.clear()
        self._heights.clear()
        self._lowest_outcomes.clear()
        self._outcomes.clear()
        self._rising.clear()
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
        last = min(max(first + self._slack, self._smallest.get(symbol, 0)), below)
        if first == last:
            return self._of_height(symbol, inherited, first)
        key = (symbol, inherited, first, last)
        if key not in self._rising:
            # What is low first: searches look at a few outcomes, whatever the slack.
            heights = (self._of_height(symbol, inherited, each) for each in range(first, last + 1))
            self._rising[key] = _Lazy(self._pareto(chain.from_iterable(heights)))
        return self._rising[key]

    def _of_leaves(self, leaves: Leaves, inherited: Attribute) -> Outcomes:
        """Return what single operations can give: often nothing, where branches meet."""
        key = (leaves.symbol, inherited)
        found = self._applied.get(key)
        if found is None:
            index, step = self._attributes.first_step(leaves.rules, inherited)
            if index < 0:
                return ()
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
            self._outcomes[key] = _Lazy(self._pareto(self._derived(symbol, inherited, height)))
        return self._outcomes[key]

    def _derived(self, symbol: str, inherited: Attribute, height: int) -> Iterator[Outcome]:
        for way in self._ways.get(symbol, ()):
            if way.renames:
                for output, cost, _ in self.child(way, 0, inherited, height):
                    yield output, cost, way
                continue
            for output, cost, _ in self.completions(way, 0, way.flow.start(inherited), height):
                yield output, nested(cost), way

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
            source = self._pareto(self._completed(way, position, state, height))
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
        if not outcomes or way.passes:
            return outcomes
        return self._ended(way, state, outcomes)

    def _ended(
        self, way: Production, state: Attribute, outcomes: Iterable[Outcome]
    ) -> Iterator[Outcome]:
        place = way.places[-1]
        for output, cost, _ in outcomes:
            after = way.flow.advance(state, output, place)
            end = None if after is None else way.flow.finish(after)
            if end is not None:
                yield end, repeated(cost, place.copies), None

    def _completed(
        self, way: Production, position: int, state: Attribute, height: int
    ) -> Iterator[Outcome]:
        place = way.places[position]
        given = way.flow.enter(state, place)
        if given is None:
            return
        outcomes = self.child(way, position, given, height)
        if position + 1 == way.last:
            yield from self._before_last(way, state, outcomes, height)
            return
        for output, cost, _ in outcomes:
            self._work(1)
            after = way.flow.advance(state, output, place)
            if after is not None:
                for end, rest, _ in self.completions(way, position + 1, after, height):
                    yield end, beside(rest, cost, place.copies), None

    def _before_last(
        self, way: Production, state: Attribute, outcomes: Outcomes, height: int
    ) -> Iterator[Outcome]:
        """Complete what the last child but one gives: by far the most frequent, so without detours.

        Args:
            way: The production.
            state: Of its flow, before that child.
            outcomes: What that child can give.
            height: Most that a child may have, and one.
        """
        flow, place, last, what = way.flow, way.places[-2], way.places[-1], way.whats[-1]
        leaves = self.leaves.get(what) if isinstance(what, str) and height > 1 else None
        if leaves is not None and leaves.through is not None:
            leaves = None
        for output, cost, _ in outcomes:
            self._work(1)
            after = flow.advance(state, output, place)
            given = None if after is None else flow.enter(after, last)
            if given is None:
                continue
            if leaves is not None:
                ends = self._of_leaves(leaves, given)
            else:
                ends = self.child(way, way.last, given, height)
            if ends:
                for end, rest, _ in ends if way.passes else self._ended(way, after, ends):
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

    def _work(self, n: int) -> None:
        self.work_left -= n
        if self.work_left < 0:
            raise OverworkedError

    def _pareto(self, source: Iterator[Outcome]) -> Iterator[Outcome]:
        """Leave out what costs no less than an outcome before it that gives the same."""
        kept: dict[Attribute, list[Cost]] = {}
        for outcome in source:
            output, cost, _ = outcome
            known = kept.setdefault(output, [])
            self._work(1 + len(known))
            if not any(no_worse(less, cost) for less in known):
                known.append(cost)
                yield outcome
