"""What should be known before policies are relied on, in sentences."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_TOO_FEW = 0.5  # of what a task should have learned from
_UNDECIDED = 0.2
_TOO_DEAR = 1.1  # times the budget


def doubts(
    tasks: Sequence[str],
    *,
    effective_share: NDArray[np.float64],
    sureness: NDArray[np.float64],
    spent: NDArray[np.float64],
) -> str:
    """Return a sentence for each kind of doubt about some tasks; nothing if there is none.

    Args:
        tasks: Names of T tasks.
        effective_share: Of the last draws, how many each task learned from, (T,); NaN if none.
        sureness: Mean over the decisions of each task, 0 for equal odds, 1 for certainty, (T,).
        spent: What its networks cost on average, over its budget, (T,); NaN if none was drawn.
    """
    if np.isnan(spent).any():
        return "the policies learned from no step: train for more epochs, or lower their `warmup`"
    found = []
    few = effective_share < _TOO_FEW / len(tasks)
    if few.any():
        found.append(
            f"{_listed(tasks, few)} learned from fewer than half of the steps that were its due: "
            "train for more epochs"
        )
    if (sureness < _UNDECIDED).any():
        found.append(
            f"hardly anything is decided yet for {_listed(tasks, sureness < _UNDECIDED)}: "
            "train for more epochs"
        )
    if (spent > _TOO_DEAR).any():
        found.append(
            f"networks of {_listed(tasks, spent > _TOO_DEAR)} cost up to "
            f"{spent[spent > _TOO_DEAR].max():.1f} times the budget: train for more epochs, or "
            "raise `budget`"
        )
    return "; ".join(found)


def _listed(tasks: Sequence[str], chosen: NDArray[np.bool_]) -> str:
    return " and ".join(f"'{task}'" for task, is_one in zip(tasks, chosen, strict=True) if is_one)
