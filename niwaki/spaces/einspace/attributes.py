"""What a tensor looks like to einspace: its shape, and the pixels that its tokens came from."""

import math
from collections.abc import Sequence
from typing import TypeAlias

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
