"""Attribute rules of a grammar of one's own: plain shapes."""

import math
from dataclasses import dataclass

from niwaki.spaces.grammar import Attribute, Effect, Flow, Place


def conv(given: tuple[int, ...], k: int, d: int) -> Effect:
    channels, *sides = given
    weights = channels * d * k * k
    return Effect((d, *sides), weights + d, weights * math.prod(sides), d * math.prod(sides))


def halve(given: tuple[int, ...]) -> Effect | str:
    channels, h, w = given
    return Effect((channels, h // 2, w // 2)) if min(h, w) > 1 else "there is nothing to halve"


@dataclass(frozen=True)
class Twice(Flow):
    """Both children work on what comes; the one's output is added to the other's."""

    def start(self, inherited: Attribute) -> Attribute:
        return (inherited, ())

    def enter(self, state: Attribute, place: Place) -> Attribute | None:
        assert isinstance(state, tuple)
        given: Attribute = state[0]
        return given

    def advance(self, state: Attribute, output: Attribute, place: Place) -> Attribute | None:
        assert isinstance(state, tuple)
        return (state[0], (*state[1], output))

    def finish(self, state: Attribute) -> Attribute | None:
        assert isinstance(state, tuple)
        first, second = state[1]
        return first if first == second else None


def thirds(given: tuple[int, ...]) -> Effect | str:
    """Split channels into the first third and the others."""
    channels, *sides = given
    if channels % 3:
        return "the channels have no thirds"
    n = channels // 3
    return Effect(((n, *sides), (channels - n, *sides)))


def weighted(given: tuple[tuple[int, ...], ...], times: int) -> Effect | str:
    """Join channels, each times a trained number."""
    if len({tuple(sides) for _, *sides in given}) > 1:
        return "branches have other sides"
    channels, sides = sum(each[0] for each in given), given[0][1:]
    return Effect((times * channels, *sides), parameters=channels, elements=times * channels)


def roomy(given: tuple[int, ...], times: int) -> Effect:
    """Work in so many times what comes."""
    return Effect(given, elements=times * math.prod(given))
