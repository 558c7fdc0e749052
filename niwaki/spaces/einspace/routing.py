"""Routing: tensors rearranged, between the two modes and within them."""

from functools import lru_cache

from niwaki.core.errors import SpaceError
from niwaki.spaces.einspace.attributes import (
    Grid,
    Shape,
    Typed,
    effect,
    given_as,
    is_image,
    require_amounts,
)
from niwaki.spaces.grammar.grammar import Effect


def identity(given: Typed) -> Effect:
    """Give what came."""
    return Effect(given)


def im2col(given: Typed, k: int, s: int, p: int) -> Effect | str:
    """Turn the patches of an image into tokens: (C, H, W) to (h w, C k k)."""
    require_amounts(k=k, s=s)
    require_amounts(0, p=p)
    shape, _ = given_as(given)
    if not is_image(shape):
        return "im2col wants an image"
    channels, height, width = shape
    if min(height, width) + 2 * p < k:
        return f"patches of {k} x {k} are larger than an image of {height} x {width}"
    h, w = patches_along(height, k, s, p), patches_along(width, k, s, p)
    return effect((h * w, channels * k * k), (0, h, w))


def patches_along(size: int, k: int, s: int, p: int) -> int:
    """Return how many windows of `k` fit in `size`, in steps of `s`, with `p` zeros around."""
    return (size + 2 * p - k) // s + 1


def col2im(given: Typed) -> Effect | str:
    """Turn tokens back into an image: (h w, D) to (D, h, w)."""
    shape, grid = given_as(given)
    if is_image(shape) or grid is None or len(grid) != 3 or grid[0] != 0:
        return "col2im wants tokens that stand for the pixels of an image"
    _, h, w = grid
    if shape[0] != h * w:
        return f"{shape[0]} tokens are not {h} x {w} pixels"
    return effect((shape[1], h, w), None)


def permute(given: Typed, order: int) -> Effect | str:
    """Reorder axes: digit i of `order` names the axis, from 1, that becomes axis i."""
    shape, grid = given_as(given)
    axes = axes_of(order)
    if len(axes) != len(shape):
        return f"a permutation of {len(axes)} axes does not fit {len(shape)}"
    return effect(tuple(shape[axis] for axis in axes), _moved(grid, axes))


@lru_cache(maxsize=64)
def axes_of(order: int) -> tuple[int, ...]:
    """Return the axes, from 0, that a permutation's digits name.

    Raises:
        SpaceError: If they are no permutation.
    """
    axes = tuple(int(digit) - 1 for digit in str(order) if digit.isdigit())
    if sorted(axes) != list(range(len(str(order)))):
        raise SpaceError("each axis has its digit in `order`, counted from 1, as in 213")
    return axes


def _moved(grid: Grid, axes: Shape) -> Grid:
    return None if grid is None else (axes.index(grid[0]), *grid[1:])
