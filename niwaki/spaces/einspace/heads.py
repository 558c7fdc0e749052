"""Heads: from features to one task's answer."""

import math
from typing import Literal, TypeAlias

from niwaki.core.errors import SpaceError
from niwaki.spaces.einspace.attributes import Shape, Typed
from niwaki.spaces.einspace.blueprint import Line
from niwaki.spaces.einspace.layout import IMAGE, MAP, TOKENS, Layout, Tape
from niwaki.spaces.einspace.lowering import write_convolution, write_linear
from niwaki.spaces.heads import Head, HeadKind

HeadStyle: TypeAlias = Literal["standardised", "plain", "published"]


def require_style(heads: str) -> None:
    """Raise a SpaceError unless this is a style of heads that settings may name."""
    if heads not in ("standardised", "plain"):
        raise SpaceError(f"heads are 'standardised' or 'plain', but {heads!r} came")


def write_head(
    features: tuple[Layout, Typed], head: Head, sides: Shape, *, style: HeadStyle = "plain"
) -> Line:
    """Return the head of one task.

    Vectors come from the mean over all positions: pixels of an image, or tokens. Maps come from a
    convolution of one pixel where features stand for positions, enlarged to the input's size.

    Means over positions hardly differ between examples in most random networks, so that a linear
    layer learns nothing from them in any reasonable time. Standardised, each feature has the mean 0
    and the deviation 1 over a batch.

    Args:
        features: How they lie in memory, and what they mean.
        head: Of the task.
        sides: The input's extents, (h, w) or (l,).
        style: `standardised`: features of vectors are standardised. `plain`: they are taken as
            they are. `published`: tokens are averaged over their features, and classified by
            position; maps are pooled to the input's size first.

    References:
        Ericsson et al., NeurIPS 2024, and the code that came with it, for the published head.
        Ioffe and Szegedy, ICML 2015, "Batch normalization", for statistics in training and after
        it: ours has no scale and offset of its own, which the linear layer has.
    """
    layout, (_, grid) = features
    tape = Tape(layout)
    if head.kind is HeadKind.VECTOR:
        _write_vector(tape, head, style)
    elif style == "published":
        _write_published_map(tape, head, sides)
    else:
        _write_map(tape, head, sides, _positions(layout, grid, len(sides)))
    return tape.line()


def _write_vector(tape: Tape, head: Head, style: HeadStyle) -> None:
    layout = tape.layout
    features = layout.features_axis
    positions = tuple(axis for axis in range(len(layout.shape)) if axis != features)
    over = (features,) if style == "published" and layout.kind != IMAGE else positions
    kept = math.prod(size for axis, size in enumerate(layout.shape) if axis not in over)
    flat = len(over) == len(layout.shape) - 1
    tape.put("mean", Layout(TOKENS, (kept,)), settings=(("axes", over), ("flat", flat)))
    if style == "standardised":
        tape.put("standardise", tape.layout, settings=(("n", kept),))
    write_linear(tape, head.n_outputs)


def _positions(layout: Layout, grid: Shape | None, n_axes: int) -> Shape | None:
    """Return the extents that the features' positions have, if there are as many as axes."""
    if layout.kind != TOKENS:
        return layout.shape[1:] if len(layout.shape) == n_axes + 1 else None
    return grid[1:] if grid is not None and grid[0] == 0 and len(grid) == n_axes + 1 else None


def _write_map(tape: Tape, head: Head, sides: Shape, positions: Shape | None) -> None:
    layout = tape.layout
    if positions is None:
        _write_as_picture(tape, len(sides))
        _write_resized(tape, sides)
        write_convolution(tape, head.n_outputs, (1, 1, 0))
        return
    if layout.kind == TOKENS:
        image = Layout(MAP, (layout.shape[1], *positions))
        tape.put("to_image", image, view=True, settings=(("shape", image.shape),))
    write_convolution(tape, head.n_outputs, (1, 1, 0))
    _write_resized(tape, sides)


def _write_as_picture(tape: Tape, n_axes: int) -> None:
    """Take tokens that stand for no positions for one picture, or for one sequence."""
    if n_axes == 1:
        tape.as_sequence()
        return
    tape.as_tokens()
    picture = Layout(MAP, (1, *tape.layout.shape))
    tape.put("reshape", picture, view=True, settings=(("shape", picture.shape),))


def _write_resized(tape: Tape, sides: Shape) -> None:
    layout = tape.layout
    if layout.shape[1:] != sides:
        gives = Layout(MAP, (layout.shape[0], *sides))
        tape.put("resize", gives, settings=(("sides", sides),))


def _write_published_map(tape: Tape, head: Head, sides: Shape) -> None:
    if tape.layout.kind != IMAGE:
        _write_as_picture(tape, len(sides))
    gives = Layout(MAP, (tape.layout.shape[0], *sides))
    tape.put("pool", gives, settings=(("sides", sides),))
    write_convolution(tape, head.n_outputs, (1, 1, 0))
