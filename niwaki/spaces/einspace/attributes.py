"""What a tensor looks like to einspace: its shape, and the pixels that its tokens came from."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias, TypeGuard

from niwaki.core.errors import SpaceError
from niwaki.core.excerpt import excerpt
from niwaki.spaces.grammar.grammar import Effect, ForeignAttributeError

# (C, H, W) is an image, (S, D) are S tokens of D features each; the batch is left out.
Shape: TypeAlias = tuple[int, ...]
# Which axis runs over the positions of an image or of a sequence, and their extents: (0, H, W) or
# (0, L). None for images, and for tokens that stand for no positions any more.
Grid: TypeAlias = tuple[int, ...] | None
Typed: TypeAlias = tuple[Shape, Grid]


# Branches of one split: more are a slip of the pen, and each would be held in memory.
MOST_BRANCHES = 4_096


def given_as(attribute: object) -> Typed:
    """Return what a rule of einspace is given: a shape with its grid.

    Raises:
        SpaceError: If the branches of a split came.
        ForeignAttributeError: If it is anything else, such as a shape alone.
    """
    if isinstance(attribute, tuple) and len(attribute) == 2:
        shape, grid = attribute
        if _are_sizes(shape) and (grid is None or (isinstance(grid, tuple) and len(grid) > 1)):
            return shape, grid
    if _are_branches(attribute):
        raise SpaceError(
            "the branches of a split came where one tensor was wanted: name the flow of the "
            "production, `label@branch: clone(b=2) M M add`"
        )
    raise ForeignAttributeError(
        f"rules of einspace speak of shapes with their grids, but {excerpt(repr(attribute))} came: "
        "write `input ((3, 32, 32), none)` for images, `input ((128, 4), (0, 128))` for sequences, "
        "in YAML `input: [[3, 32, 32], null]`, and let rules of your own give such pairs"
    )


def joined(attributes: object) -> tuple[Typed, ...]:
    """Return what a rule of einspace that joins is given: a shape with its grid for each branch.

    Raises:
        SpaceError: If one tensor came.
        ForeignAttributeError: If a branch gave anything else.
    """
    if not _are_branches(attributes):
        raise SpaceError(
            f"the branches of a split were wanted, but {excerpt(repr(attributes))} came: name the "
            "flow of the production, `label@branch: clone(b=2) M M add`"
        )
    return tuple(map(given_as, attributes))


def _are_branches(found: object) -> TypeGuard[tuple[object, ...]]:
    """Whether the first of some attributes is a pair, as a tensor's own first part is not."""
    first = found[0] if isinstance(found, tuple) and found else None
    return isinstance(first, tuple) and len(first) == 2 and isinstance(first[0], tuple)


def _are_sizes(shape: object) -> TypeGuard[Shape]:
    if not isinstance(shape, tuple) or not 2 <= len(shape) <= 3:
        return False
    for size in shape:  # noqa: SIM110  (rules are applied so often that a generator is felt)
        if type(size) is not int or size < 1:
            return False
    return True


def _is_whole(number: object) -> TypeGuard[int]:
    return isinstance(number, int) and not isinstance(number, bool)


def require_amounts(least: int = 1, /, **amounts: object) -> None:
    """Check parameters that count something.

    Raises:
        SpaceError: On the first that is no whole number of at least `least`.
    """
    for name, amount in amounts.items():
        if not (_is_whole(amount) and amount >= least):
            raise SpaceError(f"{name} is {amount}: give a whole number of at least {least}")


def require_branches(b: object) -> None:
    """Check the number of branches of a split.

    Raises:
        SpaceError: If it is no whole number of at least 1, or splits into more than anybody builds.
    """
    require_amounts(b=b)
    if isinstance(b, int) and b > MOST_BRANCHES:
        raise SpaceError(f"b is {b}: give at most {MOST_BRANCHES}")


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
