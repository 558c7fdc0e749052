"""How a tensor lies in memory while its tree only says what it means.

Tokens that stand for positions are kept as a map, features first, for as long as every operation on
them has a module that works on maps: linear layers become convolutions of one pixel, and nothing is
transposed. Other operations get them as tokens, features last.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

from niwaki.spaces.einspace.attributes import Shape, Typed, is_image
from niwaki.spaces.einspace.blueprint import Fork, Line, Piece, Setting

IMAGE = "image"  # (C, H, W)
MAP = "map"  # (D, H, W) or (D, L): tokens, their features first
TOKENS = "tokens"  # (S, D)

ELEMENTWISE = frozenset({"relu"})  # one number from each number, without weights
REORDERINGS = frozenset({"permute", "transpose", "to_tokens", "flatten", "to_image", "reshape"})


class Layout(NamedTuple):
    """One tensor.

    Attributes:
        kind: `IMAGE`, `MAP` or `TOKENS`.
        shape: As it lies in memory, without the batch.
    """

    kind: str
    shape: Shape

    @property
    def meaning(self) -> Shape:
        """The shape that trees speak of."""
        if self.kind == MAP:
            return (math.prod(self.shape[1:]), self.shape[0])
        return self.shape

    @property
    def features_axis(self) -> int:
        """Axis of channels or features, counted from 0 without the batch."""
        return 1 if self.kind == TOKENS else 0

    def with_features(self, n: int) -> "Layout":
        """Return the layout with another number of channels or features."""
        axis = self.features_axis
        return Layout(self.kind, (*self.shape[:axis], n, *self.shape[axis + 1 :]))


def plain(shape: Shape) -> Layout:
    """Return the layout that modules outside of einspace are given: images, or tokens."""
    return Layout(IMAGE if is_image(shape) else TOKENS, shape)


def first_layout(given: Typed) -> Layout:
    """Return how a network's input lies in memory: as data do, channels first."""
    shape, grid = given
    if is_image(shape):
        return Layout(IMAGE, shape)
    return Layout(MAP, (shape[1], *(grid[1:] if grid else shape[:1])))


