"""Computation: one tensor to one tensor of the same rank."""

import math

from niwaki.spaces.einspace.attributes import (
    Typed,
    effect,
    features,
    given_as,
    is_image,
    require_amounts,
    without_axis,
)
from niwaki.spaces.grammar.grammar import Effect


def linear(given: Typed, d: int) -> Effect:
    """Map the last axis to `d` values: the features of tokens, the rows of images."""
    require_amounts(d=d)
    shape, grid = given_as(given)
    last = len(shape) - 1
    parameters = (shape[last] + 1) * d
    macs = math.prod(shape) * d
    return effect((*shape[:last], d), without_axis(grid, last), parameters, macs)


def norm(given: Typed) -> Effect | str:
    """Batch norm over an image's channels, layer norm over a token's features."""
    shape, grid = given_as(given)
    if is_image(shape) and shape[1:] == (1, 1):
        # A batch of one would leave one value to take the variance of.
        return "batch norm needs more than one pixel"
    return effect(shape, grid, 2 * features(shape))


def relu(given: Typed) -> Effect:
    """Leaky ReLU."""
    return effect(*given_as(given))


def softmax(given: Typed) -> Effect:
    """Softmax over the last axis."""
    return effect(*given_as(given))


def posenc(given: Typed) -> Effect:
    """Add a trained tensor."""
    shape, grid = given_as(given)
    return effect(shape, grid, math.prod(shape))


def conv1d(given: Typed, k: int, d: int) -> Effect | str:
    """Convolve along the tokens of a sequence, which stays as long as it is."""
    require_amounts(k=k, d=d)
    shape, grid = given_as(given)
    if is_image(shape):
        return "conv1d wants tokens"
    n_tokens, width = shape
    macs = n_tokens * width * k * d
    return effect((n_tokens, d), without_axis(grid, 1), (width * k + 1) * d, macs)
