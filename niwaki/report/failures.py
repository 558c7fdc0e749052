"""Why trials did not count: their reasons, alike ones together."""

from collections.abc import Sequence
from dataclasses import dataclass

from niwaki.core.reasons import pattern_of
from niwaki.report.models import Model, State

MAX_REASON_CHARACTERS = 300
UNKNOWN = "no reason was given"


@dataclass(frozen=True)
class Failure:
    """Trials that did not count, for one reason.

    Attributes:
        state: Failed, turned away, or outside a constraint.
        reason: Of the first one, in full but for its length.
        rows: Their rows, in the order of telling.
    """

    state: State
    reason: str
    rows: tuple[int, ...]


def reason_of(model: Model) -> str:
    """Return why `model` does not count, clipped; empty if it does."""
    if model.state is State.FEASIBLE:
        return ""
    text = f"broke {model.broken}" if model.state is State.OUTSIDE else model.measurement.reason
    return clipped(text)


def clipped(reason: str) -> str:
    """Return a reason, or that there is none, at a length that a table has place for."""
    text = reason.strip() or UNKNOWN
    too_long = len(text) > MAX_REASON_CHARACTERS
    return text[: MAX_REASON_CHARACTERS - 1].rstrip() + "…" if too_long else text


def group_failures(rows: Sequence[Model]) -> list[Failure]:
    """Group the trials that do not count by state and reason, numbers in the reason ignored.

    Returns:
        Failed first, then turned away, then outside a constraint; the most frequent first.
    """
    groups: dict[tuple[State, str], list[int]] = {}
    for row, model in enumerate(rows):
        if model.state is not State.FEASIBLE and model.number is not None:
            pattern = pattern_of(reason_of(model))
            groups.setdefault((model.state, pattern), []).append(row)
    failures = [
        Failure(state, reason_of(rows[members[0]]), tuple(members))
        for (state, _), members in groups.items()
    ]
    return sorted(failures, key=lambda f: (-f.state, -len(f.rows), f.rows[0]))
