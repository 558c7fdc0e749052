"""What a tensor looks like to einspace: its shape, and the pixels that its tokens came from."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

from niwaki.core.errors import SpaceError
from niwaki.spaces.grammar.grammar import Effect

# (C, H, W) is an image, (S, D) are S tokens of D features each; the batch is left out.
Shape: TypeAlias = tuple[int, ...]
# Which axis runs over the positions of an image or of a sequence, and their extents: (0, H, W) or
# (0, L). None for images, and for tokens that stand for no positions any more.
Grid: TypeAlias = tuple[int, ...] | None
Typed: TypeAlias = tuple[Shape, Grid]


def is_image(shape: Shape) -> bool:
    """Whether a tensor of this shape is in image mode."""
    return len(shape) == 3


def features(shape: Shape) -> int:
    """Return the channels of an image, or the features of a token."""
    return shape[0] if is_image(shape) else shape[1]


def effect(shape: Shape, grid: Grid, parameters: int = 0, macs: int = 0) -> Effect:
    """Return the effect of an operation that gives one tensor."""
    return Effect((shape, grid), parameters, macs, math.prod(shape))


def without_axis(grid: Grid, axis: int) -> Grid:
    """Return the grid, or None if its positions lay along `axis`, which has changed its meaning."""
    return None if grid is not None and grid[0] == axis else grid


def common_grid(grids: Sequence[Grid]) -> Grid:
    """Return the one grid that tensors which are joined know of; None if they know of several."""
    known = {grid for grid in grids if grid is not None}
    return known.pop() if len(known) == 1 else None


@lru_cache(maxsize=4_096)
def shape_of(attribute: object) -> Shape:
    """Return the shape in an attribute: a shape itself, or a shape with its grid.

    Raises:
        SpaceError: If the attribute is of another kind, so that no network can be built for it.
    """
    found = attribute
    if isinstance(attribute, tuple) and attribute and isinstance(attribute[0], tuple):
        found = attribute[0]
    if isinstance(found, tuple) and found and all(isinstance(size, int) for size in found):
        return found
    raise SpaceError(
        f"a network can be built for shapes, (c, h, w) or (s, d), but the attribute {attribute!r} "
        "came: let `input` and the attribute rules speak of shapes"
    )


def typed(attribute: object) -> Typed:
    """Return an attribute as a shape with its grid; there is none where only a shape is known.

    Raises:
        SpaceError: If the attribute is of another kind.
    """
    shape = shape_of(attribute)
    has_grid = isinstance(attribute, tuple) and attribute[0] == shape and len(attribute) == 2
    return (shape, attribute[1] if has_grid else None)  # type: ignore[index]
