"""From a tree to its blueprint: a walk along the tree, with attributes at hand."""

from typing import NamedTuple

from niwaki.core.errors import SpaceError
from niwaki.spaces.einspace.attributes import Shape, shape_of, typed
from niwaki.spaces.einspace.blueprint import Fork, Piece
from niwaki.spaces.einspace.joins import (
    JOINS,
    SPLITS,
    Branch,
    alike,
    cell,
    join,
    split,
    without_module,
)
from niwaki.spaces.einspace.layout import Layout, Tape, first_layout, plain
from niwaki.spaces.einspace.lowering_extras import ALL_OPERATIONS
from niwaki.spaces.einspace.own_modules import join_own, split_own, write_own
from niwaki.spaces.einspace.tasks import ByTask
from niwaki.spaces.grammar.attributes import MOST_REMEMBERED, Attributes, Step
from niwaki.spaces.grammar.flows import Attribute, Cell, Place
from niwaki.spaces.grammar.grammar import IDENTITY, Grammar, Operation, Production
from niwaki.spaces.grammar.tree import Tree

_KNOWN = {*ALL_OPERATIONS, *SPLITS, *JOINS}

# A child with what it derives from and what it is given.
_Child = tuple[str, Place, Tree, Attribute]
# What comes in, as it lies in memory; a symbol, what it derives, and what that is given.
_Place = tuple[Layout, str, Tree, Attribute]


class _Forked(NamedTuple):
    """A fork, the layout that it begins with, and the one that it gives."""

    given: Layout
    fork: Fork
    gives: Layout


def require_modules(grammar: Grammar) -> None:
    """Raise if a grammar has operations, or nodes, that nobody knows how to build.

    Raises:
        SpaceError: On the first, with what to say of it.
    """
    for operation in grammar.operations.values():
        terminal = grammar.terminals[operation.terminal]
        known = terminal.builder or IDENTITY in terminal.traits or terminal.name in _KNOWN
        if not known:
            raise without_module(operation)
    for way in grammar.productions:
        flow = way.flow
        known_flow = flow.linear or flow.parallel or isinstance(flow, Cell | ByTask)
        if not (way.renames or way.builder or known_flow):
            raise _unbuilt(way)


def _unbuilt(way: Production) -> SpaceError:
    return SpaceError(
        f"nobody knows how to build '{way.label}': say what makes its module, "
        "`flow name = package.flows:Flow builds package.layers:name`"
    )


