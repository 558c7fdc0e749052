"""Branching and aggregation: one tensor to many, many to one."""

import math

from niwaki.spaces.einspace.attributes import (
    Typed,
    common_grid,
    effect,
    given_as,
    joined,
    require_branches,
    without_axis,
)
from niwaki.spaces.grammar.grammar import Effect


def clone(given: Typed, b: int) -> Effect:
    """Give the same tensor to every branch."""
    require_branches(b)
    return Effect((given_as(given),) * b)


def group(given: Typed, dim: int, b: int) -> Effect | str:
    """Split an axis, counted from 1, into equal parts."""
    require_branches(b)
    shape, grid = given_as(given)
    if not 1 <= dim <= len(shape):
        return f"there is no axis {dim}"
    if shape[dim - 1] % b:
        return f"{shape[dim - 1]} along axis {dim} cannot be split into {b} equal parts"
    part = (*shape[: dim - 1], shape[dim - 1] // b, *shape[dim:])
    return Effect(((part, without_axis(grid, dim - 1)),) * b)


def add(given: tuple[Typed, ...]) -> Effect | str:
    """Add tensors of one shape."""
    branches = joined(given)
    first = branches[0][0]
    for shape, _ in branches:
        if shape != first:
            return "the branches differ in shape"
    return effect(first, common_grid([grid for _, grid in branches]))


def concat(given: tuple[Typed, ...], dim: int) -> Effect | str:
    """Join tensors along an axis, counted from 1; the others must agree."""
    branches = joined(given)
    first = branches[0][0]
    if not 1 <= dim <= len(first):
        return "the branches have no such axis"
    before, total, after = first[: dim - 1], first[dim - 1], first[dim:]
    for shape, _ in branches[1:]:
        if shape[dim:] != after or shape[: dim - 1] != before or len(shape) != len(first):
            return "the branches differ in rank, or along another axis"
        total += shape[dim - 1]
    grid = without_axis(common_grid([grid for _, grid in branches]), dim - 1)
    return effect((*before, total, *after), grid)


def matmul(given: tuple[Typed, ...], scaled: bool) -> Effect | str:  # noqa: ARG001
    """Multiply the matrices in the last two axes of two tensors."""
    branches = joined(given)
    if len(branches) != 2:
        return "a product has two factors"
    (first, rows), (second, columns) = branches
    if first[:-2] != second[:-2]:
        return "the factors differ in mode or in channels"
    if first[-1] != second[-2]:
        return "the inner sizes differ"
    grid = without_axis(rows, 1) or without_axis(columns, 0)
    return effect((*first[:-1], second[-1]), grid, macs=math.prod(first) * second[-1])
