"""Derivation trees: immutable, flattened, shared where they are equal."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from operator import is_

from niwaki.core.candidate import Value
from niwaki.core.errors import SpaceError
from niwaki.core.excerpt import excerpt

TreePath = tuple[int, ...]

DEEPEST = 100  # levels of nesting that any budget allows


@dataclass(frozen=True, eq=False, slots=True)
class Tree:
    """A node and what is below it.

    A leaf is an operation, spelled with its parameters: `linear(d=64)`. An inner node is the label
    of a production with its children. Productions that only rename (`M -> C`) leave no node, and a
    sequence within a sequence is one longer sequence, so trees are shallow and have one spelling.

    Attributes:
        label: Spelled operation, or label of a production.
        children: Empty for a leaf. A repeated child is stored once.
        n_leaves: Leaves below, a repeated child counted once.
    """

    label: str
    children: tuple["Tree", ...] = ()
    n_leaves: int = field(init=False)
    n_nodes: int = field(init=False)
    _hash: int = field(init=False)
    _value: Value = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        n_leaves, n_nodes = 0, 1
        hashes: list[object] = [self.label]
        for child in self.children:
            n_leaves += child.n_leaves
            n_nodes += child.n_nodes
            hashes.append(child._hash)
        object.__setattr__(self, "n_leaves", n_leaves or 1)
        object.__setattr__(self, "n_nodes", n_nodes)
        object.__setattr__(self, "_hash", hash(tuple(hashes)))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return (
            isinstance(other, Tree)
            and self._hash == other._hash
            and self.label == other.label
            and self.children == other.children
        )

    def __str__(self) -> str:
        if not self.children:
            return self.label
        return f"{self.label}({', '.join(str(child) for child in self.children)})"

    @property
    def shown(self) -> str:
        """Text for messages, cut short: trees may fill pages."""
        return excerpt(str(self))

    def __reduce__(self) -> tuple[type["Tree"], tuple[str, tuple["Tree", ...]]]:
        return Tree, (self.label, self.children)

    @property
    def depth(self) -> int:
        """Longest way down to a leaf; 0 for a leaf."""
        return 1 + max(child.depth for child in self.children) if self.children else 0

    def walk(self, path: TreePath = ()) -> Iterator[tuple[TreePath, "Tree"]]:
        """Yield every position and its node, parents first."""
        yield path, self
        for position, child in enumerate(self.children):
            yield from child.walk((*path, position))

    def at(self, path: TreePath) -> "Tree":
        """Return the node at `path`."""
        node = self
        for position in path:
            node = node.children[position]
        return node

    def replaced(self, path: TreePath, node: "Tree") -> "Tree":
        """Return this tree with another node at `path`."""
        if not path:
            return node
        position = path[0]
        child = self.children[position].replaced(path[1:], node)
        return Tree(self.label, (*self.children[:position], child, *self.children[position + 1 :]))

    def having(self, children: Iterable["Tree"]) -> "Tree":
        """Return this node with other children; itself if they are those that it has."""
        others = tuple(children)
        as_it_is = len(others) == len(self.children) and all(map(is_, others, self.children))
        return self if as_it_is else Tree(self.label, others)

    def distinct(self) -> int:
        """Number of different subtrees: what a shared tree takes in memory."""
        return len({node for _, node in self.walk()})

    def to_value(self) -> Value:
        """Return the tree as nested tuples: a string for a leaf, (label, child, ...) else."""
        if not self.children:
            return self.label
        if self._value is None:  # kept, for trees have most of their subtrees in common
            value = (self.label, *[child.to_value() for child in self.children])
            object.__setattr__(self, "_value", value)
        return self._value

    def to_json(self) -> str:
        """Return the tree as JSON: a string for a leaf, [label, child, ...] else."""
        return json.dumps(self.to_value(), separators=(",", ":"))


def tree_from_value(value: object) -> Tree:
    """Read nested tuples or lists, sharing subtrees that are equal.

    Raises:
        SpaceError: If `value` is not a string, or a label followed by children, or nests deeper
            than any budget allows.
    """
    return _from_value(value, {}, 0)


def tree_from_json(text: str) -> Tree:
    """Read what `Tree.to_json` wrote.

    Raises:
        SpaceError: If the text is not JSON, or not of a tree.
    """
    try:
        return tree_from_value(json.loads(text))
    except (json.JSONDecodeError, RecursionError) as error:
        raise SpaceError(f"a tree in JSON was wanted, but it cannot be read: {error}") from error


def shared(tree: Tree, pool: dict[Tree, Tree]) -> Tree:
    """Return an equal tree in which equal subtrees are one object, that of `pool` if it is there.

    Args:
        tree: Of any form.
        pool: Trees by themselves; what is missing is added. Trees of one pool compare quickly.
    """
    found = pool.get(tree)
    if found is None:
        found = pool[tree] = tree.having([shared(child, pool) for child in tree.children])
    return found


def _from_value(value: object, pool: dict[Tree, Tree], depth: int) -> Tree:
    if depth > DEEPEST:
        raise SpaceError(f"the tree nests deeper than {DEEPEST} levels, which no budget allows")
    if isinstance(value, str):
        leaf = Tree(value)
        return pool.setdefault(leaf, leaf)
    if isinstance(value, tuple | list) and len(value) > 1 and isinstance(value[0], str):
        node = Tree(value[0], tuple(_from_value(child, pool, depth + 1) for child in value[1:]))
        return pool.setdefault(node, node)
    raise SpaceError(
        f"a tree is a string, or a label followed by its children, but {excerpt(repr(value))} "
        "came: write ['seq', 'relu', 'linear(d=64)']"
    )
