"""Attributes of trees: what each node is given, what it gives, what it costs."""

import operator
import reprlib
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from itertools import repeat
from typing import NamedTuple

from niwaki.core.errors import NiwakiError, SpaceError
from niwaki.core.registry import nearest
from niwaki.spaces.grammar.costs import NOTHING, Cost, above, repeated
from niwaki.spaces.grammar.flows import Attribute, Place, places_of
from niwaki.spaces.grammar.grammar import (
    Effect,
    ForeignAttributeError,
    Grammar,
    Operation,
    Production,
)
from niwaki.spaces.grammar.tree import Tree, TreePath

# Entries in tables of trees. Tables only save time, so they are emptied now and then: a long search
# must not fill the memory, nor keep the garbage collector busy.
MOST_REMEMBERED = 5_000
MOST_WITH_SPOTS = 128
# Of one operation; sums over any network are numbers still.
MOST_COUNTED = 10**18
# A user's code may raise anything, and may end the process.
FAULTS = (Exception, SystemExit)
_SHORT = reprlib.Repr()
_SHORT.maxother = 200


class Step(NamedTuple):
    """An operation applied to an attribute, as costs see it."""

    output: Attribute
    cost: Cost


class Rules(NamedTuple):
    """Some operations, and their attribute rules with the parameters filled in."""

    operations: tuple[Operation, ...]
    functions: tuple[Callable[[Attribute], object], ...]


# No operation applies.
NOWHERE = (-1, Step(None, NOTHING))


class AttributeRuleError(SpaceError):
    """The attribute rule of an operation does not do what it should.

    Attributes:
        line: Where the operation is declared, or the input if the rule speaks of others; 0 if that
            is not known.
    """

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


class Evaluation(NamedTuple):
    """A tree applied to an attribute.

    Attributes:
        output: What it gives; None if it does not apply.
        cost: What it costs; zero if it does not apply.
        fault: Why it does not apply; empty if it does.
        place: Which node does not, seen from this one.
    """

    output: Attribute | None
    cost: Cost
    fault: str
    place: TreePath = ()


class Spot(NamedTuple):
    """One position in a tree, with its interface.

    Attributes:
        path: Where it is.
        symbol: The nonterminal that it derives from; empty where a production fixes an operation.
        node: What is there.
        inherited: The attribute that it is given.
        output: The attribute that it gives.
        cost: What it costs, used once.
        copies: How often it is used in the network.
        depth: Levels of nesting above it.
    """

    path: TreePath
    symbol: str
    node: Tree
    inherited: Attribute
    output: Attribute
    cost: Cost
    copies: int
    depth: int


def _step_of(effect: object) -> Step | str:
    """Return what an attribute rule returned as a step, or what is wrong with it."""
    if not isinstance(effect, Effect) or effect.output is None:
        return "return an Effect, or a sentence that says why it does not apply"
    output, *counts = effect
    try:
        hash(output)
    except TypeError:
        return f"{output!r} cannot be hashed: give tuples, numbers and strings"
    try:
        parameters, macs, elements = map(operator.index, counts)
    except TypeError:
        parameters = macs = elements = -1
    least, most = min(parameters, macs, elements), max(parameters, macs, elements)
    if not 0 <= least <= most <= MOST_COUNTED:
        return f"parameters, macs and elements are whole numbers of at least 0, to {MOST_COUNTED:g}"
    return Step(output, Cost(1, 1, parameters, macs, elements, 0))


