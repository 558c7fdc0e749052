"""Mutation of many operations at once, as far as the rest of the tree needs it.

A sum makes its branches agree, so the width of a residual stage changes everywhere or nowhere. One
edit here is a renaming of operations, applied to a subtree; what no longer fits around it is
renamed too, and nothing else.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from niwaki.spaces.grammar.attributes import Attributes, Spot
from niwaki.spaces.grammar.flows import Attribute, Flow, Place
from niwaki.spaces.grammar.grammar import Grammar
from niwaki.spaces.grammar.options import Options
from niwaki.spaces.grammar.tree import Tree, TreePath
from niwaki.spaces.grammar.variation import Engine

# By the operation that is there, the one to put there.
Renaming: TypeAlias = Mapping[str, str]

_STARTS = 12
_SHORT = 2.0 / 3.0  # probability that no further step is taken along a parameter's options


def retune_all(
    engine: Engine, spots: Sequence[Spot], rng: np.random.Generator
) -> Iterator[tuple[TreePath, Tree, int, int]]:
    """Rename all operations of a kind within a subtree, and whatever else has to go with them.

    It starts from an operation, and from the whole tree every second time, else from any node on
    the way down to the operation.
    """
    grammar, options = engine.grammar, engine.options
    leaves = [
        spot for spot in spots if not spot.node.children and options.any_other(spot.node.label)
    ]
    present = list(dict.fromkeys(spot.node.label for spot in leaves))
    by_path = {spot.path: spot for spot in spots}
    for index in rng.permutation(len(leaves))[:_STARTS]:
        leaf = leaves[int(index)]
        renaming = _drawn(grammar, options, (leaf.node.label, present), rng)
        start = leaf.path[: int(rng.integers(len(leaf.path) + 1))] if rng.random() < 0.5 else ()
        found = _Spread(engine.attributes, by_path, renaming).over(start)
        if found is not None:
            path, node = found
            n_changed = _n_changed(by_path[path].node, node)
            yield path, node, n_changed, n_changed


def _drawn(
    grammar: Grammar,
    options: Options,
    operations: tuple[str, Sequence[str]],
    rng: np.random.Generator,
) -> Renaming:
    """Return a renaming that changes an operation, the first, and perhaps others of the tree."""
    own, present = operations
    names = options.parameters(own)
    if not names or rng.random() < 0.25:
        others = options.others(own)
        return {own: others[int(rng.integers(len(others)))]}
    name = names[int(rng.integers(len(names)))]
    together = [each for each in present if len(options.along(each, name)) > 1]
    if rng.random() < 0.5:  # else all terminals with a parameter of this name
        together = [
            each for each in together if _terminal(grammar, each) == _terminal(grammar, own)
        ]
    if rng.random() < 1.0 / 3.0:  # else all values, by as many steps
        value = _value(grammar, own, name)
        together = [each for each in together if _value(grammar, each, name) == value]
    n_steps = int(rng.geometric(_SHORT)) * (1 if rng.random() < 0.5 else -1)
    if _moved(options.along(own, name), own, n_steps) == own:
        n_steps = -n_steps
    return {each: _moved(options.along(each, name), each, n_steps) for each in together}


def _terminal(grammar: Grammar, spelled: str) -> str:
    return grammar.operations[spelled].terminal


def _value(grammar: Grammar, spelled: str, parameter: str) -> object:
    return dict(grammar.operations[spelled].parameters)[parameter]


def _moved(line: Sequence[str], spelled: str, n_steps: int) -> str:
    """Return the operation so many steps further, or the last one before the end.

    What stands at the end stays, so operations that agreed still do.
    """
    return line[min(max(line.index(spelled) + n_steps, 0), len(line) - 1)]


class _Spread:
    """Applies a renaming to a subtree, and to as much around it as makes the tree valid again."""

    def __init__(
        self, attributes: Attributes, by_path: Mapping[TreePath, Spot], renaming: Renaming
    ) -> None:
        self._attributes = attributes
        self._by_path = by_path
        self._renaming = renaming
        self._renamed: dict[Tree, Tree] = {}

    def over(self, path: TreePath) -> tuple[TreePath, Tree] | None:
        """Return where to put which node; None if nothing valid was found.

        It goes up until a node gives what it gave before.
        """
        node = self._all_of(self._by_path[path].node)
        while True:
            spot = self._by_path[path]
            output = self._output(spot.symbol, node, spot.inherited)
            # What a production fixes is changed by another production, which holds more than it.
            if output == spot.output and spot.symbol:
                return path, node
            if not path:
                return None if self._attributes.whole(node).fault else (path, node)
            path, position = path[:-1], path[-1]
            node = self._around(self._by_path[path], position, node)

    def _all_of(self, node: Tree) -> Tree:
        """Return the node with all operations in it renamed."""
        if not node.children:
            return Tree(self._renaming[node.label]) if node.label in self._renaming else node
        if node not in self._renamed:
            self._renamed[node] = node.having(map(self._all_of, node.children))
        return self._renamed[node]

    def _output(self, symbol: str, node: Tree, inherited: Attribute) -> Attribute | None:
        return self._attributes.evaluate(symbol, node, inherited).output

    def _around(self, above: Spot, position: int, child: Tree) -> Tree:
        """Return the node above with a new child, and others renamed as far as they have to be.

        Those before it follow, one by one, where the new child does not apply to what came; those
        behind it where they do not apply any more. Where this is not enough, all are renamed.
        """
        way = self._attributes.way(above.symbol, above.node)
        assert way is not None
        children = self._attributes.children(way, above.node)
        states = list(self._states(way.flow, above.inherited, children))
        run = [child]
        for first in range(position, -1, -1):
            if first < position:
                run.insert(0, self._all_of(children[first][2]))
            state = states[first]
            for node, (symbol, place, _) in zip(run, children[first:], strict=False):
                state = self._after(way.flow, state, (symbol, place), node)
                if state is None:
                    break
            else:
                before = [each for _, _, each in children[:first]]
                behind = self._behind(way.flow, state, children[position + 1 :])
                if behind is None:
                    break
                found = Tree(above.node.label, (*before, *run, *behind))
                if self._attributes.derives(above.symbol, found):
                    return found
                break
        return self._all_of(above.node)

    def _states(
        self, flow: Flow, inherited: Attribute, children: Sequence[tuple[str, Place, Tree]]
    ) -> Iterator[Attribute]:
        """Yield the state before each child, as things are."""
        state: Attribute | None = flow.start(inherited)
        for symbol, place, node in children:
            assert state is not None
            yield state
            state = self._after(flow, state, (symbol, place), node)

    def _after(
        self, flow: Flow, state: Attribute, what: tuple[str, Place], node: Tree
    ) -> Attribute | None:
        """Return the state after a child; None where it cannot stand."""
        symbol, place = what
        given = flow.enter(state, place)
        output = None if given is None else self._output(symbol, node, given)
        return None if output is None else flow.advance(state, output, place)

    def _behind(
        self, flow: Flow, state: Attribute, children: Sequence[tuple[str, Place, Tree]]
    ) -> list[Tree] | None:
        """Return the children as they are, or renamed where they do not apply any more."""
        found: list[Tree] = []
        for symbol, place, node in children:
            for each in (node, self._all_of(node)):
                after = self._after(flow, state, (symbol, place), each)
                if after is not None:
                    break
            else:
                return None
            state = after
            found.append(each)
        return found


def _n_changed(before: Tree, after: Tree) -> int:
    """Count the operations that differ in two trees of one form."""
    if before is after:
        return 0
    if not before.children:
        return int(before.label != after.label)
    return sum(map(_n_changed, before.children, after.children))
