"""From scores to the units that stay: locally by count, globally by one threshold."""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from niwaki.compress.pruning.criteria.base import Scores
from niwaki.compress.pruning.groups import ChannelGroups
from niwaki.core.errors import StudyError

Counts = Mapping[str, int]
Cost = Callable[[NDArray[np.int64]], NDArray[np.float64]]
"""Costs of (n, n_groups) kept units: `groups.costs.macs`, or a predicted latency."""

_N_STEPS = 1000


class Normalisation(StrEnum):
    """What the scores of a group are divided by, so that groups compare."""

    NONE = "none"
    MEAN = "mean"
    MAX = "max"
    L2 = "l2"


def normalised(
    scores: Mapping[str, Scores], how: Normalisation = Normalisation.MEAN
) -> dict[str, Scores]:
    """Return scores that compare between groups.

    A group whose scores are all zero keeps them: it goes first.
    """
    divisors: dict[Normalisation, Callable[[Scores], float]] = {
        Normalisation.NONE: lambda _: 1.0,
        Normalisation.MEAN: lambda s: float(np.abs(s).mean()),
        Normalisation.MAX: lambda s: float(np.abs(s).max()),
        Normalisation.L2: lambda s: float(np.sqrt((s**2).mean())),
    }
    return {name: each / (divisors[how](each) or 1.0) for name, each in scores.items()}


def best_units(scores: Mapping[str, Scores], counts: Counts) -> dict[str, NDArray[np.int64]]:
    """Return the best units of each group, as many as asked, for `ChannelGroups.plan`.

    Args:
        scores: (n_units,) by group; equal scores are resolved by the lower index.
        counts: How many to keep, by group; groups that are not named are not in the result.
    """
    return {
        name: np.sort(np.argsort(-scores[name], kind="stable")[:count])
        for name, count in counts.items()
    }


def uniform_counts(
    groups: ChannelGroups,
    allowed: Mapping[str, Sequence[int]],
    *,
    cost: Cost,
    budget: float,
) -> dict[str, int]:
    """Return the largest equal share of every group that costs no more than `budget`.

    Args:
        groups: Of the model.
        allowed: Ascending counts that each group may keep; see `allowed_counts`.
        cost: Of kept units.
        budget: In the unit of `cost`.

    Raises:
        StudyError: If even the least counts cost more; with the least cost.
    """
    shares = np.linspace(0.0, 1.0, _N_STEPS + 1)
    columns = [_at_share(np.array(allowed[n]), shares) for n in groups.names]
    return _largest_within(groups, _table(columns, len(shares)), cost, budget)


def global_counts(
    groups: ChannelGroups,
    scores: Mapping[str, Scores],
    allowed: Mapping[str, Sequence[int]],
    *,
    cost: Cost,
    budget: float,
) -> dict[str, int]:
    """Return how many units of each group score above one threshold for all of them.

    The threshold is the lowest at which the cost is no more than `budget`; counts are raised to the
    next that is allowed.

    Args:
        groups: Of the model.
        scores: Comparable between groups: see `normalised`.
        allowed: Ascending counts that each group may keep.
        cost: Of kept units.
        budget: In the unit of `cost`.

    Raises:
        StudyError: If even the least counts cost more.
    """
    pooled = np.concatenate([np.zeros(0), *(scores[name] for name in groups.names)])
    thresholds = np.append(np.unique(pooled)[::-1], -np.inf)
    columns = []
    for name in groups.names:
        above = len(scores[name]) - np.searchsorted(np.sort(scores[name]), thresholds, "right")
        columns.append(_raised(np.array(allowed[name]), above))
    return _largest_within(groups, _table(columns, len(thresholds)), cost, budget)


def _table(columns: Sequence[NDArray[np.int64]], n_rows: int) -> NDArray[np.int64]:
    """Return (n_rows, n_groups) counts, also of no groups."""
    return np.array(columns, np.int64).reshape(len(columns), n_rows).T


def _at_share(allowed: NDArray[np.int64], shares: NDArray[np.float64]) -> NDArray[np.int64]:
    position = np.searchsorted(allowed, shares * allowed[-1] + 1e-9, "right") - 1
    counts: NDArray[np.int64] = allowed[np.maximum(position, 0)]
    return counts


def _raised(allowed: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    raised: NDArray[np.int64] = allowed[
        np.minimum(np.searchsorted(allowed, counts), len(allowed) - 1)
    ]
    return raised


def _largest_within(
    groups: ChannelGroups, table: NDArray[np.int64], cost: Cost, budget: float
) -> dict[str, int]:
    costs = cost(table)
    within = np.flatnonzero(costs <= budget)
    if not len(within):
        least = float(costs.min())
        raise StudyError(
            f"a cost of {budget:.6g} was asked, but the least that these groups and counts reach "
            f"is {least:.6g}: raise the budget, or allow smaller counts"
        )
    best = within[np.argmax(costs[within])]
    return {name: int(n) for name, n in zip(groups.names, table[best], strict=True)}