class Attributes:
    """Applies operations and trees to attributes, and remembers what came of it."""

    def __init__(self, grammar: Grammar) -> None:
        self.grammar = grammar
        self._ways: dict[tuple[str, Tree], Production | None] = {}
        self._steps: dict[str, dict[Attribute, Step | str]] = {}
        self._n_steps = 0
        self._evaluations: dict[tuple[str, Tree, Attribute], Evaluation] = {}
        self._spots: dict[Tree, Sequence[Spot]] = {}

    def step(self, operation: Operation, inherited: Attribute) -> Step | str:
        """Apply one operation; a string says why it does not apply.

        Raises:
            AttributeRuleError: If the attribute rule fails, or returns neither an Effect with whole
                numbers nor a string.
        """
        known = self._steps.get(operation.spelled)
        if known is None:
            known = self._steps[operation.spelled] = {}
        found = known.get(inherited)
        if found is None:
            found = known[inherited] = self._apply(operation, inherited)
            self._n_steps += 1
        return found

    def first_step(self, rules: Rules, inherited: Attribute, start: int = 0) -> tuple[int, Step]:
        """Apply operations until one applies; nothing is remembered.

        Args:
            rules: Of the operations.
            inherited: What they are applied to.
            start: Index of the first to be tried.

        Returns:
            Its index, and what it does; `NOWHERE` if none applies.
        """
        index = start
        for function in rules.functions[start:]:
            try:
                effect = function(inherited)
            except FAULTS as fault:
                raise self._failure(rules.operations[index], inherited, fault) from fault
            if not isinstance(effect, str):
                return index, self._step(rules.operations[index], inherited, effect)
            index += 1
        return NOWHERE

    def rules(self, operations: Sequence[Operation]) -> Rules:
        """Return the attribute rules of some operations, their parameters filled in."""
        return Rules(tuple(operations), tuple(self._rules[each.spelled] for each in operations))

    @cached_property
    def _rules(self) -> dict[str, Callable[[Attribute], object]]:
        return {
            spelled: partial(rule, **dict(operation.parameters)) if rule is not None else Effect
            for spelled, operation in self.grammar.operations.items()
            for rule in (self.grammar.terminals[operation.terminal].rule,)
        }

    def _apply(self, operation: Operation, inherited: Attribute) -> Step | str:
        try:
            effect = self._rules[operation.spelled](inherited)
        except FAULTS as fault:
            raise self._failure(operation, inherited, fault) from fault
        if isinstance(effect, str):
            return effect or "it does not apply here"
        return self._step(operation, inherited, effect)

    def _failure(
        self, operation: Operation, inherited: Attribute, fault: BaseException
    ) -> AttributeRuleError:
        line = self.grammar.terminals[operation.terminal].line
        if isinstance(fault, NiwakiError):  # a sentence for whoever wrote the grammar
            foreign = isinstance(fault, ForeignAttributeError) and inherited == self.grammar.input
            return AttributeRuleError(
                f"'{operation.spelled}' makes no sense here: {fault}",
                self.grammar.input_line if foreign else line,
            )
        return AttributeRuleError(
            f"the attribute rule of '{operation.spelled}' fails for {inherited!r}: {fault!r}. "
            "Return a sentence where an operation does not apply",
            line,
        )

    def _step(self, operation: Operation, inherited: Attribute, effect: object) -> Step:
        """Check what a rule returned: what users' functions return is known here only."""
        step = _step_of(effect)
        if isinstance(step, str):
            raise AttributeRuleError(
                f"the attribute rule of '{operation.spelled}' returned {_SHORT.repr(effect)} for "
                f"{inherited!r}: {step}",
                self.grammar.terminals[operation.terminal].line,
            )
        return step

    def tidy(self) -> None:
        """Forget what was remembered, if it has become much."""
        if len(self._evaluations) + len(self._ways) > MOST_REMEMBERED:
            self._evaluations.clear()
            self._ways.clear()
        if len(self._spots) > MOST_WITH_SPOTS:
            self._spots.clear()
        if self._n_steps > MOST_REMEMBERED:
            self._steps.clear()
            self._n_steps = 0

    def way(self, symbol: str, node: Tree) -> Production | None:
        """Return the production by which `symbol` derives an inner node, attributes aside."""
        key = (symbol, node)
        try:
            return self._ways[key]
        except KeyError:
            found = self._ways[key] = self._way(symbol, node)
        return found

    def _way(self, symbol: str, node: Tree) -> Production | None:
        children = [child.label for child in node.children]
        for way in self.grammar.ways_to(symbol, node.label, children):
            if self._matches(way, node):
                return way
        return None

    def leaves(self, way: Production, node: Tree) -> bool:
        """Whether `way` itself leaves `node`, attributes aside."""
        if way.renames:
            what = way.whats[0]
            return not node.children and not isinstance(what, str) and what.spelled == node.label
        return way.label == node.label and self._matches(way, node)

    def _matches(self, way: Production, node: Tree) -> bool:
        item = self.grammar.sequences.get(way.label)
        if item is not None:
            return len(node.children) >= 2 and all(
                child.label != way.label and self.derives(item, child) for child in node.children
            )
        return len(way.items) == len(node.children) and all(
            self.derives(item.what, child)
            if isinstance(item.what, str)
            else not child.children and item.what.spelled == child.label
            for item, child in zip(way.items, node.children, strict=True)
        )

    def derives(self, symbol: str, node: Tree) -> bool:
        """Whether `symbol` derives `node`, attributes aside."""
        if not node.children:
            return node.label in self.grammar.leaves_of.get(symbol, ())
        return self.way(symbol, node) is not None

    def children(self, way: Production, node: Tree) -> list[tuple[str, Place, Tree]]:
        """Return symbol (empty for a fixed operation), place and node of every child."""
        item = self.grammar.sequences.get(way.label)
        if item is None:
            return list(zip(way.symbols, way.places, node.children, strict=True))
        n = len(node.children)
        return list(zip(repeat(item, n), places_of(n), node.children, strict=True))

    def evaluate(self, symbol: str, node: Tree, inherited: Attribute) -> Evaluation:
        """Apply a tree that derives from `symbol`; `symbol` is empty for a fixed operation."""
        key = (symbol, node, inherited)
        found = self._evaluations.get(key)
        if found is None:
            found = self._evaluations[key] = self._evaluate(symbol, node, inherited)
        return found

    def _evaluate(self, symbol: str, node: Tree, inherited: Attribute) -> Evaluation:
        if not node.children:
            return self._evaluate_leaf(symbol, node, inherited)
        way = self.way(symbol, node)
        if way is None:
            return self._underivable(symbol, node)
        state, costs = way.flow.start(inherited), list[Cost]()
        for index, (child_symbol, place, child) in enumerate(self.children(way, node)):
            given = way.flow.enter(state, place)
            if given is None:
                fault = f"'{child.shown}' fits nowhere in '{way.label}'"
                return Evaluation(None, NOTHING, fault, (index,))
            below = self.evaluate(child_symbol, child, given)
            if below.output is None:
                return below._replace(place=(index, *below.place))
            costs.append(repeated(below.cost, place.copies))
            after = way.flow.advance(state, below.output, place)
            if after is None:
                fault = f"'{way.label}' cannot go on after '{child.shown}' gave {below.output!r}"
                return Evaluation(None, NOTHING, fault, (index,))
            state = after
        output = way.flow.finish(state)
        if output is None:
            return Evaluation(None, NOTHING, f"'{way.label}' cannot end here")
        return Evaluation(output, above(costs), "")

    def _evaluate_leaf(self, symbol: str, node: Tree, inherited: Attribute) -> Evaluation:
        operation = self.grammar.operations.get(node.label)
        if operation is None or (symbol and not self.derives(symbol, node)):
            return self._underivable(symbol, node)
        step = self.step(operation, inherited)
        if isinstance(step, str):
            return Evaluation(
                None, NOTHING, f"'{node.label}' cannot be applied to {inherited!r}: {step}"
            )
        return Evaluation(step.output, step.cost, "")

    def _underivable(self, symbol: str, node: Tree) -> Evaluation:
        """Return which part of a node keeps it from being derived, and where."""
        ways = self.grammar.nodes_of.get(symbol, {})
        if not node.children or node.label not in ways:
            known = [*self.grammar.leaves_of.get(symbol, ()), *ways]
            fault = f"'{symbol}' cannot derive '{node.label}'{nearest(node.label, known)}"
            return Evaluation(None, NOTHING, fault)
        fitting = [self._unfitting(way, node) for way in ways[node.label]]
        # In the production that fits farthest, the part that does not.
        at, what = max(fitting, key=lambda found: found[0])
        if at < 0:
            fault = f"no '{node.label}' of '{symbol}' has {len(node.children)} children"
            return Evaluation(None, NOTHING, fault)
        child = node.children[at]
        if isinstance(what, str) and not self.derives(what, child):
            below = self._underivable(what, child)
            return below._replace(place=(at, *below.place))
        wanted = "its own children were" if isinstance(what, str) else f"'{what.spelled}' was"
        fault = f"'{child.shown}' stands in '{node.label}', where {wanted} wanted"
        return Evaluation(None, NOTHING, fault, (at,))

    def _unfitting(self, way: Production, node: Tree) -> tuple[int, str | Operation]:
        """Return the first child of a node that a production cannot have, and what it can have.

        The index is -1 if it cannot have as many.
        """
        item, n = self.grammar.sequences.get(way.label), len(node.children)
        whats = [each.what for each in way.items] if item is None else [item] * max(n, 2)
        if len(whats) == n:
            for at, (what, child) in enumerate(zip(whats, node.children, strict=True)):
                if isinstance(what, str):
                    fits = self.derives(what, child) and (not item or child.label != way.label)
                else:
                    fits = not child.children and what.spelled == child.label
                if not fits:
                    return at, what
        return -1, way.label

    def whole(self, tree: Tree) -> Evaluation:
        """Apply a whole tree to the grammar's input; a wrong output is a fault.

        The place of a fault below the top is said as in a candidate: `tree[2][1]`.
        """
        found = self.evaluate(self.grammar.start, tree, self.grammar.input)
        wanted = self.grammar.output
        if found.output is not None and wanted is not None and found.output != wanted:
            fault = f"the network gives {found.output!r}, but {wanted!r} is wanted"
            return Evaluation(None, NOTHING, fault)
        if found.place:
            where = "".join(f"[{index + 1}]" for index in found.place)
            return found._replace(fault=f"tree{where}: {found.fault}")
        return found

    def spots(self, tree: Tree) -> Sequence[Spot]:
        """Return every position of a valid tree, parents first.

        Raises:
            SpaceError: If the tree is not valid.
        """
        found = self._spots.get(tree)
        if found is None:
            found = self._spots[tree] = self._spots_of(tree)
        return found

    def _spots_of(self, tree: Tree) -> list[Spot]:
        top = self.whole(tree)
        if top.output is None:
            raise SpaceError(f"the tree is not of this grammar: {top.fault}")
        root = Spot((), self.grammar.start, tree, self.grammar.input, top.output, top.cost, 1, 0)
        found = [root]
        for spot in found:  # grows while it is walked
            found.extend(self._below(spot))
        return found

    def _below(self, spot: Spot) -> list[Spot]:
        way = self.way(spot.symbol, spot.node) if spot.node.children else None
        if way is None:
            return []
        found: list[Spot] = []
        state: Attribute | None = way.flow.start(spot.inherited)
        for index, (symbol, place, child) in enumerate(self.children(way, spot.node)):
            given = way.flow.enter(state, place)
            inside = self.evaluate(symbol, child, given)
            assert given is not None and inside.output is not None
            copies, path = spot.copies * place.copies, (*spot.path, index)
            found.append(
                Spot(path, symbol, child, given, inside.output, inside.cost, copies, spot.depth + 1)
            )
            state = way.flow.advance(state, inside.output, place)
        return found
