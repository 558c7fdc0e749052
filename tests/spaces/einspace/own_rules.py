"""Attribute rules of a grammar of one's own: plain shapes."""

import math

from niwaki.spaces.grammar import Effect


def conv(given: tuple[int, ...], k: int, d: int) -> Effect:
    channels, *sides = given
    weights = channels * d * k * k
    return Effect((d, *sides), weights + d, weights * math.prod(sides), d * math.prod(sides))


def halve(given: tuple[int, ...]) -> Effect | str:
    channels, h, w = given
    return Effect((channels, h // 2, w // 2)) if min(h, w) > 1 else "there is nothing to halve"
