"""Attribute rules like einspace's, in arithmetic: (shape, grid) in, (shape, grid) out.

A shape of three is an image (C, H, W), one of two are tokens (S, D). The grid is that of the
im2col in the same routing module; elsewhere it is None.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

from niwaki.spaces.grammar.flows import Attribute, Chain, Place
from niwaki.spaces.grammar.grammar import Effect

Shape = tuple[int, ...]
Grid = tuple[int, int] | None
Typed = tuple[Shape, Grid]

MOST_ELEMENTS = 2**20


@dataclass(frozen=True)
class Routing(Chain):
    """Pre-routing, module, post-routing: the grid of the first is seen by the last alone."""

    linear: ClassVar[bool] = True

    def enter(self, state: Attribute, place: Place) -> Attribute | None:
        assert isinstance(state, tuple)
        return (state[0], None) if place.position == 1 else state

    def advance(self, state: Attribute, output: Attribute, place: Place) -> Attribute | None:
        assert isinstance(state, tuple) and isinstance(output, tuple)
        if place.last:
            return (output[0], None)
        return (output[0], state[1] if place.position == 1 else output[1])


def identity(given: Typed) -> Effect:
    return Effect(given, elements=0)


def relu(given: Typed) -> Effect:
    return Effect(given, elements=math.prod(given[0]))


softmax = relu


def norm(given: Typed) -> Effect | str:
    shape = given[0]
    if len(shape) == 3 and shape[1:] == (1, 1):
        return "batch norm needs more than one position"
    channels = shape[0] if len(shape) == 3 else shape[1]
    return Effect(given, 2 * channels, elements=math.prod(shape))


def posenc(given: Typed) -> Effect:
    n = math.prod(given[0])
    return Effect(given, n, elements=n)


def _bounded(shape: Shape, grid: Grid, parameters: int = 0, macs: int = 0) -> Effect | str:
    n = math.prod(shape)
    if n > MOST_ELEMENTS:
        return f"the output would have {n} elements"
    return Effect((shape, grid), parameters, macs, n)


def linear(given: Typed, d: int) -> Effect | str:
    shape, grid = given
    macs = math.prod(shape) * d
    return _bounded((*shape[:-1], d), grid, (shape[-1] + 1) * d, macs)


def im2col(given: Typed, k: int, s: int, p: int) -> Effect | str:
    shape, _ = given
    if len(shape) != 3:
        return "im2col wants an image"
    channels, height, width = shape
    if k > 1 and (height < k or width < k):
        return "the patch is larger than the image"
    h, w = (height + 2 * p - k) // s + 1, (width + 2 * p - k) // s + 1
    return _bounded((h * w, channels * k * k), (h, w))


def col2im(given: Typed) -> Effect | str:
    shape, grid = given
    if len(shape) != 2 or grid is None or shape[0] != grid[0] * grid[1]:
        return "col2im wants the tokens of an im2col"
    return Effect(((shape[1], *grid), None), elements=math.prod(shape))


def permute(given: Typed, order: int) -> Effect | str:
    shape, grid = given
    digits = [int(digit) - 1 for digit in str(order)]
    if len(digits) != len(shape):
        return f"the permutation wants {len(digits)} axes"
    return Effect((tuple(shape[digit] for digit in digits), grid), elements=math.prod(shape))


def clone(given: Typed, b: int) -> Effect:
    return Effect((given,) * b)


def group(given: Typed, dim: int, b: int) -> Effect | str:
    shape, grid = given
    if dim > len(shape) or shape[dim - 1] % b:
        return f"axis {dim} cannot be split into {b}"
    part = (*shape[: dim - 1], shape[dim - 1] // b, *shape[dim:])
    return Effect(((part, grid),) * b)


def add(given: tuple[Typed, ...]) -> Effect | str:
    if any(each[0] != given[0][0] for each in given):
        return "branches differ in shape"
    return Effect(given[0], elements=math.prod(given[0][0]))


def concat(given: tuple[Typed, ...], dim: int) -> Effect | str:
    shapes = [each[0] for each in given]
    if any(len(shape) != len(shapes[0]) for shape in shapes) or dim > len(shapes[0]):
        return "branches differ in rank"
    rests = {(*shape[: dim - 1], *shape[dim:]) for shape in shapes}
    if len(rests) > 1:
        return "branches differ in another axis"
    total = sum(shape[dim - 1] for shape in shapes)
    return _bounded((*shapes[0][: dim - 1], total, *shapes[0][dim:]), given[0][1])


def matmul(given: tuple[Typed, ...], scaled: bool) -> Effect | str:
    (first, grid), (second, _) = given
    if len(first) != len(second) or first[-1] != second[-2] or first[:-2] != second[:-2]:
        return "the matrices do not fit"
    shape = (*first[:-1], second[-1])
    return _bounded(shape, grid, macs=math.prod(first) * second[-1])
