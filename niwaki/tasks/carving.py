"""Cutting one set of items into splits: seeded, without overlap, each class in proportion."""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from niwaki.core.errors import ConfigError, DataError
from niwaki.core.registry import nearest
from niwaki.tasks.base import SplitName

DEFAULT_FRACTIONS: Mapping[SplitName, float] = {
    SplitName.SEARCH: 0.1,
    SplitName.VAL: 0.1,
    SplitName.TEST: 0.15,
    SplitName.CALIBRATION: 0.05,
}
"""Share of the train items that a split gets when the user has none of that name."""


def chosen_fractions(
    given: Mapping[str, float], missing: Sequence[SplitName]
) -> dict[SplitName, float]:
    """Return the share of each missing split.

    Args:
        given: The user's own shares, by split name; the others have `DEFAULT_FRACTIONS`.
        missing: Splits to carve.

    Raises:
        ConfigError: If a name is unknown or its split was given, a share is not in (0, 1), or
            nothing is left to train on.
    """
    known = [str(name) for name in missing]
    for name, share in given.items():
        if name not in known:
            raise ConfigError(
                f"fractions.{name} does not name a split to carve{nearest(name, known)} "
                f"Those without data of their own: {', '.join(known) or 'none'}"
            )
        if not 0.0 < share < 1.0:
            raise ConfigError(f"fractions.{name} is {share}: it must lie between 0 and 1")
    fractions = {name: given.get(str(name), DEFAULT_FRACTIONS[name]) for name in missing}
    if sum(fractions.values()) >= 1.0:
        raise ConfigError(
            f"the fractions add up to {sum(fractions.values()):.3g}: keep them below 1, "
            "the rest is what is trained on"
        )
    return fractions


def carve(
    n_items: int,
    fractions: Mapping[SplitName, float],
    *,
    rng: np.random.Generator,
    labels: NDArray[Any] | None = None,
) -> dict[SplitName, NDArray[np.int64]]:
    """Cut the items 0 .. n_items - 1 into train and the splits of `fractions`.

    Args:
        n_items: How many there are.
        fractions: Share of each split but train, which gets the rest.
        rng: Decides who goes where.
        labels: (n_items,) classes; each split gets its share of each class, up to rounding.

    Returns:
        Sorted indices by split; together every item once.

    Raises:
        DataError: If there are too few items for every split to get one.
    """
    sizes = {name: max(1, _share_of(n_items, share)) for name, share in fractions.items()}
    n_train = n_items - sum(sizes.values())
    if n_train < 1:
        raise DataError(
            f"{n_items} train items are too few to carve {', '.join(sizes)} from: "
            "give more items, or files for these splits"
        )
    order = _interleaved(np.zeros(n_items, dtype=int) if labels is None else labels, rng)
    cuts = np.cumsum([n_train, *sizes.values()])[:-1]
    parts = np.split(order, cuts)
    return {
        name: np.sort(part) for name, part in zip((SplitName.TRAIN, *sizes), parts, strict=True)
    }


def _share_of(n_items: int, share: float) -> int:
    """Return how many items a share is, rounded down as it is written: 0.29 of 100 are 29."""
    return math.floor(Fraction(repr(float(share))) * n_items)


def _interleaved(labels: NDArray[Any], rng: np.random.Generator) -> NDArray[np.int64]:
    """Order the items so that every stretch holds each class in proportion, at random otherwise."""
    position = np.empty(len(labels))
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        # The r-th of m members falls in the r-th of m equal parts of the whole order.
        position[members] = (np.arange(len(members)) + rng.random()) / len(members)
    return np.argsort(position, kind="stable").astype(np.int64)
