"""Picking productions at random, by their weights, among those that are possible."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate

import numpy as np

from niwaki.spaces.grammar.derive import MANY, Hole, Pick
from niwaki.spaces.grammar.grammar import Production


def by_weight(rng: np.random.Generator) -> Pick:
    """Pick with probabilities proportional to the weights of the productions that are possible."""

    def pick(
        hole: Hole,  # noqa: ARG001
        ways: Sequence[Production],
        possible: Callable[[Production], bool],
    ) -> Production | None:
        if len(ways) > MANY:
            return _pick_of_many(rng, ways, possible)
        left = list(ways)
        total = sum(way.weight for way in left)
        # An impossible draw is struck off the list: equal to drawing among the possible ones, and
        # most draws are possible, so most productions are never looked at.
        while left:
            mark = rng.random() * total
            chosen = len(left) - 1
            for index, way in enumerate(left):
                mark -= way.weight
                if mark < 0.0:
                    chosen = index
                    break
            way = left.pop(chosen)
            if possible(way):
                return way
            total = sum(each.weight for each in left)
        return None

    return pick


def _pick_of_many(
    rng: np.random.Generator,
    ways: Sequence[Production],
    possible: Callable[[Production], bool],
) -> Production | None:
    """Pick with the same probabilities, in time that hardly grows with the productions.

    One that was struck off the list is drawn again in vain, until half of the weight is struck.
    """
    left = list(ways)
    while left:
        ends = list(accumulate(way.weight for way in left))
        struck: set[int] = set()
        weight_left = ends[-1]
        while 2.0 * weight_left >= ends[-1]:
            chosen = min(bisect_right(ends, rng.random() * ends[-1]), len(left) - 1)
            if chosen in struck:
                continue
            if possible(left[chosen]):
                return left[chosen]
            struck.add(chosen)
            weight_left -= left[chosen].weight
        left = [way for index, way in enumerate(left) if index not in struck]
    return None
