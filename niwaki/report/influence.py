"""Which decisions matter: what the front decides differently, and what that does to objectives."""

import json
import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from niwaki.core.candidate import Candidate, Value

MAX_OPTIONS = 8
ABSENT = "absent"
OTHER = "other"


class _Nothing(Enum):
    DECIDED = ABSENT


NOTHING = _Nothing.DECIDED
Decided: TypeAlias = "Value | _Nothing"


@dataclass(frozen=True)
class Influence:
    """One decision, on the front and among all measured models.

    Attributes:
        path: Of the decision.
        options: What was decided, as text; numbers in rising order, `absent` where it was inactive.
            Text that reads like another option is in quotes.
        n_all: How many of all measured models decided so, by option.
        n_front: How many of the front did.
        shift: Total variation between the two shares, 0 to 1.
        surprise: `shift` beyond what as many models drawn at random would show on average.
        explained: Share of each objective's variance that this decision explains, 0 to 1.
    """

    path: str
    options: tuple[str, ...]
    n_all: tuple[int, ...]
    n_front: tuple[int, ...]
    shift: float
    surprise: float
    explained: tuple[float, ...]


def influences(
    candidates: Sequence[Candidate], on_front: NDArray[np.bool_], costs: NDArray[np.float64]
) -> list[Influence]:
    """Compare what the front decides with what all models do, the most telling decision first.

    A search is no designed experiment: decisions that were varied together share their influence.
    What every model decides alike says nothing, nor what no two do, such as the tree of a grammar.

    Args:
        candidates: n measured models.
        on_front: (n,), which of them are on the front.
        costs: (n, m), their objectives, free of NaN.
    """
    paths = sorted({path for candidate in candidates for path, _ in candidate.items})
    found = [_influence(path, candidates, on_front, costs) for path in paths]
    varied = [i for i in found if len(i.options) > 1 and max(i.n_all) > 1]
    return sorted(varied, key=lambda i: (-i.surprise, -sum(i.explained), i.path))


def explained_variance(groups: NDArray[np.int64], y: NDArray[np.float64]) -> float:
    """Return the share of the variance of `y` that its group explains, corrected for chance.

    Args:
        groups: (n,), the group of each value, from 0.
        y: (n,), values.

    Returns:
        In [0, 1]; 0 where nothing can be said.

    References:
        Kelley, PNAS 1935, "An unbiased correlation ratio measure" (epsilon squared).
    """
    n_values, n_groups = len(y), len(np.unique(groups))
    total = float(((y - y.mean()) ** 2).sum()) if n_values else 0.0
    if n_values <= n_groups or total <= 0.0:
        return 0.0
    counts = np.bincount(groups)
    means = np.bincount(groups, weights=y) / np.maximum(counts, 1)
    within = float(((y - means[groups]) ** 2).sum())
    return max(0.0, 1.0 - (within / (n_values - n_groups)) / (total / (n_values - 1)))


def _influence(
    path: str,
    candidates: Sequence[Candidate],
    on_front: NDArray[np.bool_],
    costs: NDArray[np.float64],
) -> Influence:
    options, groups = _grouped([candidate.decisions.get(path, NOTHING) for candidate in candidates])
    n_all = np.bincount(groups, minlength=len(options))
    n_front = np.bincount(groups[on_front], minlength=len(options))
    shift = _shift(n_all, n_front)
    return Influence(
        path=path,
        options=tuple(options),
        n_all=tuple(n_all.tolist()),
        n_front=tuple(n_front.tolist()),
        shift=shift,
        surprise=max(0.0, shift - _shift_by_chance(n_all, int(n_front.sum()))),
        explained=tuple(explained_variance(groups, column) for column in costs.T),
    )


def _shift(n_all: NDArray[np.int64], n_front: NDArray[np.int64]) -> float:
    if n_front.sum() == 0:
        return 0.0
    return float(0.5 * np.abs(n_all / n_all.sum() - n_front / n_front.sum()).sum())


def _shift_by_chance(n_all: NDArray[np.int64], n_front: int) -> float:
    """Mean of `shift` for a random draw without replacement, each share taken as normal."""
    n_models = int(n_all.sum())
    if n_front == 0 or n_models < 2:
        return 0.0
    share = n_all / n_models
    variance = share * (1 - share) / n_front * (n_models - n_front) / (n_models - 1)
    return float(0.5 * np.sqrt(2 * variance / math.pi).sum())


def _grouped(values: Sequence[Decided]) -> tuple[list[str], NDArray[np.int64]]:
    """Return at most `MAX_OPTIONS` labels, and the label's index of each value."""
    labels = _labels(values)
    if len(set(labels)) > MAX_OPTIONS:
        labels = _binned(values) if _numeric(values) else _most_frequent(labels)
    numbers = dict(zip(labels, values, strict=True))
    options = sorted(numbers, key=lambda label: _rank(label, numbers[label]))
    position = {label: index for index, label in enumerate(options)}
    return options, np.array([position[label] for label in labels], dtype=np.int64)


def _numeric(values: Sequence[Decided]) -> bool:
    """Whether all are numbers that doubles hold, so that they can be put into ranges."""
    return all(
        value is NOTHING
        or (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and abs(value) <= sys.float_info.max
        )
        for value in values
    )


def _binned(values: Sequence[Decided]) -> list[str]:
    """Label numbers by quantile ranges of about equal counts."""
    numbers = np.array([float(v) if isinstance(v, int | float) else np.nan for v in values])
    known = numbers[~np.isnan(numbers)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, MAX_OPTIONS - 1)))
    if len(edges) == 1:  # whole numbers that differ in digits for which a double has no room
        edges = edges.repeat(2)
    bins = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, len(edges) - 2)
    ranges = [f"{low} to {high}" for low, high in pairwise(_told_apart(edges.tolist()))]
    return [
        ABSENT if np.isnan(number) else ranges[b] for number, b in zip(numbers, bins, strict=True)
    ]


def _told_apart(numbers: Sequence[float]) -> list[str]:
    """Return numbers with as few digits as tell them apart, at least three."""
    written = ([f"{number:.{digits}g}" for number in numbers] for digits in range(3, 18))
    n_different = len(set(numbers))
    return next(texts for texts in written if len(set(texts)) == n_different)


def _most_frequent(labels: Sequence[str]) -> list[str]:
    ranked = sorted(Counter(labels).items(), key=lambda item: (-item[1], item[0]))
    kept = {label for label, n_models in ranked[: MAX_OPTIONS - 1] if n_models > 1}
    return [label if label in kept else OTHER for label in labels]


def _labels(values: Sequence[Decided]) -> list[str]:
    others = (v for v in values if not isinstance(v, str) and v is not NOTHING)
    taken = {ABSENT, OTHER, *map(json.dumps, others)}

    def label(value: Decided) -> str:
        if value is NOTHING:
            return ABSENT
        return value if isinstance(value, str) and value not in taken else json.dumps(value)

    return [label(value) for value in values]


def _rank(label: str, value: Decided) -> tuple[int, float, str]:
    """Numbers first, rising; then words; then what stands for the rest."""
    if label in (OTHER, ABSENT):
        return 2 if label == OTHER else 3, 0.0, label
    if isinstance(value, int | float):
        return 0, value, label
    return 1, 0.0, label
