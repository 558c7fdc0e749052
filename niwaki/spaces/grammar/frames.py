"""What is open above a hole, and how all of it can be completed once the hole is closed.

`Frame.rest` looks for one way, by lookahead for what is left of its own production and by the frame
above it for all else. What it found for an output is remembered until the next child.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

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
from niwaki.spaces.grammar.flows import Attribute
from niwaki.spaces.grammar.grammar import Production
from niwaki.spaces.grammar.lookahead import Lookahead, Outcome


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
        "_lookahead", "_rests", "_tail", "above", "copies", "depth_left", "position", "state",
        "way",
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
        self._tail = way.last if way.passes else -1
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
            if self.position == self._tail:
                return self._passed_on(output, purse)
            after = self.way.flow.advance(self.state, output, self.way.places[self.position])
            ends: Iterable[Outcome] = ()
            if after is not None:
                ends = self._lookahead.completions(self.way, self.position + 1, after)
            search = self._rests[output] = _Search(iter(ends), [], []) if ends else _NOWHERE
        for rest in search.found:
            if covers(purse, rest.price):
                return rest
        if search.found:
            self._lookahead.short = True
        return self._searched(search, purse)

    def _searched(self, search: "_Search", purse: Purse) -> Rest | None:
        """Go on with a search: first with what a smaller purse did not suffice for."""
        lookahead = self._lookahead
        for at, (outcome, tried) in enumerate(search.dear):
            lookahead.short = True
            if lookahead.effort <= 0:
                return None
            if not covers(tried, purse):
                rest = self._rest_of(outcome, purse)
                search.dear[at] = (outcome, purse)
                if rest is not None:
                    del search.dear[at]
                    search.found.append(rest)
                    return rest
        while lookahead.effort > 0:
            following = next(search.ends, None)
            if following is None:
                return None
            before, lookahead.short = lookahead.short, False
            rest = self._rest_of(following, purse)
            if rest is not None:
                search.found.append(rest)
                return rest
            if lookahead.short:
                search.dear.append((following, purse))
            lookahead.short |= before
        return None

    def _rest_of(self, outcome: Outcome, purse: Purse) -> Rest | None:
        """Return a rest that begins with an outcome of what is left of this production."""
        lookahead = self._lookahead
        lookahead.effort -= 1
        end, cost, _ = outcome
        left = paid(purse, cost, self.copies)
        if left is None:
            lookahead.short = True
            return None
        if cost[5] > self.depth_left:
            return None
        above = self.above.rest(end, left)
        if above is None:
            return None
        return Rest(plus(above.price, cost, self.copies), end, cost, above)

    def _passed_on(self, output: Attribute, purse: Purse) -> Rest | None:
        """Go on above a chain, which ends in what its last child gives."""
        lookahead = self._lookahead
        if lookahead.effort <= 0:
            return None
        lookahead.effort -= 1
        before, lookahead.short = lookahead.short, False
        above = self.above.rest(output, purse)
        rest = None if above is None else Rest(above.price, output, NOTHING, above)
        if rest is not None or not lookahead.short:  # else a larger purse may do
            self._rests[output] = _Search(iter(()), [] if rest is None else [rest], [])
        lookahead.short |= before
        return rest

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


class _Search(NamedTuple):
    """A search for ways to complete what is open, to be gone on with.

    Attributes:
        ends: Outcomes that were not looked at yet.
        found: Ways that were affordable once.
        dear: Outcomes that were not, with the largest purse that they were tried with.
    """

    ends: Iterator[Outcome]
    found: list[Rest]
    dear: list[tuple[Outcome, Purse]]


_NOWHERE = _Search(iter(()), [], [])
