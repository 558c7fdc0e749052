"""Blueprints: what modules a network is built from, in order, before any is built.

A tree says what is computed; a blueprint says by which modules, with everything fused and left out
that can be. It is arithmetic only, so that parameters, multiply-accumulates and memory are known,
and layers can be named, where no network exists yet.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import NamedTuple, TypeAlias, cast

Setting: TypeAlias = "bool | int | float | str | tuple[int, ...] | tuple[Shape, ...]"
Shape: TypeAlias = tuple[int, ...]

_DIGEST_BYTES = 16
CONVOLUTION = "conv"
LINEAR = "linear"


class Piece(NamedTuple):
    """One module.

    Attributes:
        kind: Which; `niwaki.spaces.einspace.build` has a factory for each.
        gives: Shape of its output as it lies in memory, without the batch.
        settings: Arguments of the factory.
        parameters: Trained numbers.
        weights: Those of them that are elements of a weight matrix or kernel.
        macs: Multiply-accumulates of one example.
        view: Whether its output shares the memory of its input.
        inside: Numbers of one example that it keeps beside its output while it runs.
    """

    kind: str
    gives: Shape
    settings: tuple[tuple[str, Setting], ...] = ()
    parameters: int = 0
    weights: int = 0
    macs: int = 0
    view: bool = False
    inside: int = 0

    @property
    def elements(self) -> int:
        """Numbers that take new memory: in its output, and inside."""
        return self.inside + (0 if self.view else math.prod(self.gives))

    def setting(self, name: str) -> Setting:
        """Return one argument of the factory."""
        return dict(self.settings)[name]

    def sizes(self, name: str) -> Shape:
        """Return one argument of the factory that is a shape, or axes."""
        value = self.setting(name)
        assert isinstance(value, tuple)
        return cast(Shape, value)


@dataclass(frozen=True)
class Line:
    """Modules one after another.

    Attributes:
        pieces: In order; none at all hands on what comes.
        given: Shape of the input as it lies in memory.
    """

    pieces: tuple["Piece | Fork", ...]
    given: Shape

    @cached_property
    def gives(self) -> Shape:
        """Shape of the output."""
        return self.pieces[-1].gives if self.pieces else self.given

    @cached_property
    def totals(self) -> "Totals":
        """Sums over everything in it."""
        return Totals.of(_totals(piece) for piece in self.pieces)

    @cached_property
    def name(self) -> str:
        """Thirty-two hexadecimal digits, the same for lines of the same modules."""
        return _digest(self.given, *map(_named, self.pieces))

    @cached_property
    def shares_input(self) -> bool:
        """Whether the output is in the memory of the input."""
        return all(map(_shares_input, self.pieces))

    @cached_property
    def peak(self) -> int:
        """Most numbers alive at once while it runs, its input among them until it is read."""
        return self._peak(0)

    @cached_property
    def peak_beside(self) -> int:
        """Most numbers alive at once beside its input, which stays for others to read."""
        given = math.prod(self.given)
        return self._peak(given) - given

    def _peak(self, stays: int) -> int:
        """Return the most numbers alive at once, if so many of the input's stay to the end."""
        size = most = math.prod(self.given)
        kept = 0  # beside the last output
        for piece in self.pieces:
            inside = piece.peak(size) if isinstance(piece, Fork) else size + piece.elements
            most = max(most, kept + inside)
            if not _shares_input(piece):
                kept = stays
            size = math.prod(piece.gives)
        return most


@dataclass(frozen=True)
class Fork:
    """A split, branches side by side, and a join.

    Attributes:
        split: Gives each branch its input.
        branches: As many as there are; equal ones are one object, built as often as it stands here.
        join: Makes one of their outputs.
    """

    split: Piece
    branches: tuple[Line, ...]
    join: Piece

    @property
    def gives(self) -> Shape:
        """Shape of the output."""
        return self.join.gives

    @cached_property
    def totals(self) -> "Totals":
        """Sums over everything in it."""
        parts = [_totals(self.split), *(line.totals for line in self.branches), _totals(self.join)]
        return Totals.of(parts)

    @cached_property
    def name(self) -> str:
        """Thirty-two hexadecimal digits, the same for forks of the same modules."""
        branches = (line.name for line in self.branches)
        return _digest(_named(self.split), *branches, _named(self.join))

    def peak(self, size: int) -> int:
        """Return the most numbers alive at once while it runs, `size` of its input included.

        The input stays until the last branch has read it, each output until the join; in a cell,
        until it is added to the sum of its node.
        """
        if self.join.kind == "cell":
            return self._peak_of_cell(size)
        kept = most = size + self.split.elements
        for line in self.branches:
            most = max(most, kept + line.peak_beside)
            kept += 0 if line.shares_input else math.prod(line.gives)
        return max(most, kept + self.join.elements)

    def _peak_of_cell(self, size: int) -> int:
        kept = most = size
        edges = iter(self.branches)
        n_nodes = self.join.setting("n_nodes")
        assert isinstance(n_nodes, int)
        for n_before in range(1, n_nodes):
            total = 0  # numbers of the node's sum so far, beside those of nodes
            for number, line in enumerate(islice(edges, n_before)):
                gives = math.prod(line.gives)
                term = 0 if line.shares_input else gives
                most = max(most, kept + total + line.peak_beside)
                if number:
                    most = max(most, kept + total + term + gives)
                total = gives if number else term
            kept += total
        return most


