"""Deriving a tree from the top: hole by hole, left to right, with no step ever taken back."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple, TypeAlias

from niwaki.core.errors import SpaceError
from niwaki.spaces.collector import collector_paused
from niwaki.spaces.grammar.attributes import Attributes, Step
from niwaki.spaces.grammar.costs import Cost, Purse, no_worse, paid, spend
from niwaki.spaces.grammar.flows import Attribute
from niwaki.spaces.grammar.frames import FREE, Frame, Goal, Rest
from niwaki.spaces.grammar.grammar import Grammar, Operation, Production
from niwaki.spaces.grammar.lookahead import MOST_WORK, MOST_WORK_FOR_ALL, OVERWORKED, Lookahead
from niwaki.spaces.grammar.rates import least_operations
from niwaki.spaces.grammar.tree import Tree, TreePath

# Completions looked at for one tree; beyond, it is completed as promised.
MOST_EFFORT = 2_000
MANY = 64  # productions of one symbol, beyond which trying them all costs the most


class Hole(NamedTuple):
    """A place in a derivation where a symbol waits for its production.

    Attributes:
        symbol: What is derived there.
        inherited: The attribute that it is given.
        above: What must still be possible once it is closed.
        copies: How often it is used in the network.
        depth_left: Levels of nesting it may have.
        path: Its position among derivation steps.
    """

    symbol: str
    inherited: Attribute
    above: Frame | Goal
    copies: int
    depth_left: int
    path: TreePath = ()


# Picks one of the productions, among those for which the last argument says yes; at least one does.
Pick: TypeAlias = Callable[
    [Hole, Sequence[Production], Callable[[Production], bool]], Production | None
]


class Promise(NamedTuple):
    """What a hole can give, at what cost, and how all that is open can then be completed."""

    output: Attribute
    cost: Cost
    rest: Rest


class Derived(NamedTuple):
    """A tree, and what it gives."""

    tree: Tree
    output: Attribute


class Deriver:
    """Derives trees of one grammar.

    Args:
        attributes: Of the grammar.
        lookahead: Of the same.

    Attributes:
        lookahead: Holds what is left of the effort for the last question.
        overworked: Whether a promise was ever given up because it took too long to find one.
    """

    def __init__(self, attributes: Attributes, lookahead: Lookahead) -> None:
        self._attributes = attributes
        self._grammar = attributes.grammar
        self.lookahead = lookahead
        self.overworked = False
        self._ways = {
            symbol: tuple(way for way in ways if way.weight > 0.0)
            for symbol, ways in self._grammar.by_symbol.items()
        }
        self._least_of_many: dict[str, dict[int, float]] = {}

    def derive(self, pick: Pick, hole: Hole, purse: Purse) -> Derived:
        """Fill `hole` completely.

        Args:
            pick: Chooses productions.
            hole: Where to start; what stands above it says what the tree must give.
            purse: The budget.

        Raises:
            SpaceError: If nothing that lookahead knows fits the hole and keeps the budget.
        """
        with collector_paused():
            # Which questions take too long must not depend on what was derived before.
            self.lookahead.forget()
            return _Derivation(self, pick, purse).run(hole)

    def promise(self, hole: Hole, purse: Purse) -> Promise | None:
        """Return some way to fill `hole`, if lookahead soon knows one within the budget."""
        if self._least.get(hole.symbol, math.inf) > purse[0]:
            return None
        lookahead = self.lookahead
        whole = hole.symbol == self._grammar.start and hole.inherited == self._grammar.input
        lookahead.work_left = MOST_WORK_FOR_ALL if whole else MOST_WORK
        try:
            for output, cost, _ in lookahead.outcomes(hole.symbol, hole.inherited):
                lookahead.effort = lookahead.full_effort
                found = _after(output, cost, hole, purse)
                if found is not None:
                    return found
        except OVERWORKED:
            lookahead.forget()
            self.overworked = True
        finally:
            lookahead.work_left = math.inf
        return None

    def promise_of(self, hole: Hole, way: Production, purse: Purse) -> Promise | None:
        """Return a way to fill `hole` that starts with `way`, if one is soon found."""
        lookahead = self.lookahead
        lookahead.effort = lookahead.full_effort
        if way.renames and not isinstance(what := way.whats[0], str):
            step = self._attributes.step(what, hole.inherited)
            if isinstance(step, str):
                return None
            lookahead.effort -= 1
            return _after(*step, hole, purse)
        level = 0 if way.renames else self._level(hole, way)
        lookahead.work_left = MOST_WORK
        try:
            for output, cost, _ in lookahead.completions(way, 0, way.flow.start(hole.inherited)):
                lookahead.effort -= 1
                found = _after(output, cost, hole, purse, level)
                if found is not None or lookahead.effort <= 0:
                    return found
        except OVERWORKED:
            lookahead.forget()
            lookahead.effort = -MOST_EFFORT * lookahead.thoroughness  # no more for this tree
        finally:
            lookahead.work_left = math.inf
        return None

    def kept(self, hole: Hole, promise: Promise) -> tuple[Production, Promise]:
        """Return a production for `hole` that keeps the promise, with the cost it then has."""
        for output, cost, way in self.lookahead.outcomes(hole.symbol, hole.inherited):
            if output == promise.output and no_worse(cost, promise.cost):
                if way is not None and way.symbol != hole.symbol:
                    way = self.lookahead.leaves[hole.symbol].through
                assert way is not None
                inside = cost if way.renames else cost._replace(depth=cost.depth - 1)
                return way, Promise(output, inside, promise.rest)
        raise AssertionError("lookahead broke a promise")

    def _level(self, hole: Hole, way: Production) -> int:
        """Levels of nesting that `way` adds at `hole`: none if it is merged with its sequence."""
        above = hole.above
        merged = (
            isinstance(above, Frame)
            and above.way.label == way.label
            and way.label in self._grammar.sequences
        )
        return 0 if way.renames or merged else 1

    def ways(self, symbol: str) -> tuple[Production, ...]:
        """Return the productions of `symbol` that have any weight."""
        return self._ways.get(symbol, ())

    def least_of_many(self, symbol: str) -> Mapping[int, float]:
        """Return the least operations of a symbol's productions, by identity, if these are many.

        To look ahead from each would take long, and most do not fit where little is left.
        """
        ways = self.ways(symbol)
        if len(ways) <= MANY:
            return {}
        if symbol not in self._least_of_many:
            self._least_of_many[symbol] = {id(way): self._least_from(way, 0) for way in ways}
        return self._least_of_many[symbol]

    def least_behind(self, place: "_Open") -> float:
        """Return the least operations of the children that come after the present one."""
        return self._least_from(place.frame.way, place.frame.position + 1)

    def _least_from(self, way: Production, position: int) -> float:
        whats = way.whats[position:]
        return sum(self._least.get(w, math.inf) if isinstance(w, str) else 1 for w in whats)

    @cached_property
    def _least(self) -> dict[str, int]:
        return least_operations(self._grammar)

    def frame(self, way: Production, hole: Hole) -> Frame:
        """Return the frame for the children of `way`, derived at `hole`."""
        frame = Frame(
            self.lookahead, way, hole.above, copies=hole.copies,
            depth_left=hole.depth_left - self._level(hole, way),
        )  # fmt: skip
        frame.to(0, way.flow.start(hole.inherited))
        return frame

    def node(self, way: Production, children: list[Tree]) -> Tree:
        """Return the node that `way` leaves, a sequence in a sequence flattened."""
        return node_of(self._grammar, way, children)

    def leaf(self, operation: Operation) -> Tree:
        """Return the leaf of an operation."""
        return self._grammar.leaves[operation.spelled]

    def step(self, operation: Operation, inherited: Attribute) -> Step:
        """Apply an operation that lookahead found possible."""
        step = self._attributes.step(operation, inherited)
        assert not isinstance(step, str), f"lookahead let '{operation.spelled}' through: {step}"
        return step


def node_of(grammar: Grammar, way: Production, children: list[Tree]) -> Tree:
    """Return the node that `way` leaves above `children`, a sequence in a sequence flattened."""
    if way.label in grammar.sequences:
        flat: list[Tree] = []
        for child in children:
            flat.extend(child.children if child.label == way.label else (child,))
        children = flat
    return Tree(way.label, tuple(children))


def _after(
    output: Attribute, cost: Cost, hole: Hole, purse: Purse, level: int = 0
) -> Promise | None:
    """Return how all that is open can be completed once `hole` gave `output` at this cost."""
    left = paid(purse, cost, hole.copies)
    if left is not None and cost[5] + level <= hole.depth_left:
        rest = hole.above.rest(output, left)
        if rest is not None:
            return Promise(output, cost, rest)
    return None


class _Open(NamedTuple):
    """A production whose children are being derived."""

    hole: Hole
    frame: Frame
    children: list[Tree]


class _Derivation:
    """One run: a stack of open productions, and the promise that all of them can be completed.

    An option is taken if lookahead finds how to complete everything after it; where its bounded
    search finds no option, or the tree has taken much effort already, what was promised with the
    option taken before is done. So time is bounded, and no promise is broken.
    """

    def __init__(self, deriver: Deriver, pick: Pick, purse: Purse) -> None:
        self._deriver = deriver
        self._pick = pick
        self._purse = purse
        self._stack: list[_Open] = []
        # How the open hole can be completed: either a promise, or a rest that includes the hole.
        self._promise: Promise | None = None
        self._before: Rest | None = None
        self._effort_left = MOST_EFFORT * deriver.lookahead.thoroughness

    def run(self, hole: Hole) -> Derived:
        self._promise = self._deriver.promise(hole, self._purse)
        if self._promise is None:
            raise SpaceError(
                f"nothing that is known to derive from '{hole.symbol}' fits {hole.inherited!r} "
                "within the budget: raise the budget, or the lookahead"
            )
        following: Hole | Derived = hole
        while isinstance(following, Hole):
            following = self._fill(following)
        return following

    def _fill(self, hole: Hole) -> Hole | Derived:
        """Choose a production for `hole`, and return what is to be filled next."""
        way, promise = self._choose(hole)
        what = way.items[0].what
        if not way.renames:
            self._stack.append(_Open(hole, self._deriver.frame(way, hole), []))
            return self._go_on(Rest(FREE, promise.output, promise.cost, promise.rest))
        if isinstance(what, Operation):
            self._apply(what, hole.inherited, hole.copies)
            return self._close(self._deriver.leaf(what), promise.output, promise.rest)
        self._promise = promise
        return hole._replace(symbol=what, path=(*hole.path, 0))

    def _choose(self, hole: Hole) -> tuple[Production, Promise]:
        ways = self._deriver.ways(hole.symbol)
        found: dict[int, Promise] = {}  # by identity, which costs less than a production's hash
        deriver, purse = self._deriver, self._purse

        least = deriver.least_of_many(hole.symbol)
        most = purse[0] - sum(map(deriver.least_behind, self._stack)) if least else 0.0

        def possible(way: Production) -> bool:
            if least and (least[id(way)] > most or self._effort_left <= 0):
                return False
            promise = deriver.promise_of(hole, way, purse)
            self._effort_left -= deriver.lookahead.full_effort - deriver.lookahead.effort
            if promise is None:
                return False
            found[id(way)] = promise
            return True

        way = self._pick(hole, ways, possible) if self._effort_left > 0 else None
        chosen = found.get(id(way)) if way is not None else None
        if way is None or chosen is None:
            return self._deriver.kept(hole, self._promise or self._promised(hole))
        return way, chosen

    def _promised(self, hole: Hole) -> Promise:
        assert isinstance(hole.above, Frame) and self._before is not None
        outcome, rest = hole.above.remaining(self._before)
        output, cost, _ = outcome
        return Promise(output, cost, rest)

    def _apply(self, operation: Operation, inherited: Attribute, copies: int) -> Step:
        step = self._deriver.step(operation, inherited)
        self._purse = spend(self._purse, step.cost, copies)
        return step

    def _close(self, node: Tree, output: Attribute, rest: Rest) -> Hole | Derived:
        """Hand a finished subtree up; `rest` is how to go on after it."""
        if not self._stack:
            return Derived(node, output)
        top = self._stack[-1]
        frame = top.frame
        top.children.append(node)
        state = frame.way.flow.advance(frame.state, output, frame.way.places[frame.position])
        frame.to(frame.position + 1, state)
        return self._go_on(rest)

    def _go_on(self, before: Rest) -> Hole | Derived:
        """Apply fixed operations of the top production, up to its next hole or its end."""
        top = self._stack[-1]
        frame, way = top.frame, top.frame.way
        while frame.position < len(way.items):
            item, place = way.items[frame.position], way.places[frame.position]
            given = way.flow.enter(frame.state, place)
            copies = frame.copies * item.copies
            if isinstance(item.what, str):
                self._promise, self._before = None, before
                path = (*top.hole.path, frame.position)
                return Hole(item.what, given, frame, copies, frame.depth_left, path)
            top.children.append(self._deriver.leaf(item.what))
            step = self._apply(item.what, given, copies)
            after = way.flow.advance(frame.state, step.output, place)
            rest = frame.rest_after(after, step.cost, before)
            assert rest is not None, f"the promise for '{way.spelled}' cannot be kept"
            before = rest
            frame.to(frame.position + 1, after)
        self._stack.pop()
        assert before.above is not None
        output = way.flow.finish(frame.state)
        return self._close(self._deriver.node(way, top.children), output, before.above)
