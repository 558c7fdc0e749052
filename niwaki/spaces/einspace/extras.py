"""Attribute rules of the extra grammars.

References:
    Chollet, CVPR 2017, "Xception" (depthwise convolution); Xie et al., CVPR 2017, "ResNeXt"
    (grouped ones); Dauphin et al., ICML 2017, "Language modeling with gated convolutional
    networks", and Shazeer, 2020, "GLU variants improve transformer" (gates); Yu et al., ICLR 2019,
    "Slimmable neural networks" (shares of a width); Jacobs et al., Neural Computation 1991
    (experts).
"""

import math

from niwaki.core.errors import SpaceError
from niwaki.core.registry import nearest
from niwaki.spaces.einspace import computation
from niwaki.spaces.einspace.attributes import (
    Typed,
    effect,
    features,
    given_as,
    is_image,
    joined,
    require_amounts,
    require_branches,
    without_axis,
)
from niwaki.spaces.einspace.branching import add
from niwaki.spaces.einspace.routing import patches_along
from niwaki.spaces.grammar.grammar import Effect

GATES = ("sigmoid", "silu", "gelu", "none")


def depthwise(given: Typed, k: int, s: int) -> Effect | str:
    """Convolve each channel of an image for itself."""
    channels = features(given_as(given)[0])
    return grouped(given, k=k, s=s, g=channels, d=channels)


def grouped(given: Typed, k: int, s: int, g: int, d: int) -> Effect | str:
    """Convolve `g` groups of an image's channels, each for itself, to `d` channels in all."""
    require_amounts(k=k, s=s, g=g, d=d)
    shape, _ = given_as(given)
    if not is_image(shape):
        return "a convolution wants an image"
    channels, *sides = shape
    if channels % g or d % g:
        return f"{channels} channels to {d} cannot be split into {g} groups"
    sizes = [patches_along(side, k, s, k // 2) for side in sides]
    weights = channels // g * k * k * d
    return effect((d, *sizes), None, weights + d, weights * math.prod(sizes))


def glu(given: Typed) -> Effect | str:
    """Gate one half of the channels or features by the other."""
    shape, grid = given_as(given)
    axis = 0 if is_image(shape) else 1
    if shape[axis] % 2:
        return f"{shape[axis]} features have no halves"
    halved = (*shape[:axis], shape[axis] // 2, *shape[axis + 1 :])
    return effect(halved, without_axis(grid, axis))


def gate(given: tuple[Typed, ...], by: str) -> Effect | str:
    """Multiply one branch by a function of the other."""
    if by not in GATES:
        raise SpaceError(f"by is {by}{nearest(str(by), GATES)} Known: {', '.join(GATES)}")
    if len(joined(given)) != 2:
        return "a gate and what it lets through are two branches"
    return add(given)


def slimmable(given: Typed, d: int, ratio: float) -> Effect | str:
    """Map the last axis to a share of `d` values."""
    require_amounts(d=d)
    require_share(ratio)
    return computation.linear(given, slimmed(d, ratio))


def require_share(ratio: object) -> None:
    """Check a share of a width.

    Raises:
        SpaceError: If it is no number above 0, up to 1.
    """
    if not (isinstance(ratio, int | float) and 0.0 < ratio <= 1.0):
        raise SpaceError(f"ratio is {ratio}: give a number above 0, up to 1")


def slimmed(d: int, ratio: float) -> int:
    """Return a share of a width, at least one."""
    return max(1, round(d * ratio))


def widen(given: Typed, by: int) -> Effect:
    """Map the last axis to `by` times as many values."""
    require_amounts(by=by)
    return computation.linear(given, given_as(given)[0][-1] * by)


def narrow(given: Typed, by: int) -> Effect | str:
    """Map the last axis to a `by`-th of its values."""
    require_amounts(by=by)
    width = given_as(given)[0][-1]
    return (
        f"{width} has no part of 1 / {by}" if width % by else computation.linear(given, width // by)
    )


def router(given: Typed, b: int) -> Effect:
    """Give the same tensor to every expert, and weigh them by its mean features."""
    require_branches(b)
    width = features(given_as(given)[0])
    return Effect((given,) * b, (width + 1) * b, width * b, b)


def mix(given: tuple[Typed, ...]) -> Effect | str:
    """Add what experts give, weighted."""
    return add(given)


def zero(given: Typed) -> Effect:
    """Give zeros."""
    return effect(*given_as(given))


def pool(given: Typed, k: int, s: int) -> Effect | str:
    """Average over windows of an image."""
    require_amounts(k=k, s=s)
    shape, grid = given_as(given)
    if not is_image(shape):
        return "pooling wants an image"
    sizes = [patches_along(side, k, s, k // 2) for side in shape[1:]]
    return effect((shape[0], *sizes), without_axis(grid, 0))