class Tape:
    """Pieces being written one after another, with the layout of what comes out of the last."""

    def __init__(self, layout: Layout) -> None:
        self._given = layout.shape
        self._pieces: list[Piece | Fork] = []
        self._patches: tuple[int, int, int] | None = None
        self._layout = layout
        self._line: Line | None = None

    def copy(self) -> "Tape":
        """Return a tape of its own that goes on from here."""
        copy = Tape(self._layout)
        copy._given, copy._pieces, copy._patches = self._given, [*self._pieces], self._patches
        copy._line = self._line
        return copy

    @property
    def layout(self) -> Layout:
        """Layout of what comes out of the last piece."""
        self._settle()
        return self._layout

    def line(self) -> Line:
        """Return what was written."""
        self._settle()
        if self._line is None:  # one object, which remembers its sums
            self._line = Line(tuple(self._pieces), self._given)
        return self._line

    def put(
        self,
        kind: str,
        layout: Layout,
        *,
        parameters: int = 0,
        weights: int = 0,
        macs: int = 0,
        view: bool = False,
        inside: int = 0,
        settings: Iterable[tuple[str, Setting]] = (),
    ) -> None:
        """Write a piece that gives `layout`."""
        self._settle()
        piece = Piece(kind, layout.shape, tuple(settings), parameters, weights, macs, view, inside)
        if kind in ELEMENTWISE:
            self._write_early(piece)
        elif kind in ("permute", "transpose") and self._ends_with(kind):
            self._write_composed(piece, layout)
        else:
            self._write(piece, layout)

    def fork(self, fork: Fork, layout: Layout) -> None:
        """Write a fork that gives `layout`."""
        self._settle()
        if layout == self._layout and (pieces := _same_for_all_parts(fork)) is not None:
            for piece in pieces:
                self._write_early(piece)
        else:
            self._write(fork, layout)

    def _ends_with(self, kind: str) -> bool:
        last = self._pieces[-1] if self._pieces else None
        return isinstance(last, Piece) and last.kind == kind

    def _write_early(self, piece: Piece) -> None:
        """Write an elementwise piece before reorderings, which may then meet and cancel."""
        place = len(self._pieces)
        while place and _reorders(self._pieces[place - 1]):
            place -= 1
        given = self._pieces[place - 1].gives if place else self._given
        self._pieces.insert(place, piece._replace(gives=given))
        self._line = None

    def _write_composed(self, piece: Piece, layout: Layout) -> None:
        """Write a reordering of axes behind another of its kind: both are one, or none."""
        last = self._pieces.pop()
        assert isinstance(last, Piece)
        self._layout, self._line = layout, None
        if piece.kind == "transpose":
            return
        first, second = last.sizes("axes"), piece.sizes("axes")
        axes = tuple(first[axis] for axis in second)
        if axes != tuple(sorted(axes)):
            self._write(piece._replace(settings=(("axes", axes),)), layout)

    def _write(self, piece: Piece | Fork, layout: Layout) -> None:
        self._pieces.append(piece)
        self._layout = layout
        self._line = None

    def rename(self, layout: Layout) -> None:
        """Take what lies in memory for something else of as many numbers."""
        self._settle()
        self._layout = layout

    def patches(self, k: int, s: int, p: int) -> None:
        """Cut an image into patches; a linear layer that follows makes it a convolution."""
        self._settle()
        self._patches = (k, s, p)

    def take_patches(self) -> tuple[int, int, int] | None:
        """Return the patches that nothing has used yet: the caller makes a convolution of them."""
        taken, self._patches = self._patches, None
        return taken

    def _settle(self) -> None:
        """Write the patches that wait: as pixels where they are pixels, unfolded else."""
        if self._patches is None:
            return
        (k, s, p), self._patches = self._patches, None
        channels, height, width = self._layout.shape
        h, w = (height + 2 * p - k) // s + 1, (width + 2 * p - k) // s + 1
        gives = Layout(MAP, (channels * k * k, h, w))
        if (k, s, p) == (1, 1, 0):
            self._layout = gives
            return
        settings = (("k", k), ("s", s), ("p", p), ("h", h), ("w", w))
        self._write(Piece("patches", gives.shape, settings, view=k == 1), gives)

    def as_tokens(self) -> None:
        """Bring a map into the layout of tokens; leave all else alone."""
        layout = self.layout
        if layout.kind == MAP:
            self.put("to_tokens", Layout(TOKENS, layout.meaning), view=True)

    def as_sequence(self) -> None:
        """Bring tokens or a map into the layout of a map with one axis."""
        layout = self.layout
        n_tokens, width = layout.meaning
        if layout.kind == TOKENS:
            self.put("transpose", Layout(MAP, (width, n_tokens)), view=True)
        elif len(layout.shape) != 2:
            self.put("flatten", Layout(MAP, (width, n_tokens)), view=True)


def _reorders(piece: Piece | Fork) -> bool:
    return isinstance(piece, Piece) and piece.kind in REORDERINGS


def _same_for_all_parts(fork: Fork) -> tuple[Piece, ...] | None:
    """Return what a fork does to each number, if it cuts, treats all parts alike and joins them."""
    cuts = fork.split.kind == "chunk" and fork.join.kind == "concat"
    if not cuts or fork.split.setting("axis") != fork.join.setting("axis"):
        return None
    first, *others = fork.branches
    if any(line.name != first.name for line in others):
        return None
    pieces = tuple(piece for piece in first.pieces if isinstance(piece, Piece))
    simple = len(pieces) == len(first.pieces) and all(p.kind in ELEMENTWISE for p in pieces)
    return pieces if simple else None
