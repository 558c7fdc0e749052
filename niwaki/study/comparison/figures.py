"""The figures of a comparison: their order, and how they are shown."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from niwaki.core.numerals import numeral
from niwaki.core.objectives import Objective

SHARES = (0.50, 0.90, 0.95, 0.99)  # of the joined front's hypervolume, and what each took
ABSENT = "-"


class Kind(StrEnum):
    """What a figure is."""

    NUMBER = "number"
    SHARE = "share"
    NEEDED = "needed"  # evaluations; inf if they never sufficed


@dataclass(frozen=True)
class Figure:
    """A number that each run has.

    Attributes:
        name: For programs.
        title: For people.
        kind: Of number.
        unit: Of a value; empty if it has none.
        shown_if_any: Whether it is shown to people only if it is above 0 somewhere.
    """

    name: str
    title: str
    kind: Kind = Kind.NUMBER
    unit: str = ""
    shown_if_any: bool = False

    def text(self, value: float, *, spent: float) -> str:
        """Return a value for people.

        Args:
            value: NaN if there is none.
            spent: Evaluations that whoever has it spent, in case that they did not suffice.
        """
        if math.isnan(value):
            return ABSENT
        if self.kind is Kind.SHARE:
            return f"{value:.1%}"
        return f"> {numeral(spent)}" if math.isinf(value) else numeral(value)


def best_of(objective: Objective) -> str:
    """Return the name of the figure that is a run's best value of an objective."""
    return f"best_{objective.name}"


def needed_for(share: float) -> str:
    """Return the name of the figure that says after how many evaluations a share was had."""
    return f"needed_{100 * share:g}"


def figures_for(objectives: Sequence[Objective], *, followed: bool) -> tuple[Figure, ...]:
    """Return all figures, in the order in which they are shown.

    Args:
        objectives: Of the comparison.
        followed: Whether it is known what each share took.
    """
    best = (Figure(best_of(o), _head(o), unit=o.unit) for o in objectives)
    shares = SHARES if followed else ()
    needed = (Figure(needed_for(s), f"to {s:.0%}", Kind.NEEDED) for s in shares)
    return (
        Figure("evaluations", "evaluations"),
        Figure("full", "full"),
        Figure("partial", "partial", shown_if_any=True),
        Figure("failed", "failed"),
        Figure("infeasible", "turned away"),
        *best,
        Figure("front", "front"),
        Figure("hypervolume", "hypervolume"),
        Figure("share", "share", Kind.SHARE),
        Figure("on_joined", "on joined"),
        Figure("alone", "alone"),
        *needed,
        Figure("seconds", "seconds"),
    )


def _head(objective: Objective) -> str:
    return f"{objective.name} ({'max' if objective.sign < 0 else 'min'})"
