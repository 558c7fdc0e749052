"""Branching and aggregation: one tensor to many, many to one."""

import math

from niwaki.core.errors import SpaceError
from niwaki.spaces.einspace.attributes import (
    Typed,
    common_grid,
    effect,
    without_axis,
)
from niwaki.spaces.grammar.grammar import Effect


def clone(given: Typed, b: int) -> Effect:
    """Give the same tensor to every branch."""
    if b < 1:
        raise SpaceError("b is at least 1")
    return Effect((given,) * b)


def group(given: Typed, dim: int, b: int) -> Effect | str:
    """Split an axis, counted from 1, into equal parts."""
    if b < 1:
        raise SpaceError("b is at least 1")
    shape, grid = given
    if not 1 <= dim <= len(shape):
        return f"there is no axis {dim}"
    if shape[dim - 1] % b:
        return f"{shape[dim - 1]} along axis {dim} cannot be split into {b} equal parts"
    part = (*shape[: dim - 1], shape[dim - 1] // b, *shape[dim:])
    return Effect(((part, without_axis(grid, dim - 1)),) * b)


def add(given: tuple[Typed, ...]) -> Effect | str:
    """Add tensors of one shape."""
    first = given[0][0]
    for shape, _ in given:
        if shape != first:
            return "the branches differ in shape"
    return effect(first, common_grid([grid for _, grid in given]))


def concat(given: tuple[Typed, ...], dim: int) -> Effect | str:
    """Join tensors along an axis, counted from 1; the others must agree."""
    first = given[0][0]
    if not 1 <= dim <= len(first):
        return "the branches have no such axis"
    before, total, after = first[: dim - 1], first[dim - 1], first[dim:]
    for shape, _ in given[1:]:
        if shape[dim:] != after or shape[: dim - 1] != before or len(shape) != len(first):
            return "the branches differ in rank, or along another axis"
        total += shape[dim - 1]
    grid = without_axis(common_grid([grid for _, grid in given]), dim - 1)
    return effect((*before, total, *after), grid)


def matmul(given: tuple[Typed, ...], scaled: bool) -> Effect | str:  # noqa: ARG001
    """Multiply the matrices in the last two axes of two tensors."""
    if len(given) != 2:
        return "a product has two factors"
    (first, rows), (second, columns) = given
    if first[:-2] != second[:-2]:
        return "the factors differ in mode or in channels"
    if first[-1] != second[-2]:
        return "the inner sizes differ"
    grid = without_axis(rows, 1) or without_axis(columns, 0)
    return effect((*first[:-1], second[-1]), grid, macs=math.prod(first) * second[-1])