class Planner:
    """Writes trees of one grammar as lines of pieces.

    It remembers branches, and what they make together: kin share most.

    Args:
        attributes: Of the grammar.
    """

    def __init__(self, attributes: Attributes) -> None:
        self._attributes = attributes
        self._grammar = attributes.grammar
        self._tapes: dict[_Place, Tape] = {}
        self._forks: dict[_Place, _Forked] = {}

    def plan(self, tree: Tree) -> tuple[Tape, tuple[Tape, ...]]:
        """Write a whole tree.

        Returns:
            The tape of what all tasks share, and one for each task that has a branch of its own:
            none where the tree does not branch by tasks.

        Raises:
            SpaceError: If the tree is not valid, or has an operation without a module.
        """
        if len(self._tapes) + len(self._forks) > MOST_REMEMBERED:
            self._tapes.clear()
            self._forks.clear()
        grammar = self._grammar
        if fault := self._attributes.whole(tree).fault:
            raise SpaceError(fault)
        given: Attribute = grammar.input
        tape = Tape(first_layout(typed(given)))
        way = self._attributes.way(grammar.start, tree) if tree.children else None
        if way is None or not isinstance(way.flow, ByTask):
            self._write(tape, grammar.start, tree, given)
            return tape, ()
        (symbol, _, trunk, inherited), *ends = self._children(way, tree, given)
        self._write(tape, symbol, trunk, inherited)
        tapes = []
        for symbol, _, node, inherited in ends:
            tapes.append(Tape(tape.layout))
            self._write(tapes[-1], symbol, node, inherited)
        return tape, tuple(tapes)

    def _write(self, tape: Tape, symbol: str, node: Tree, given: Attribute) -> None:
        """Write what is at one position."""
        if not node.children:
            self._leaf(tape, self._grammar.operations[node.label], given)
            return
        way = self._way(symbol, node)
        if way.flow.linear and not way.builder:
            for below, place, child, inherited in self._children(way, node, given):
                for _ in range(place.copies):
                    self._write(tape, below, child, inherited)
            return
        key = (tape.layout, symbol, node, given)
        forked = self._forks.get(key)
        if forked is None:
            forked = self._forks[key] = self._fork(Tape(tape.layout), symbol, node, given)
        if forked.given != tape.layout:
            tape.as_tokens()
        tape.fork(forked.fork, forked.gives)

    def _fork(self, tape: Tape, symbol: str, node: Tree, given: Attribute) -> _Forked:
        """Return what is at a position where branches meet; the tape only says where they begin."""
        way = self._way(symbol, node)
        children = self._children(way, node, given)
        if way.builder:
            output = self._attributes.evaluate(symbol, node, given).output
            fork, gives = self._own(tape, way.builder, children, shape_of(output))
        elif way.flow.parallel:
            fork, gives = self._branching(tape, children)
        elif isinstance(way.flow, Cell):
            fork, gives = self._cell(tape, children)
        else:
            raise _unbuilt(way)
        return _Forked(tape.layout, fork, gives)

    def _leaf(self, tape: Tape, operation: Operation, given: Attribute) -> None:
        step = self._step(operation, given)
        terminal = self._grammar.terminals[operation.terminal]
        if terminal.builder:
            write_own(tape, operation, terminal.builder, step)
            return
        write = ALL_OPERATIONS.get(operation.terminal)
        if write is None and IDENTITY in terminal.traits:
            return
        if write is None:
            raise without_module(operation)
        write(tape, dict(operation.parameters), shape_of(step.output))  # type: ignore[arg-type]

    def _branching(self, tape: Tape, children: list[_Child]) -> tuple[Fork, Layout]:
        first, *middle, last = children
        splits, joins = (self._grammar.operations[node.label] for _, _, node, _ in (first, last))
        if builder := self._grammar.terminals[splits.terminal].builder:
            parts = [shape_of(given) for _, place, _, given in middle for _ in range(place.copies)]
            splitting = split_own(tape, splits, builder, self._step(splits, first[3]), parts)
            branches = [self._branch(plain(shape_of(child[3])), child) for child in middle]
        else:
            splitting, layout = split(tape, splits)
            branches = [self._branch(layout, child) for child in middle]
        if builder := self._grammar.terminals[joins.terminal].builder:
            step = self._step(joins, last[3])
            return join_own(splitting, branches, joins, builder, step)
        return join(splitting, branches, joins)

    def _step(self, operation: Operation, given: Attribute) -> Step:
        step = self._attributes.step(operation, given)
        assert not isinstance(step, str)
        return step

    def _cell(self, tape: Tape, children: list[_Child]) -> tuple[Fork, Layout]:
        nodes = [tape.layout]
        edges: list[Branch] = []
        while len(edges) < len(children):
            incoming = [
                self._branch(layout, child)
                for layout, child in zip(nodes, children[len(edges) :], strict=False)
            ]
            nodes.append(alike(incoming))
            edges += incoming
        return cell(nodes, edges), nodes[-1]

    def _own(
        self, tape: Tape, builder: str, children: list[_Child], gives: Shape
    ) -> tuple[Fork, Layout]:
        """Write a node whose module is made by a function that gets the children's modules."""
        tape.as_tokens()
        branches = [self._branch(plain(shape_of(child[3])), child) for child in children]
        for branch in branches:
            branch.tape.as_tokens()
        lines = tuple(line for b in branches for line in [b.tape.line()] * b.copies)
        splitting = Piece("clone", tape.layout.shape, (("n", len(lines)),), view=True)
        joining = Piece("own", gives, (("path", builder),))
        return Fork(splitting, lines, joining), plain(gives)

    def _branch(self, layout: Layout, child: _Child) -> Branch:
        symbol, place, node, given = child
        key = (layout, symbol, node, given)
        written = self._tapes.get(key)
        if written is None:
            written = Tape(layout)
            self._write(written, symbol, node, given)
            written.line()
            self._tapes[key] = written  # a branch that cannot be written is none
        return Branch(written.copy(), place.copies)

    def _way(self, symbol: str, node: Tree) -> Production:
        way = self._attributes.way(symbol, node)
        assert way is not None, "the tree was found valid"
        return way

    def _children(self, way: Production, node: Tree, given: Attribute) -> list[_Child]:
        found: list[_Child] = []
        state: Attribute | None = way.flow.start(given)
        for symbol, place, child in self._attributes.children(way, node):
            inherited = way.flow.enter(state, place)
            output = self._attributes.evaluate(symbol, child, inherited).output
            assert inherited is not None and output is not None
            found.append((symbol, place, child, inherited))
            state = way.flow.advance(state, output, place)
        return found