class Totals(NamedTuple):
    """Sums over a part of a blueprint.

    Attributes:
        parameters: Trained numbers.
        macs: Multiply-accumulates of one example.
        elements: Numbers in all outputs of one example: what training keeps.
    """

    parameters: int = 0
    macs: int = 0
    elements: int = 0

    @classmethod
    def of(cls, parts: Iterable["Totals"]) -> "Totals":
        """Add up some."""
        return cls(*map(sum, zip(cls(), *parts, strict=True)))


@dataclass(frozen=True)
class Answer:
    """The end of the network for one task.

    Attributes:
        task: Name of the task.
        branch: What is computed for this task alone, from the common features on.
        head: From features to the answer.
    """

    task: str
    branch: Line
    head: Line


@dataclass(frozen=True)
class Blueprint:
    """A whole network.

    Attributes:
        body: What all tasks share.
        answers: One per task, in the order of the outputs.
    """

    body: Line
    answers: tuple[Answer, ...] = field(default=())

    @cached_property
    def totals(self) -> Totals:
        """Sums over the whole network."""
        ends = [each.totals for answer in self.answers for each in (answer.branch, answer.head)]
        return Totals.of([self.body.totals, *ends])

    @cached_property
    def name(self) -> str:
        """Thirty-two hexadecimal digits, the same for networks of the same modules."""
        ends = ((each.task, each.branch.name, each.head.name) for each in self.answers)
        return _digest(self.body.name, *ends)

    @cached_property
    def peak(self) -> int:
        """Most numbers of one example alive at once while it runs."""
        most = self.body.peak
        common, given = math.prod(self.body.gives), 0
        for answer in self.answers:
            end = Line((*answer.branch.pieces, *answer.head.pieces), answer.branch.given)
            last = answer is self.answers[-1]
            most = max(most, given + (end.peak if last else common + end.peak_beside))
            given += math.prod(end.gives)
        return most

    def layers(self) -> tuple["LayerRow", ...]:
        """Return the layers that can run in int8, in order of execution."""
        rows = list(_rows(self.body, "body"))
        for answer in self.answers:
            rows += _rows(answer.branch, f"branches.{answer.task}_branch")
            rows += _rows(answer.head, f"heads.{answer.task}_head")
        return tuple(rows)


def _shares_input(piece: Piece | Fork) -> bool:
    return isinstance(piece, Piece) and piece.view


def _named(piece: Piece | Fork) -> object:
    return piece.name if isinstance(piece, Fork) else piece


def _digest(*parts: object) -> str:
    return hashlib.blake2b(repr(parts).encode(), digest_size=_DIGEST_BYTES).hexdigest()


@dataclass(frozen=True)
class LayerRow:
    """A layer that can run in int8.

    Attributes:
        path: Qualified name of its module, and of its node in the exported graph.
        kind: `conv` or `linear`.
        n_inputs: Channels or features that it reads.
        n_outputs: Channels or features that it gives.
        n_weights: Elements of its weight.
        params: Weight and bias.
        macs: Multiply-accumulates of one example.
    """

    path: str
    kind: str
    n_inputs: int
    n_outputs: int
    n_weights: int
    params: int
    macs: int


LAYER_KINDS = {"conv1d": CONVOLUTION, "conv2d": CONVOLUTION, "linear": LINEAR}


def _totals(piece: Piece | Fork) -> Totals:
    if isinstance(piece, Fork):
        return piece.totals
    return Totals(piece.parameters, piece.macs, piece.elements)


def _rows(line: Line, path: str) -> Iterator[LayerRow]:
    for index, piece in enumerate(line.pieces):
        here = f"{path}.{index}"
        if isinstance(piece, Fork):
            if piece.split.kind == "router":
                yield _router_row(piece.split, f"{here}.split.gate")
            for number, branch in enumerate(piece.branches):
                yield from _rows(branch, f"{here}.branches.{number}")
        elif piece.kind in LAYER_KINDS:
            n_inputs, n_outputs = piece.setting("n_inputs"), piece.setting("n_outputs")
            assert isinstance(n_inputs, int) and isinstance(n_outputs, int)
            yield LayerRow(
                here, LAYER_KINDS[piece.kind], n_inputs, n_outputs,
                piece.weights, piece.parameters, piece.macs,
            )  # fmt: skip


def _router_row(piece: Piece, path: str) -> LayerRow:
    n_inputs, n_outputs = piece.setting("width"), piece.setting("n")
    assert isinstance(n_inputs, int) and isinstance(n_outputs, int)
    return LayerRow(path, LINEAR, n_inputs, n_outputs, piece.weights, piece.parameters, piece.macs)
