"""From branchings to forks: splits, branches and joins of a blueprint."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from niwaki.core.errors import SpaceError
from niwaki.spaces.einspace.blueprint import Fork, Line, Piece
from niwaki.spaces.einspace.layout import IMAGE, MAP, TOKENS, Layout, Tape
from niwaki.spaces.grammar.grammar import Operation


@dataclass(frozen=True)
class Branch:
    """A branch that has been written.

    Attributes:
        tape: Where.
        copies: How often it is built.
    """

    tape: Tape
    copies: int


def split(tape: Tape, operation: Operation) -> tuple[Piece, Layout]:
    """Return the piece that splits, and the layout that each branch begins with.

    Raises:
        SpaceError: If nobody knows how to build it.
    """
    if operation.terminal not in SPLITS:
        raise without_module(operation)
    parameters = dict(operation.parameters)
    n = int(parameters["b"])
    if operation.terminal == "clone":
        return Piece("clone", tape.layout.shape, (("n", n),), view=True), tape.layout
    if operation.terminal == "router":
        layout = tape.layout
        width = layout.shape[layout.features_axis]
        settings = (("n", n), ("width", width), ("axis", layout.features_axis))
        gate = Piece("router", layout.shape, settings, (width + 1) * n, width * n, width * n, True)
        return gate, layout
    return _chunks(tape, int(parameters["dim"]), n)


def without_module(operation: Operation) -> SpaceError:
    """Return what to say of an operation that nobody knows how to build."""
    name = operation.terminal
    return SpaceError(
        f"'{name}' has no module: say what makes it, "
        f"`terminal {name} = package.rules:name builds package.layers:name`"
    )


def _chunks(tape: Tape, dim: int, n: int) -> tuple[Piece, Layout]:
    axis = _axis(tape, dim)
    layout = tape.layout
    shape = (*layout.shape[:axis], layout.shape[axis] // n, *layout.shape[axis + 1 :])
    return Piece("chunk", shape, (("n", n), ("axis", axis)), view=True), Layout(layout.kind, shape)


def _axis(tape: Tape, dim: int) -> int:
    """Return the axis in memory of an axis, from 1, of the meaning; a map only knows features."""
    if tape.layout.kind == MAP and dim == 2:
        return 0
    tape.as_tokens()
    return dim - 1


def join(split_by: Piece, branches: Sequence[Branch], operation: Operation) -> tuple[Fork, Layout]:
    """Return the fork with its join, and the layout of what it gives.

    Raises:
        SpaceError: If nobody knows how to build it.
    """
    if operation.terminal not in JOINS:
        raise without_module(operation)
    piece, layout = JOINS[operation.terminal](branches, operation)
    lines: list[Line] = []
    for branch in branches:
        lines += [branch.tape.line()] * branch.copies
    return Fork(split_by, tuple(lines), piece), layout


def cell(nodes: Sequence[Layout], edges: Sequence[Branch]) -> Fork:
    """Return the fork of a directed acyclic graph: its edges, and sums at its nodes."""
    start, _, *inner, last = nodes  # one edge leads to the second node: its output is no sum
    inside = sum(math.prod(layout.shape) for layout in inner)
    join_by = Piece("cell", last.shape, (("n_nodes", len(nodes)),), inside=inside)
    lines = tuple(edge.tape.line() for edge in edges)
    return Fork(Piece("clone", start.shape, (("n", 1),), view=True), lines, join_by)


def alike(branches: Sequence[Branch]) -> Layout:
    """Bring what branches give into one layout, if their meanings are one."""
    layouts = {branch.tape.layout for branch in branches}
    if len(layouts) > 1:
        for branch in branches:
            branch.tape.as_tokens()
    return branches[0].tape.layout


def _add(branches: Sequence[Branch], operation: Operation) -> tuple[Piece, Layout]:  # noqa: ARG001
    layout = alike(branches)
    return Piece("add", layout.shape), layout


def _mix(branches: Sequence[Branch], operation: Operation) -> tuple[Piece, Layout]:  # noqa: ARG001
    layout = alike(branches)
    return Piece("mix", layout.shape), layout


def _gate(branches: Sequence[Branch], operation: Operation) -> tuple[Piece, Layout]:
    layout = alike(branches)
    by = dict(operation.parameters)["by"]
    return Piece("gate", layout.shape, (("by", str(by)),)), layout


def _concat(branches: Sequence[Branch], operation: Operation) -> tuple[Piece, Layout]:
    dim = int(dict(operation.parameters)["dim"])
    layouts = [branch.tape.layout for branch in branches for _ in range(branch.copies)]
    positions = {layout.shape[1:] for layout in layouts if layout.kind == MAP}
    if all(layout.kind == MAP for layout in layouts) and dim == 2 and len(positions) == 1:
        axis = 0
    else:
        for branch in branches:
            branch.tape.as_tokens()
        layouts = [branch.tape.layout for branch in branches for _ in range(branch.copies)]
        axis = dim - 1
    total = sum(layout.shape[axis] for layout in layouts)
    first = layouts[0]
    shape = (*first.shape[:axis], total, *first.shape[axis + 1 :])
    return Piece("concat", shape, (("axis", axis),)), Layout(first.kind, shape)


def _matmul(branches: Sequence[Branch], operation: Operation) -> tuple[Piece, Layout]:
    for branch in branches:
        branch.tape.as_tokens()
    first, second = (b.tape.layout.shape for b in branches for _ in range(b.copies))
    shape = (*first[:-1], second[-1])
    n = math.prod(first)
    kind = IMAGE if len(shape) == 3 else TOKENS
    scaled = bool(dict(operation.parameters)["scaled"])
    settings = (("scale", first[-1] if scaled else 0),)
    return Piece("product", shape, settings, macs=n * second[-1]), Layout(kind, shape)


SPLITS = frozenset(("clone", "router", "group"))
JOINS: Mapping[str, Callable[[Sequence[Branch], Operation], tuple[Piece, Layout]]] = (
    MappingProxyType(
        {"add": _add, "concat": _concat, "matmul": _matmul, "gate": _gate, "mix": _mix}
    )
)
